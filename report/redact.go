package report

import (
	"slices"
	"strings"

	"goproxytrace/analyze"
	"goproxytrace/analyze/diagnose"
	"goproxytrace/redact"
)

// redacted returns a copy of a result in which nothing private is left, but for
// its connections: those are replaced one by one as they are read (Row).
// Values are replaced before sentences are made of them.
func redacted(r *analyze.Result, x *redact.Redactor) *analyze.Result {
	v := redactor{x}
	out := *r
	out.Capture = v.capture(&r.Capture)
	out.Verdict = v.verdict(&r.Verdict)
	out.Targets = x.HostList(r.Targets)
	out.Processes = each(r.Processes, func(p *analyze.ProcessVerdict) {
		p.Command = x.CommandLine(p.Command)
		p.Verdict = v.verdict(&p.Verdict)
	})
	out.Unanswered = each(r.Unanswered, func(u *analyze.Unanswered) {
		if u.Server != "others" {
			u.Server = x.Endpoint(u.Server)
		}
	})
	out.Lookups = each(r.Lookups, func(l *analyze.Lookup) {
		l.Name, l.Client, l.Server = x.Host(l.Name), x.Endpoint(l.Client), x.Endpoint(l.Server)
		l.Answers = x.HostList(l.Answers)
		l.Messages = each(l.Messages, func(m *analyze.LookupMessage) { m.From, m.Answers = x.Endpoint(m.From), x.HostList(m.Answers) })
		l.Verdict = v.verdict(&l.Verdict)
	})
	out.Attempts = each(r.Attempts, func(a *analyze.Attempt) {
		a.Target, a.Host, a.Error = x.Endpoint(a.Target), x.Host(a.Host), x.Text(a.Error)
		a.Verdict = v.verdict(&a.Verdict)
	})
	out.Events = each(r.Events, func(e *analyze.Event) {
		if e.Foreign {
			e.Source, e.Text = "journal", "…"
			return
		}
		e.Source, e.Text = x.Text(e.Source), x.Text(e.Text)
	})
	out.GoStatements = each(r.GoStatements, func(s *diagnose.GoCheck) {
		s.Text, s.Host, s.Phrase, s.Reason = x.Text(s.Text), x.Host(s.Host), x.Text(s.Phrase), x.Text(s.Reason)
		s.Local, s.Remote = x.AddrPort(s.Local), x.AddrPort(s.Remote)
	})
	out.Private = nil
	if strings.Trim(out.GoVersion, "go0123456789.-rcbetadvl") != "" {
		out.GoVersion = "…" // of nobody's release
	}
	return &out
}

// each returns a copy of a list with each element changed.
func each[T any](list []T, change func(*T)) []T {
	out := slices.Clone(list)
	for i := range out {
		change(&out[i])
	}
	return out
}

// redactor replaces what is private in the parts of a result.
type redactor struct{ *redact.Redactor }

func (x redactor) capture(in *analyze.Capture) analyze.Capture {
	out := *in
	out.File = x.Path(in.File)
	out.Interfaces = slices.Clone(in.Interfaces)
	for i := range out.Interfaces {
		f := &out.Interfaces[i]
		f.Name, f.Description, f.Hardware, f.OS = x.Interface(f.Name), "", "", ""
		f.Filter = x.Filter(f.Filter)
	}
	out.Health = each(in.Health, func(h *analyze.HealthFact) { h.Evidence = x.evidence(&h.Evidence) })
	out.Notes = each(in.Notes, func(s *string) {
		if text, ok := strings.CutPrefix(*s, "comment: "); ok {
			*s = "comment: " + redact.Blank(text)
			return
		}
		*s = x.Text(*s)
	})
	return out
}

// connection returns a copy of a connection.
func (x redactor) connection(in *analyze.Connection) *analyze.Connection {
	out := *in
	out.Client, out.Server, out.ServerName = x.Endpoint(in.Client), x.Endpoint(in.Server), x.Host(in.ServerName)
	out.Process, out.ServerProcess = x.process(in.Process), x.process(in.ServerProcess)
	if in.Proxy != nil {
		p := *in.Proxy
		p.Target, p.Reason = x.Target(p.Target), x.Phrase(p.Reason)
		out.Proxy = &p
	}
	out.ICMP = each(in.ICMP, func(e *analyze.ICMP) { e.From = x.Endpoint(e.From) })
	if in.TLS != nil {
		t := *in.TLS
		t.ALPN = each(t.ALPN, func(s *string) { *s = x.Protocol(*s) })
		t.ALPNChosen = x.Protocol(t.ALPNChosen)
		before := ""
		t.Certificates = each(t.Certificates, func(c *analyze.Certificate) {
			issuer := c.Issuer
			c.Subject = x.Name(c.Subject, c.SelfSigned || before != "" && c.Subject == before)
			c.Issuer, c.Names = x.Name(c.Issuer, true), x.HostList(c.Names)
			before = issuer
		})
		out.TLS = &t
	}
	out.Verdict = x.verdict(&in.Verdict)
	return &out
}

func (x redactor) process(in *analyze.Process) *analyze.Process {
	if in == nil {
		return nil
	}
	out := *in
	out.Command = x.CommandLine(in.Command)
	return &out
}

// verdict returns a copy of a verdict.
func (x redactor) verdict(in *diagnose.Verdict) diagnose.Verdict {
	out := *in
	out.Values = x.values("", in.Values)
	out.Evidence = each(in.Evidence, func(e *diagnose.Evidence) { *e = x.evidence(e) })
	return out
}

func (x redactor) evidence(in *diagnose.Evidence) diagnose.Evidence {
	out := *in
	out.Values = x.values(in.ID, in.Values)
	return out
}

func (x redactor) values(id string, list []diagnose.Value) []diagnose.Value {
	return each(list, func(v *diagnose.Value) {
		if v.Unit != diagnose.UnitText || v.Text == "" {
			return
		}
		switch by := valueKinds[v.Name]; {
		case v.Name == "subject":
			issued := slices.ContainsFunc(list, func(o diagnose.Value) bool { return o.Name == "issuer" && o.Text == v.Text })
			v.Text = x.Name(v.Text, issued)
		case id == "go.certificate-reason" || id == "host.unread" || by == nil:
			v.Text = x.Text(v.Text)
		default:
			v.Text = by(x.Redactor, v.Text)
		}
	})
}

// valueKinds say what the texts of values mean, by their names; those that are
// not listed are free text.
var valueKinds = map[string]func(*redact.Redactor, string) string{
	"address":   (*redact.Redactor).Endpoint,
	"host":      (*redact.Redactor).Endpoint,
	"name":      (*redact.Redactor).Host,
	"neighbour": (*redact.Redactor).Endpoint,
	"router":    (*redact.Redactor).Endpoint,
	"proxy":     (*redact.Redactor).Endpoint,
	"next":      (*redact.Redactor).ProxyName,
	"previous":  (*redact.Redactor).ProxyName,
	"tried":     (*redact.Redactor).ProxyName,
	"target":    (*redact.Redactor).Target,
	"location":  (*redact.Redactor).Target,
	"path":      (*redact.Redactor).Target,
	"program":   (*redact.Redactor).Program,
	"reason":    (*redact.Redactor).Phrase,
	"issuer":    func(x *redact.Redactor, s string) string { return x.Name(s, true) },
	"scheme":    func(_ *redact.Redactor, s string) string { scheme, _, _ := strings.Cut(s, " "); return scheme },
	"answer":    answer,
	"bytes":     func(*redact.Redactor, string) string { return `"…"` },
	"server":    (*redact.Redactor).Products,
	"via":       (*redact.Redactor).Via,
	"names": func(x *redact.Redactor, s string) string {
		return strings.Join(x.HostList(strings.Split(s, ", ")), ", ")
	},
	// What says nothing about anybody, and the names of processes.
	"alert": whole, "class": whole, "owner": whole, "process": whole, "rcode": whole, "separator": whole, "state": whole, "source": whole,
}

func whole(_ *redact.Redactor, s string) string { return s }

// answer is what answered in place of what was asked for: bytes in quotes, or a
// status, or an address.
func answer(x *redact.Redactor, s string) string {
	if strings.HasPrefix(s, `"`) {
		return `"…"`
	}
	return x.Text(s)
}
