package report

import (
	"net/netip"
	"strings"

	"goproxytrace/analyze"
	"goproxytrace/redact"
	"goproxytrace/report/messages"
)

// Redacted returns a copy of a document that was read (ReadJSON) in which nothing
// private is left; the document itself where it was written that way. Its
// sentences are finished, and the values in them no longer apart: one that
// quotes what anybody may have said is left out ("…"), the others are searched
// as free text is.
func Redacted(d *Document, x *redact.Redactor) *Document {
	if d.Pseudonyms {
		return d
	}
	teach(d, x)
	v := redactor{x}
	out := *d
	out.Pseudonyms = true
	out.Capture = v.readCapture(&d.Capture)
	out.Verdict = v.words(&d.Verdict)
	out.Targets = x.HostList(d.Targets)
	out.Processes = each(d.Processes, func(p *Process) {
		p.Command = x.CommandLine(p.Command)
		p.Verdict = v.words(&p.Verdict)
	})
	out.Unanswered = each(d.Unanswered, func(u *analyze.Unanswered) {
		if u.Server != "others" {
			u.Server = x.Endpoint(u.Server)
		}
	})
	out.Lookups = each(d.Lookups, func(l *Lookup) {
		l.Name, l.Client, l.Server = x.Host(l.Name), x.Endpoint(l.Client), x.Endpoint(l.Server)
		l.Answers = x.HostList(l.Answers)
		l.Verdict = v.words(&l.Verdict)
	})
	out.Attempts = each(d.Attempts, func(a *Attempt) {
		a.Target, a.Host, a.Error = x.Endpoint(a.Target), x.Host(a.Host), x.Text(a.Error)
		a.Verdict = v.words(&a.Verdict)
	})
	out.Events = each(d.Events, func(e *Event) {
		// Whether it is another program's, the document does not say.
		e.Source, e.Text = x.Text(e.Source), hidden
	})
	out.GoOutput = each(d.GoOutput, func(s *GoStatement) {
		s.Text, s.Host, s.Client, s.Server = x.Text(s.Text), x.Host(s.Host), x.Endpoint(s.Client), x.Endpoint(s.Server)
	})
	out.rows = make([]*Connection, 0, len(d.rows))
	for _, c := range d.rows {
		out.rows = append(out.rows, &Connection{v.connection(c.Connection), v.words(&c.Verdict)})
	}
	return &out
}

// hidden stands where something was that has no pseudonym.
const hidden = "…"

// teach tells a redactor what a document that was read tells: see
// analyze.Result.Teach.
func teach(d *Document, x *redact.Redactor) {
	client := func(end string) {
		if a, err := netip.ParseAddrPort(end); err == nil {
			x.LearnClient(a.Addr())
		}
	}
	host := func(name string) {
		if name != "" {
			x.LearnHost(name)
			x.Host(name)
		}
	}
	for _, t := range d.Targets {
		host(t)
	}
	for _, c := range d.rows {
		client(c.Client)
		host(c.ServerName)
	}
	for i := range d.Lookups {
		client(d.Lookups[i].Client)
		host(d.Lookups[i].Name)
	}
	for i := range d.Attempts {
		host(d.Attempts[i].Host)
	}
	for i := range d.GoOutput {
		client(d.GoOutput[i].Client)
		host(d.GoOutput[i].Host)
	}
	for i := range d.Processes {
		x.Text(d.Processes[i].Command)
	}
	for i := range d.Events {
		x.Text(d.Events[i].Text)
	}
	for i := range d.GoOutput {
		x.Text(d.GoOutput[i].Text)
	}
}

func (x redactor) readCapture(in *Capture) Capture {
	out := *in
	out.File = x.Path(in.File)
	if in.Damage != nil {
		damage := *in.Damage
		damage.Reason = x.Text(damage.Reason)
		out.Damage = &damage
	}
	out.Interfaces = each(in.Interfaces, func(f *Interface) {
		f.Name, f.Description, f.Filter = x.Interface(f.Name), "", x.Filter(f.Filter)
	})
	out.Health = each(in.Health, func(h *Health) { h.Text = x.Text(unquoted(h.Text)) })
	out.Notes = each(in.Notes, func(s *string) {
		if text, ok := strings.CutPrefix(*s, "comment: "); ok {
			*s = "comment: " + redact.Blank(text)
			return
		}
		*s = x.Text(*s)
	})
	return out
}

// words returns a copy of a verdict in words.
func (x redactor) words(in *Verdict) Verdict {
	out := *in
	out.Summary = x.Text(unquoted(in.Summary))
	out.Notes = each(in.Notes, func(s *string) { *s = x.Text(*s) })
	out.Evidence = each(in.Evidence, func(e *Evidence) { e.Text = x.sentence(e.ID, e.Text) })
	out.RefutedBy = each(in.RefutedBy, func(s *string) { *s = x.Text(*s) })
	out.NextSteps = each(in.NextSteps, func(s *string) { *s = x.Text(*s) })
	out.NotAssessed = each(in.NotAssessed, func(s *string) { *s = x.Text(*s) })
	return out
}

// sentence returns the sentence of an observation.
func (x redactor) sentence(id, text string) string {
	names, ok := messages.English.EvidenceNames(id)
	if !ok {
		return hidden
	}
	for _, n := range names {
		if !formed[n] {
			return hidden
		}
	}
	return x.Text(unquoted(text))
}

// unquoted leaves out a sentence that quotes bytes.
func unquoted(s string) string {
	if strings.Contains(s, `"`) {
		return hidden
	}
	return s
}

// formed are the values that a text shows by their form, or that are words of
// this program.
var formed = func() map[string]bool {
	out := make(map[string]bool)
	for n := range strings.FieldsSeq(`
		acknowledged address after alert bytes class code count delay expired first from have host late length mean most mtu name neighbour number own
		packets pid port queries quiet rate rcode router rtt second span state status syns to ttl type unread waited low high min max
	`) {
		out[n] = true
	}
	return out
}()
