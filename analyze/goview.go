package analyze

import (
	"slices"

	"goproxytrace/analyze/diagnose"
	"goproxytrace/analyze/goproxy"
)

// maxHeld bounds the connections that wait for the end of the analysis because
// the go command's words may yet decide their verdict.
const maxHeld = 64

// goView is the go command's side of an analysis: what it was told to talk to
// and what it said.
type goView struct {
	text   *diagnose.GoText
	config *diagnose.GoConfig
	// targets are hosts that only the go command's output names.
	targets []string
	held    []*Connection
}

func newGoView(o *Options) goView {
	g := goView{text: diagnose.NewGoText(o.GoOutput)}
	g.config = &diagnose.GoConfig{Settings: o.Settings, Source: o.SettingsFrom}
	if out := o.GoOutput; out != nil {
		g.config.Hosts = out.Hosts
		if out.Known {
			// The command's own surroundings go before those of this program.
			g.config.Settings, g.config.Source = out.Settings, goproxy.FromOutput
			g.targets = out.Settings.Hosts()
		}
	}
	return g
}

// target reports whether the go command's own words make name one of its hosts.
func (g *goView) target(name string) bool {
	return g.text.Knows(name) || slices.Contains(g.targets, name)
}

// hold keeps a connection back from the store; it reports whether it did.
func (g *goView) hold(c *Connection) bool {
	if len(g.held) >= maxHeld {
		return false
	}
	g.held = append(g.held, c)
	return true
}

// goVerdict completes the capture's verdict with the go command's view.
func (p *pipeline) goVerdict() {
	r, g := p.result, &p.goView
	narrowed := len(p.opts.Hosts)+len(p.opts.Ports) > 0
	before := r.Subject
	subject, only := g.text.Verdict(&r.Verdict, r.Subject, narrowed)
	if r.Subject = subject; subject != before {
		r.SubjectLookup = -1
	}
	p.agg.Explain(&r.Verdict, g.config)
	for _, c := range g.held {
		if c.ID == only {
			c.Verdict = g.text.HTTPError()
		}
		r.Connections.Add(c)
	}
	g.held = nil
	r.GoStatements = g.text.Checks()
}
