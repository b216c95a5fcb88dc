package analyze

import (
	"net/netip"

	"goproxytrace/redact"
)

// Teach tells a redactor what the analysis found out: which addresses are the
// clients', which modules are private, and the names to look for in texts. The
// order is that of the result, so that whoever begins with it gives the same
// pseudonyms.
func (r *Result) Teach(x *redact.Redactor) error {
	for _, patterns := range r.Private {
		x.LearnPrivate(patterns)
	}
	client := func(end string) {
		if a, err := netip.ParseAddrPort(end); err == nil {
			x.LearnClient(a.Addr())
		}
	}
	host := func(name string) {
		x.LearnHost(name)
		x.Host(name)
	}
	for _, t := range r.Targets {
		host(t)
	}
	if r.Connections != nil {
		for c, err := range r.Connections.All() {
			if err != nil {
				return err
			}
			client(c.Client)
			if c.ServerName != "" {
				host(c.ServerName)
			}
		}
	}
	for i := range r.Lookups {
		client(r.Lookups[i].Client)
		host(r.Lookups[i].Name)
	}
	for i := range r.Attempts {
		host(r.Attempts[i].Host)
	}
	for i := range r.GoStatements {
		if s := &r.GoStatements[i]; s.Local.IsValid() {
			x.LearnClient(s.Local.Addr())
		}
		host(r.GoStatements[i].Host)
	}
	// The users in paths, which stand alone elsewhere.
	for i := range r.Processes {
		x.Text(r.Processes[i].Command)
	}
	for i := range r.Events {
		x.Text(r.Events[i].Text)
	}
	for i := range r.GoStatements {
		x.Text(r.GoStatements[i].Text)
	}
	return r.endpoints(x)
}

// endpoints has all addresses replaced once. It comes when all clients are known.
func (r *Result) endpoints(x *redact.Redactor) error {
	if r.Connections != nil {
		for c, err := range r.Connections.All() {
			if err != nil {
				return err
			}
			x.Endpoint(c.Client)
			x.Endpoint(c.Server)
			for i := range c.ICMP {
				x.Endpoint(c.ICMP[i].From)
			}
		}
	}
	for i := range r.Lookups {
		l := &r.Lookups[i]
		x.Endpoint(l.Client)
		x.Endpoint(l.Server)
		x.HostList(l.Answers)
	}
	for i := range r.Attempts {
		x.Endpoint(r.Attempts[i].Target)
	}
	return nil
}
