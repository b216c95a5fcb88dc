package report

// Notes are the sentences that go with the verdict on the capture.
func (d *Document) Notes() []string { return verdictNotes(d) }

// Redacted reports whether what is private was replaced.
func (d *Document) Redacted() bool { return d.redact != nil }

// CaptureLines describe the capture file and how far it is to be trusted, but
// for the facts in Capture.Health.
func (d *Document) CaptureLines() []string {
	c := d.Capture
	c.Health = nil
	out := append([]string{captureLine(d.Language, &c)}, captureFacts(d.Language, &c)...)
	for i := range c.Unread[:min(len(c.Unread), listed)] {
		out = append(out, unreadLine(d.Language, &c.Unread[i]))
	}
	if c.HasSecrets {
		out = append(out, d.Language.Label("capture.secrets"))
	}
	return append(out, c.Notes...)
}
