package messages

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"goproxytrace/analyze/diagnose"
)

// Explanation says about a class, before any capture is read, what a person
// needs to trust or doubt its verdicts.
type Explanation struct {
	// Seen is what the packets show.
	Seen string
	// Alikes are what looks alike, with what tells it apart.
	Alikes []Alike
}

// Alike is something that looks like a class and is not.
type Alike struct {
	What, Told string
}

// Explain returns the explanation of a class; ok is false for none.
func (l Language) Explain(c diagnose.Class) (e Explanation, ok bool) {
	e, ok = l.catalogue().explanations[c]
	return e, ok
}

// When returns the condition of a level (diagnose.Reach.When).
func (l Language) When(id string) string { return l.catalogue().whens[id] }

// RowName returns the name of a row of the taxonomy.
func (l Language) RowName(id string) string { return l.catalogue().rows[id] }

// Note is a note or a fact about the capture's health, explained.
type Note struct {
	ID string
	// Title is a few words.
	Title string
	// Seen is what it says and when it is given, Means what follows from it.
	Seen, Means string
}

// Notes returns all notes in the order of package diagnose.
func (l Language) Notes() []Note {
	out := make([]Note, 0, len(diagnose.Notes))
	for _, id := range diagnose.Notes {
		n := l.catalogue().notes[id]
		n.ID = id
		out = append(out, n)
	}
	return out
}

// HealthFacts returns all facts about a capture's health in the order of the
// taxonomy's rows.
func (l Language) HealthFacts() (out []Note) {
	seen := map[string]bool{}
	for i := range diagnose.Rows {
		for _, id := range diagnose.Rows[i].Health {
			if !seen[id] {
				seen[id] = true
				n := l.catalogue().health[id]
				n.ID = id
				out = append(out, n)
			}
		}
	}
	return out
}

// ConfiguredEvidence returns the identifiers of all observations that can join
// a verdict of any class (diagnose.ConfiguredEvidence), sorted.
func ConfiguredEvidence() (ids []string) {
	for id := range english.evidence {
		for _, p := range diagnose.ConfiguredEvidence {
			if strings.HasPrefix(id, p) {
				ids = append(ids, id)
			}
		}
	}
	slices.Sort(ids)
	return ids
}

// Threshold returns a threshold's value with its unit, and the reason for it.
func (l Language) Threshold(t *diagnose.Threshold) (value, reason string) {
	c := l.catalogue()
	value = c.format(&t.Value)
	if t.Percent {
		value += " %"
	}
	return value, c.thresholdReasons[t.Value.Name]
}

// Pattern returns the sentence of an observation with its values' names in
// angle brackets; what stands in square brackets is left out where it is not
// known.
func (l Language) Pattern(id string) string {
	t, ok := l.catalogue().evidence[id]
	if !ok {
		return id
	}
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(t, "{")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		name, after, _ := strings.Cut(rest, "}")
		b.WriteString("<" + name + ">")
		if next, _ := utf8.DecodeRuneInString(after); unicode.Is(unicode.Han, next) {
			b.WriteByte(' ') // a name is Latin, whatever the value's unit is
		}
		t = after
	}
}
