// Package messages holds every sentence of a verdict that a person reads.
//
// In come the identifiers and values that package diagnose yields, out come
// English sentences. Judgement and wording change apart from each other: no
// rule writes prose, and nothing here decides. Values are inserted as they
// are; whoever prints a sentence escapes it.
//
// In a template {name} stands for a value. A part in brackets is left out
// where one of its values is absent, zero or empty.
package messages

import (
	"strings"

	"goproxytrace/analyze/diagnose"
)

// Summary returns the verdict in one sentence that can be pasted: who, which
// host, what happened and after how long.
func Summary(v *diagnose.Verdict) string {
	if len(v.Values) == 0 {
		switch v.Class {
		case diagnose.OK:
			return okConnection
		case diagnose.CaptureUnusable:
			return unusableConnection
		}
	}
	t, ok := summaries[v.Class]
	if !ok {
		return string(v.Class)
	}
	s := fill(t, v.Values)
	if p, known := find(v.Values, "process"); known && p.Text != "" {
		s = p.Text + ": " + s
	}
	if v.Died() && len(v.Place) == 1 {
		s += places[v.Place[0]]
	}
	return s
}

// Evidence returns the sentence of one observation.
func Evidence(e *diagnose.Evidence) string {
	t, ok := evidence[e.ID]
	if !ok {
		return e.ID
	}
	return fill(t, e.Values)
}

// Text returns the sentence of a next step, a refutation, something not
// assessed, or a note; an unknown identifier is returned as it is.
func Text(id string) string {
	if t, ok := texts[id]; ok {
		return t
	}
	return id
}

// ClassTitle returns a class in a few words, for headings and tables.
func ClassTitle(c diagnose.Class) string {
	if t, ok := titles[c]; ok {
		return t
	}
	return string(c)
}

func find(values []diagnose.Value, name string) (diagnose.Value, bool) {
	for i := range values {
		if values[i].Name == name {
			return values[i], true
		}
	}
	return diagnose.Value{}, false
}

// fill inserts values into a template.
func fill(template string, values []diagnose.Value) string {
	if !strings.ContainsAny(template, "{[") {
		return template
	}
	var b strings.Builder
	b.Grow(len(template) + 64)
	for template != "" {
		i := strings.IndexAny(template, "{[")
		if i < 0 {
			b.WriteString(template)
			break
		}
		b.WriteString(template[:i])
		closing := byte('}')
		if template[i] == '[' {
			closing = ']'
		}
		n := strings.IndexByte(template[i:], closing)
		if n < 0 {
			b.WriteString(template[i:])
			break
		}
		inner := template[i+1 : i+n]
		if closing == ']' {
			if complete(inner, values) {
				b.WriteString(fill(inner, values))
			}
		} else if v, ok := find(values, inner); ok {
			b.WriteString(format(&v))
		}
		template = template[i+n+1:]
	}
	return b.String()
}

// complete reports whether all values of a bracketed part are there.
func complete(part string, values []diagnose.Value) bool {
	for _, name := range placeholders(part) {
		v, ok := find(values, name)
		if !ok || v.Unit == diagnose.UnitText && v.Text == "" || v.Unit != diagnose.UnitText && v.Number == 0 {
			return false
		}
	}
	return true
}

// placeholders lists the names of the values in a template.
func placeholders(t string) (out []string) {
	for {
		_, rest, ok := strings.Cut(t, "{")
		if !ok {
			return out
		}
		name, after, ok := strings.Cut(rest, "}")
		if !ok {
			return out
		}
		out, t = append(out, name), after
	}
}
