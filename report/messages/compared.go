package messages

import "goproxytrace/analyze/diagnose"

// Compared returns a sentence, a heading or the name of a row of a comparison
// (packages compare and compare/twopoint) with values put in; an unknown
// identifier is returned as it is.
func (l Language) Compared(id string, values ...diagnose.Value) string {
	c := l.catalogue()
	t, ok := c.compared[id]
	if !ok {
		return id
	}
	return c.fill(t, values)
}
