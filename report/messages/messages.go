// Package messages holds every sentence of a verdict that a person reads.
//
// In come the identifiers and values that package diagnose yields, out come
// sentences in a Language. Judgement and wording change apart from each other:
// no rule writes prose, and nothing here decides. Values are inserted as they
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
func (l Language) Summary(v *diagnose.Verdict) string {
	c := l.catalogue()
	if len(v.Values) == 0 {
		switch v.Class {
		case diagnose.OK:
			return c.labels["summary.ok-connection"]
		case diagnose.CaptureUnusable:
			return c.labels["summary.unusable-connection"]
		}
	}
	t, ok := c.summaries[v.Class]
	if _, narrowed := find(v.Values, "hidden"); narrowed && v.Class == diagnose.NoTraffic {
		t = c.labels["summary.nothing-in-view"]
	}
	if !ok {
		return string(v.Class)
	}
	for i := range v.Evidence {
		if by := c.summariesBy[v.Class][v.Evidence[i].ID]; by != "" {
			t = by
			break
		}
	}
	s := c.fill(t, v.Values)
	if p, known := find(v.Values, "process"); known && p.Text != "" {
		s = c.format(&p) + c.labels["colon"] + s
	}
	switch {
	case !v.Died() || len(v.Place) != 1:
	case v.Level == diagnose.Consistent:
		s += c.mayBe[v.Place[0]] + c.provided[v.Class]
	default:
		s += c.places[v.Place[0]]
	}
	return s
}

// Evidence returns the sentence of one observation.
func (l Language) Evidence(e *diagnose.Evidence) string {
	c := l.catalogue()
	t, ok := c.evidence[e.ID]
	if !ok {
		return e.ID
	}
	return c.fill(t, e.Values)
}

// Text returns the sentence of a refutation, something not assessed, or a note; an unknown identifier is returned as it is.
func (l Language) Text(id string) string {
	if t, ok := l.catalogue().texts[id]; ok {
		return t
	}
	return id
}

// ClassTitle returns a class in a few words, for headings and tables.
func (l Language) ClassTitle(c diagnose.Class) string {
	if t, ok := l.catalogue().titles[c]; ok {
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
func (c *catalogue) fill(template string, values []diagnose.Value) string {
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
				b.WriteString(c.fill(inner, values))
			}
		} else if v, ok := find(values, inner); ok {
			b.WriteString(c.format(&v))
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

// cutForms returns the forms of a phrase for one thing and for several, which
// a bar separates; several is false where there is one form for both.
func cutForms(t string) (one, many string, several bool) {
	one, many, several = strings.Cut(t, "|")
	if !several {
		many = one
	}
	return one, many, several
}

// EvidenceNames returns the names of the values in the sentence of an
// observation; false for an identifier that has none.
func (l Language) EvidenceNames(id string) (names []string, ok bool) {
	t, ok := l.catalogue().evidence[id]
	return placeholders(t), ok
}
