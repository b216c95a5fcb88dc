package diagnose

import (
	"cmp"
	"slices"

	"goproxytrace/analyze/goproxy"
)

// GoConfig is what the go command was told to talk to.
type GoConfig struct {
	goproxy.Settings
	// Source says where GOPROXY comes from. Nothing is explained from Go's
	// defaults: nobody knows whether they were in force.
	Source goproxy.Source
	// Hosts counts the go command's requests by host, from its trace; nil
	// where unknown.
	Hosts map[string]goproxy.Requests
}

// known reports whether GOPROXY is known.
func (g *GoConfig) known() bool {
	return g != nil && g.GOPROXY != "" && g.Source != "" && g.Source != goproxy.FromDefaults
}

// Explain adds to the capture's verdict what GOPROXY has to do with it: what
// was to come after the host that failed, whether it was tried, and why not.
func (a *Aggregator) Explain(v *Verdict, g *GoConfig) {
	if !g.known() {
		return
	}
	list := g.Proxies()
	host := subjectHost(v)
	switch {
	case v.Class == OK:
		a.explainSuccess(v, g, list)
		return
	case !v.Died() || host == "":
		return
	}
	i := slices.IndexFunc(list, func(e goproxy.Entry) bool { return e.Endpoint.Host == host })
	if i < 0 {
		a.explainOther(v, g, list, host)
		return
	}
	a.cameFrom(v, g, list[:i], host)
	if i == len(list)-1 {
		v.evidence("fallback.none", nil, Text("host", host), Text("source", string(g.Source)))
		return
	}
	here, next := list[i], list[i+1]
	if next.Name == goproxy.Off {
		v.evidence("fallback.off", nil, Text("host", host), Text("source", string(g.Source)))
		return
	}
	if k := a.tried(next, list); k != nil {
		outcome := OK
		if k.death != nil && k.delivered == 0 {
			outcome = k.death.Class
		}
		v.evidence("fallback.tried", nil, Text("host", host), Text("next", next.Name), Text("tried", k.host), Text("class", string(outcome)), Text("source", string(g.Source)))
		return
	}
	switch {
	case waits(v.Class):
		v.evidence("fallback.waiting", nil, Text("host", host), Text("next", next.Name), Text("source", string(g.Source)))
	case !here.OnAnyError && v.Class != HTTPError:
		v.evidence("fallback.not-tried-comma", nil, Text("host", host), Text("next", next.Name), Text("source", string(g.Source)))
		v.advise("next.fallback-bar")
	case !here.OnAnyError && !notFound(v):
		v.evidence("fallback.not-tried-status", nil, Text("host", host), Text("next", next.Name), Text("source", string(g.Source)))
	default:
		v.evidence("fallback.not-seen", nil, Text("host", host), Text("next", next.Name), Text("source", string(g.Source)))
	}
}

// waits reports whether a verdict of class c leaves the go command waiting: it
// has no timer there, and what raises no error moves nothing on.
func waits(c Class) bool {
	switch c {
	case HTTPNoResponse, TransferRemoteIdle, TransferHeavyLoss, TransferReceiverStalled, ClientStalled, ClientAborted:
		return true
	}
	return false
}

// notFound reports whether the HTTP error is one after which a comma moves on.
func notFound(v *Verdict) bool {
	for i := range v.Values {
		if v.Values[i].Name == "status" {
			s := v.Values[i].Text
			return len(s) >= 3 && (s[:3] == "404" || s[:3] == "410")
		}
	}
	return false
}

// advise adds a next step.
func (v *Verdict) advise(id string) {
	if !slices.Contains(v.NextSteps, id) {
		v.NextSteps = append(slices.Clip(v.NextSteps), id)
	}
}

// tried returns the contact that shows that an entry of GOPROXY was used: its
// host, or for "direct" a host that modules are fetched from.
func (a *Aggregator) tried(e goproxy.Entry, list []goproxy.Entry) *contact {
	var found *contact
	for _, k := range a.contacts {
		if k.host == "" {
			continue
		}
		use := e.Endpoint.Host != "" && k.host == e.Endpoint.Host
		if e.Name == goproxy.Direct {
			use = goproxy.SourceHost(k.host) && k.relevance >= related && !checksumHost(k.host) &&
				!slices.ContainsFunc(list, func(o goproxy.Entry) bool { return o.Endpoint.Host == k.host })
		}
		if use && (found == nil || k.before(found)) {
			found = k
		}
	}
	return found
}

// before orders contacts, so that no result depends on the order of a map:
// those that delivered first, then by time.
func (k *contact) before(o *contact) bool {
	if (k.delivered > 0) != (o.delivered > 0) {
		return k.delivered > 0
	}
	return cmp.Or(cmp.Compare(k.first, o.first), cmp.Compare(k.host, o.host)) < 0
}

// failedAt returns the contact of host that died, one that also delivered first.
func (a *Aggregator) failedAt(host string) *contact {
	var found *contact
	for _, k := range a.contacts {
		if k.host == host && k.death != nil && (found == nil || k.before(found)) {
			found = k
		}
	}
	return found
}

// cameFrom tells why the go command was at host at all, where the entry before
// it in the list failed or, by its own trace, did not have the module.
func (a *Aggregator) cameFrom(v *Verdict, g *GoConfig, before []goproxy.Entry, host string) {
	if len(before) == 0 {
		return
	}
	prev := before[len(before)-1]
	switch k := a.failedAt(prev.Endpoint.Host); {
	case k != nil && prev.OnAnyError:
		v.evidence("fallback.after-failure", nil, Text("host", host), Text("previous", prev.Name), Text("class", string(k.death.Class)))
	case g.Hosts[prev.Endpoint.Host].NotFound > 0:
		v.evidence("fallback.after-not-found", nil, Text("host", host), Text("previous", prev.Name))
	}
}

// explainSuccess tells which entry's failure which other one made good.
func (a *Aggregator) explainSuccess(v *Verdict, g *GoConfig, list []goproxy.Entry) {
	if !slices.Contains(v.Notes, "fallback") {
		return
	}
	for i := range list[:max(len(list)-1, 0)] {
		k := a.failedAt(list[i].Endpoint.Host)
		if k == nil || list[i].Endpoint.Host == "" {
			continue
		}
		next := a.tried(list[i+1], list)
		if next == nil || next.delivered <= k.lastFatal || next.host == k.host {
			continue
		}
		separator := "comma"
		if list[i].OnAnyError {
			separator = "bar"
		}
		v.evidence("fallback.made-good", nil, Text("host", k.host), Text("class", string(k.death.Class)),
			Text("next", list[i+1].Name), Text("tried", next.host), Text("separator", separator), Text("source", string(g.Source)))
	}
}

// explainOther tells what a host is to the go command that no entry of GOPROXY
// names.
func (a *Aggregator) explainOther(v *Verdict, g *GoConfig, list []goproxy.Entry, host string) {
	if db, ok := g.SumDB(); ok && db.Endpoint.Host == host {
		if db.Explicit {
			v.evidence("fallback.sumdb-explicit", nil, Text("host", host))
		} else {
			v.evidence("fallback.sumdb", nil, Text("host", host), Text("path", db.SupportedPath()))
			v.advise("next.sumdb-proxy")
		}
		return
	}
	if goproxy.RedirectHost(host) {
		for _, e := range list {
			if k := a.tried(e, list); e.Endpoint.Host != "" && k != nil && k.delivered > 0 {
				v.evidence("fallback.redirect", nil, Text("host", host), Text("proxy", k.host))
				return
			}
		}
	}
	n := len(list)
	if n == 0 || list[n-1].Name != goproxy.Direct || !goproxy.SourceHost(host) {
		return
	}
	if n == 1 {
		v.evidence("fallback.direct-only", nil, Text("host", host), Text("source", string(g.Source)))
		return
	}
	v.evidence("fallback.direct", nil, Text("host", host), Text("previous", list[n-2].Name), Text("source", string(g.Source)))
	if g.Hosts[list[n-2].Endpoint.Host].NotFound > 0 {
		v.evidence("fallback.after-not-found", nil, Text("host", host), Text("previous", list[n-2].Name))
	}
}
