package messages

import "goproxytrace/analyze/diagnose"

// Probe returns a sentence or phrase about control tests with values put in;
// what it does not know is looked for among the texts of verdicts, and an
// unknown identifier is returned as it is.
func (l Language) Probe(id string, values ...diagnose.Value) string {
	c := l.catalogue()
	if t, ok := c.probe[id]; ok {
		return c.fill(t, values)
	}
	return l.Text(id)
}
