package page

import (
	"strings"

	"goproxytrace/analyze/diagnose"
	"goproxytrace/report"
	"goproxytrace/report/charts"
	"goproxytrace/report/page/frame"
)

// book is the documents of one result, one for each language of the page.
type book struct {
	docs []*report.Document
	tags []string // of their languages
}

// say returns a label in each language.
func (b *book) say(id string, values ...diagnose.Value) charts.Words {
	w := make(charts.Words, len(b.docs))
	for i, d := range b.docs {
		w[i] = d.Language.Label(id, values...)
	}
	return w
}

// count returns the phrase of a number of things in each language.
func (b *book) count(id string, n uint64) charts.Words {
	w := make(charts.Words, len(b.docs))
	for i, d := range b.docs {
		w[i] = d.Language.Count(id, n)
	}
	return w
}

// each returns what the documents say, made fit to be shown.
func (b *book) each(say func(*report.Document) string) charts.Words {
	w := make(charts.Words, len(b.docs))
	for i, d := range b.docs {
		w[i] = frame.Tame(say(d))
	}
	return w
}

// lists returns the documents' lists as one of texts in each language.
func (b *book) lists(list func(*report.Document) []string) (out []charts.Words) {
	for i := range list(b.docs[0]) {
		out = append(out, b.each(func(d *report.Document) string {
			if l := list(d); i < len(l) {
				return l[i]
			}
			return list(b.docs[0])[i]
		}))
	}
	return out
}

// join puts texts together, in each language with what stands between parts of
// a sentence there.
func (b *book) join(between string, parts ...charts.Words) charts.Words {
	out := make(charts.Words, len(b.docs))
	for i, d := range b.docs {
		var list []string
		for _, p := range parts {
			if s := in(p, i); s != "" {
				list = append(list, s)
			}
		}
		out[i] = strings.Join(list, d.Language.Label(between))
	}
	return out
}

func in(w charts.Words, i int) string {
	switch {
	case len(w) == 0:
		return ""
	case i < len(w):
		return w[i]
	}
	return w[0]
}

// span is a text in one language, or in all of them where Lang is empty.
type span struct {
	Lang  string
	Parts []frame.Part
}

// spans lays a text out for the template.
func (b *book) spans(w charts.Words) []span {
	same := true
	for _, s := range w {
		same = same && s == w[0]
	}
	if same {
		if in(w, 0) == "" {
			return nil
		}
		return []span{{"", frame.Parts(w[0])}}
	}
	out := make([]span, len(b.tags))
	for i, tag := range b.tags {
		out[i] = span{tag, frame.Parts(in(w, i))}
	}
	return out
}
