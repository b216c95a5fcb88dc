package probe

import (
	"net/netip"
	"slices"

	"goproxytrace/analyze/diagnose"
)

// lookupLanes are the ways to a host's addresses.
func (o *Options) lookupLanes() (out []Lane) {
	for _, t := range o.Targets {
		if _, err := netip.ParseAddr(t.Host); err == nil {
			continue
		}
		out = append(out, Lane{Host: t.Host, Port: t.Port})
		for _, r := range o.Resolvers {
			if len(o.Groups) == 0 || o.asked(GroupDNS) {
				out = append(out, Lane{Host: t.Host, Port: t.Port, Resolver: r})
			}
		}
	}
	return out
}

// connectionLanes are the ways to the hosts, once their addresses are known.
// Through a proxy comes first where the go command would go that way.
func (o *Options) connectionLanes(found []*Attempt) (out []Lane) {
	for _, t := range o.Targets {
		proxy := via(o.ProxyFor(t.Host, t.Port))
		if proxy != "" {
			out = append(out, Lane{Host: t.Host, Port: t.Port, Via: proxy})
			if len(o.Groups) > 0 && !o.asked(GroupProxy) {
				continue
			}
		}
		list := o.addresses(t, found)
		if len(o.Groups) > 0 && !o.asked(GroupAddress) && !o.asked(GroupFamily) && !o.asked(GroupDNS) || proxy != "" {
			list = list[:min(len(list), 1)]
		}
		for _, a := range list {
			out = append(out, Lane{Host: t.Host, Port: t.Port, Address: a})
		}
	}
	return append(out, o.borrowedLanes(out)...)
}

// borrowedLanes ask the address of another host for a name, where a host has
// one address of a family alone.
func (o *Options) borrowedLanes(lanes []Lane) (out []Lane) {
	if len(o.Groups) > 0 && !o.asked(GroupName) && !o.asked(GroupAddress) {
		return nil
	}
	for i, l := range lanes {
		first := slices.IndexFunc(lanes, func(m Lane) bool { return m.Host == l.Host && m.Address.IsValid() }) == i
		if !first {
			continue
		}
		for _, m := range lanes {
			if m.Host != l.Host && m.Port == l.Port && m.Address.IsValid() && m.Address.Is4() == l.Address.Is4() && m.Address != l.Address {
				out = append(out, Lane{Host: l.Host, Port: l.Port, Address: m.Address, Borrowed: true})
				break
			}
		}
	}
	return out
}

// addresses are those of a host that are probed: as the system gives them, and
// what else came to a question, in whatever answer.
func (o *Options) addresses(t Target, found []*Attempt) (out []netip.Addr) {
	counts := map[bool]int{}
	var unreachable []netip.Addr
	add := func(a netip.Addr) {
		if a = a.Unmap(); a.IsValid() && !o.Reachable(a) {
			unreachable = append(unreachable, a)
			return
		}
		if !a.IsValid() || a.IsUnspecified() || a.IsMulticast() || slices.Contains(out, a) || counts[a.Is4()] >= maxAddresses {
			return
		}
		if o.Family == 4 && !a.Is4() || o.Family == 6 && a.Is4() {
			return
		}
		counts[a.Is4()]++
		out = append(out, a)
	}
	if a, err := netip.ParseAddr(t.Host); err == nil {
		add(a)
		return append(out, unreachable...)
	}
	each := func(want func(*Attempt) bool, from int) {
		for _, a := range found {
			if a.Host != t.Host || !want(a) {
				continue
			}
			for _, answer := range a.Answers[min(from, len(a.Answers)):] {
				for _, x := range answer.Addresses {
					add(x)
				}
			}
		}
	}
	// The first address of each kind of answer comes first: with two answers
	// to one question, both are to be tried.
	for _, a := range found {
		if a.Host == t.Host && a.Arm == SystemLookup && len(a.Answers) > 0 && len(a.Answers[0].Addresses) > 0 {
			add(a.Answers[0].Addresses[0])
			break
		}
	}
	each(func(a *Attempt) bool { return a.Class == diagnose.DNSForged }, 1)
	each(func(a *Attempt) bool { return a.Arm == SystemLookup }, 0)
	each(func(a *Attempt) bool { return a.Arm != SystemLookup }, 0)
	if len(out) == 0 && len(unreachable) > 0 {
		return unreachable[:1] // that there is no route is what the attempt shows
	}
	return out
}
