package analyze

import (
	"slices"

	"goproxytrace/analyze/diagnose"
	"goproxytrace/analyze/goproxy"
	"goproxytrace/capture/hostlog"
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
	// lines are what the host recorded of the command's output, nil for
	// nothing, or where the output is known otherwise.
	lines *goproxy.Lines
	given bool // the output was given by the caller
	// recorded is true where the settings are those that the host recorded.
	recorded bool
}

func newGoView(o *Options) goView {
	g := goView{text: diagnose.NewGoText(o.GoOutput)}
	g.config = &diagnose.GoConfig{Settings: o.Settings, Source: o.SettingsFrom}
	if out := o.GoOutput; out != nil {
		g.given = true
		g.config.Hosts = out.Hosts
		if out.Known {
			// The command's own surroundings go before those of this program.
			g.config.Settings, g.config.Source = out.Settings, goproxy.FromOutput
			g.targets = out.Settings.Hosts()
		}
	}
	return g
}

// line takes a line that the host recorded of the command's output.
func (g *goView) line(r *hostlog.Line) {
	if g.given {
		return
	}
	if g.lines == nil {
		g.lines = new(goproxy.Lines)
		g.text = diagnose.NewGoText(g.lines.Output())
		g.config.Hosts = g.lines.Output().Hosts
	}
	before := len(g.lines.Output().Statements)
	g.lines.Add(r.Text, r.Time)
	if len(g.lines.Output().Statements) > before {
		g.text.Extend()
	}
}

// output is what the command printed, nil where not known.
func (g *goView) output(o *Options) *goproxy.Output {
	if g.lines != nil {
		return g.lines.Output()
	}
	return o.GoOutput
}

// setting takes a setting that the host recorded; it reports whether that
// bears on what is contacted. What go env printed counts before what the
// environment says of the same name, which go env has regarded.
func (g *goView) setting(r *hostlog.Setting) bool {
	if g.config.Source == goproxy.FromOutput {
		return false
	}
	if !g.recorded {
		if _, ok := settingOf(&goproxy.Settings{}, r.Name); !ok {
			return false
		}
		g.recorded = true
		g.config.Settings, g.config.Source = goproxy.Settings{}, goproxy.FromCapture
	}
	field, ok := settingOf(&g.config.Settings, r.Name)
	if !ok || *field != "" && r.From != "go env" {
		return false
	}
	*field = clipped(r.Value, maxSetting)
	return true
}

// maxSetting bounds a setting that is kept, in bytes.
const maxSetting = 16 << 10

// settingOf returns the place of a setting.
func settingOf(s *goproxy.Settings, name string) (field *string, ok bool) {
	switch name {
	case "GOPROXY":
		return &s.GOPROXY, true
	case "GOSUMDB":
		return &s.GOSUMDB, true
	case "GOPRIVATE":
		return &s.GOPRIVATE, true
	case "GONOPROXY":
		return &s.GONOPROXY, true
	case "GONOSUMDB":
		return &s.GONOSUMDB, true
	}
	return nil, false
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
	for _, p := range []string{g.config.Settings.GOPRIVATE, g.config.Settings.GONOPROXY, g.config.Settings.GONOSUMDB} {
		if p != "" {
			r.Private = append(r.Private, p)
		}
	}
}
