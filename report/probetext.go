package report

import (
	"bufio"
	"encoding/json"
	"io"
	"strings"

	"goproxytrace/analyze/diagnose"
	"goproxytrace/internal/terminal"
	"goproxytrace/probe"
)

// WriteProbeJSON writes the document as one JSON object.
func WriteProbeJSON(w io.Writer, d *Probe) error {
	raw, err := json.MarshalIndent(d, "", " ")
	if err != nil {
		return err
	}
	_, err = w.Write(append(appendEscaped(nil, raw), '\n'))
	return err
}

// WriteProbeText writes what a person reads: verdict, what differs, next steps,
// the other hosts.
func WriteProbeText(w io.Writer, d *Probe, o terminal.Output) error {
	t := &textWriter{w: bufio.NewWriter(w), o: o, l: d.language}
	v := &d.Verdict
	t.probeVerdict(d, v)
	var own *ProbeHost
	for i := range d.Hosts {
		if d.Hosts[i].Host == v.Host {
			own = &d.Hosts[i]
		}
	}
	t.heading(t.l.Probe("probe.differs"))
	if own != nil {
		t.matrix(own)
	}
	t.list("heading.next-steps", v.NextSteps, true)
	t.list("heading.refuted-by", v.RefutedBy, false)
	if len(d.Hosts) > 1 {
		t.heading(t.l.Probe("probe.others"))
		for i := range d.Hosts {
			if h := &d.Hosts[i]; h != own {
				t.bullet(h.Verdict.Summary + t.l.Label("semicolon") + t.probeFacts(&h.Verdict))
				t.matrix(h)
			}
		}
	}
	t.list("heading.not-assessed", v.NotAssessed, false)
	return t.w.Flush()
}

func (t *textWriter) probeVerdict(d *Probe, v *ProbeVerdict) {
	style := terminal.Green
	switch {
	case v.Cause == "not-run":
		style = terminal.Yellow
	case v.died:
		style = terminal.Red
	}
	for line := range strings.SplitSeq(terminal.Wrap(t.o.Text(v.Summary), t.o.Columns, "", ""), "\n") {
		t.line(t.o.Paint(terminal.Bold+style, line))
	}
	t.wrapped("", t.probeFacts(v))
	notes := v.Notes
	if d.Interrupted {
		notes = append(notes, t.l.Probe("probe.interrupted"))
	}
	for _, n := range notes {
		t.wrapped(t.l.Label("note"), n)
	}
}

// probeFacts tells cause, class, stage, place and level in one line.
func (t *textWriter) probeFacts(v *ProbeVerdict) string {
	return t.l.Probe("probe.cause", diagnose.Text("cause", v.Cause)) + t.l.Label("comma") +
		verdictFacts(t.l, &Verdict{Class: v.Class, Stage: v.Stage, Place: v.Place, Level: v.Level, Died: v.died})
}

// matrix prints what each arm came to, lane by lane.
func (t *textWriter) matrix(h *ProbeHost) {
	var lanes [][]ProbeCell
next:
	for _, c := range h.Matrix {
		for i := range lanes {
			if lanes[i][0].lane == c.lane {
				lanes[i] = append(lanes[i], c)
				continue next
			}
		}
		lanes = append(lanes, []ProbeCell{c})
	}
	for _, lane := range lanes {
		t.wrapped("  ", laneTitle(t.l, &lane[0]))
		name, result := 0, 0
		for i := range lane {
			name = max(name, terminal.Width(t.l.Probe("arm."+lane[i].Arm)))
			result = max(result, terminal.Width(outcome(t.l, &lane[i])))
		}
		for i := range lane {
			t.cell(&lane[i], name, result)
		}
		t.shown(lane)
	}
}

// shown tells what a lane's server has shown: who issued its certificate, and
// where it redirects to.
func (t *textWriter) shown(lane []ProbeCell) {
	for i := range lane {
		c := &lane[i]
		if c.Arm != string(probe.Default) {
			continue
		}
		if c.Issuer != "" {
			t.wrapped("    ", t.l.Probe("lane.issuer", diagnose.Text("issuer", c.Issuer)))
		}
		if c.Location != "" {
			t.wrapped("    ", t.l.Probe("lane.redirect", diagnose.Text("location", c.Location)))
		}
	}
}

// cell prints one row; where it does not fit, the outcome goes to a line of
// its own.
func (t *textWriter) cell(c *ProbeCell, name, result int) {
	arm, what, class := t.l.Probe("arm."+c.Arm), outcome(t.l, c), ""
	if c.Died > 0 || c.Passed == 0 {
		class = c.Class
	}
	style := terminal.Style("")
	switch {
	case c.Died > 0:
		style = terminal.Red
	case c.Passed == 0:
		style = terminal.Yellow
	}
	pad := func(s string, n int) string { return s + strings.Repeat(" ", max(n-terminal.Width(s), 0)) }
	if 6+name+result+len(class) > t.o.Columns {
		t.wrapped("    ", arm)
		t.line("      " + t.o.Paint(style, strings.TrimRight(what+"  "+class, " ")))
		return
	}
	t.line("    " + t.o.Text(pad(arm, name)) + "  " + t.o.Paint(style, strings.TrimRight(pad(what, result)+"  "+class, " ")))
}
