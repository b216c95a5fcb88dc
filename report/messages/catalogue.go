package messages

import (
	"maps"

	"goproxytrace/analyze/diagnose"
)

// catalogue holds all sentences and words of one language. All catalogues have
// the same keys, and each template the same placeholders and brackets as its
// English one.
type catalogue struct {
	// summaries holds one sentence per class; summariesBy, by class, those
	// that say more where a certain observation is among the evidence.
	summaries   map[diagnose.Class]string
	summariesBy map[diagnose.Class]map[string]string
	// places ends the summary of a death that the evidence puts in one place,
	// mayBe where the evidence is no more than consistent with it; provided
	// says what the place of a class rests on then.
	places, mayBe map[diagnose.Place]string
	provided      map[diagnose.Class]string
	// titles holds each class in a few words.
	titles map[diagnose.Class]string
	// evidence holds one sentence per observation, texts the refutations,
	// what was not assessed and the notes, steps the next steps.
	evidence, texts, steps map[string]string

	explanations     map[diagnose.Class]Explanation
	whens            map[string]string
	thresholdReasons map[string]string
	notes, health    map[string]Note
	rows             map[string]string

	// labels holds headings and the phrases that reports are made of, probe
	// those of control tests, compared those of comparisons.
	labels, probe, compared map[string]string
	// words holds, by the value's name and its text, what rules and records
	// say in words of their own; nil for English, which they speak.
	words map[string]string
	// matchers find what is composed in English; nil for English.
	matchers func() []matcher
}

var catalogues = [...]*catalogue{English: &english, Chinese: &chinese}

var english = catalogue{
	summaries: summariesEnglish, summariesBy: summariesByEnglish, places: placesEnglish, mayBe: mayBeEnglish, provided: providedEnglish,
	titles: titlesEnglish, evidence: evidenceEnglish, texts: textsEnglish, steps: stepsEnglish,
	explanations: explanationsEnglish, whens: whensEnglish, thresholdReasons: thresholdReasonsEnglish,
	notes: notesEnglish, health: healthEnglish, rows: rowsEnglish, labels: joined(labelsEnglish, labelsPageEnglish), probe: probeEnglish, compared: comparedEnglish,
}

var chinese = catalogue{
	summaries: summariesChinese, summariesBy: summariesByChinese, places: placesChinese, mayBe: mayBeChinese, provided: providedChinese,
	titles: titlesChinese, evidence: evidenceChinese, texts: textsChinese, steps: stepsChinese,
	explanations: explanationsChinese, whens: whensChinese, thresholdReasons: thresholdReasonsChinese,
	notes: notesChinese, health: healthChinese, rows: rowsChinese, labels: joined(labelsChinese, labelsPageChinese), probe: probeChinese, compared: comparedChinese, words: wordsChinese, matchers: chineseMatchers,
}

// joined returns the entries of both; the second wins.
func joined(a, b map[string]string) map[string]string {
	out := maps.Clone(a)
	maps.Copy(out, b)
	return out
}

func (l Language) catalogue() *catalogue {
	if int(l) < len(catalogues) {
		return catalogues[l]
	}
	return &english
}

// Label returns a heading, a word or a phrase of a report with values put in;
// an unknown identifier is returned as it is.
func (l Language) Label(id string, values ...diagnose.Value) string {
	c := l.catalogue()
	t, ok := c.labels[id]
	if !ok {
		return id
	}
	return c.fill(t, values)
}

// Count returns the phrase of a number of things, "1 packet" or "12,345
// packets"; an unknown identifier is returned behind the number.
func (l Language) Count(id string, n uint64) string {
	c := l.catalogue()
	t, ok := c.labels[id]
	if !ok {
		t = "{n} " + id
	}
	one, many, _ := cutForms(t)
	if n == 1 {
		many = one
	}
	return c.fill(many, []diagnose.Value{diagnose.Text("n", Grouped(n))})
}
