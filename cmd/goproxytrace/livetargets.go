package main

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"goproxytrace/analyze/goproxy"
	"goproxytrace/capture/hostlog"
	"goproxytrace/capture/nic"
	"goproxytrace/live"
)

// target is a server that a download contacts.
type target struct {
	goproxy.Endpoint
	// Role says what it is: "module proxy", "checksum database",
	// "HTTP proxy", "name server".
	Role      string
	Addresses []netip.Addr
	// Took is how long the lookup took; Err is its error.
	Took time.Duration
	Err  error
}

// settingsOf makes settings of what a host recorded.
func settingsOf(records []*hostlog.Setting) goproxy.Settings {
	v := map[string]string{}
	for _, r := range records {
		v[r.Name] = r.Value
	}
	return goproxy.Settings{
		GOPROXY: v["GOPROXY"], GOSUMDB: v["GOSUMDB"], GOPRIVATE: v["GOPRIVATE"], GONOPROXY: v["GONOPROXY"], GONOSUMDB: v["GONOSUMDB"],
	}
}

// targetsOf lists the servers that settings and environment name, each once.
func targetsOf(s goproxy.Settings, getenv func(string) string) []target {
	var out []target
	add := func(role string, e goproxy.Endpoint) {
		if e.Host != "" && !slices.ContainsFunc(out, func(t target) bool { return t.Endpoint == e }) {
			out = append(out, target{Endpoint: e, Role: role})
		}
	}
	for _, p := range s.Proxies() {
		add("module proxy", p.Endpoint)
	}
	if db, ok := s.SumDB(); ok {
		add("checksum database", db.Endpoint)
	}
	for _, e := range live.Proxies(getenv) {
		add("HTTP proxy", e)
	}
	return out
}

func endpointsOf(targets []target) []goproxy.Endpoint {
	var out []goproxy.Endpoint
	for _, t := range targets {
		out = append(out, t.Endpoint)
	}
	return out
}

// resolve finds the targets' addresses, all at once.
func resolve(ctx context.Context, targets []target, limit time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var all sync.WaitGroup
	for i := range targets {
		t := &targets[i]
		if a, err := netip.ParseAddr(t.Host); err == nil {
			t.Addresses = []netip.Addr{a}
			continue
		}
		all.Go(func() {
			begin := time.Now()
			t.Addresses, t.Err = net.DefaultResolver.LookupNetIP(ctx, "ip", t.Host)
			t.Took = time.Since(begin)
			for j, a := range t.Addresses {
				t.Addresses[j] = a.Unmap()
			}
		})
	}
	all.Wait()
}

// chooseInterfaces finds those that lead to the servers and peers, and
// loopback. Names are looked up only where it makes a difference: a lookup of
// ours may fill a cache and so hide one of the go command's.
func chooseInterfaces(ctx context.Context, targets []target, peers []netip.Addr) ([]string, error) {
	chosen, err := nic.Default()
	if err != nil {
		return nil, err
	}
	add := func(list []nic.Interface) {
		for _, i := range list {
			if !slices.ContainsFunc(chosen, func(c nic.Interface) bool { return c.Name == i.Name }) {
				chosen = append(chosen, i)
			}
		}
	}
	all, err := nic.List()
	if err != nil {
		return nil, err
	}
	wanted := slices.Concat(peers, nameServers())
	others := slices.ContainsFunc(all, func(i nic.Interface) bool {
		return i.Up && !i.Loopback && i.Unreadable == "" && !slices.ContainsFunc(chosen, func(c nic.Interface) bool { return c.Name == i.Name })
	})
	if others {
		resolve(ctx, targets, lookupLimit)
	}
	for _, t := range targets {
		if a, err := netip.ParseAddr(t.Host); err == nil {
			wanted = append(wanted, a)
		}
		wanted = append(wanted, t.Addresses...)
	}
	if len(wanted) > 0 {
		routed, _ := nic.RouteTo(wanted) // an address without a route has no interface
		add(routed)
	}
	add(slices.DeleteFunc(all, func(i nic.Interface) bool { return !i.Loopback || !i.Up }))
	var names []string
	for _, i := range chosen {
		if i.Unreadable == "" {
			names = append(names, i.Name)
		}
	}
	return names, nil
}

// lookupLimit bounds the lookups before a capture: a resolver that is dead must
// not delay what is to be observed for long.
const lookupLimit = 1500 * time.Millisecond
