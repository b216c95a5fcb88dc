package diagnose

import (
	"slices"

	"goproxytrace/analyze/decode"
	"goproxytrace/analyze/tcpflow"
)

// A security product or agent can make the TLS connection in the go command's
// place (L7): go's own socket then ends on this machine, at loopback or at a TUN
// device, and the connection on the wire belongs to the product. Only recorded
// owners tell the one from the other.

// maxLegs bounds the TLS connections with an owner that are remembered.
const maxLegs = 512

// leg is a TLS connection whose owner the capture records.
type leg struct {
	key         contactKey
	conn        int64
	hello       tcpflow.Point
	start, last int64
	// loop is true where it ends on this machine, tun where it goes to an
	// address that local proxies hand out.
	loop, tun bool
	// direct is true where the ClientHello came first: no CONNECT and no other
	// greeting of a proxy that the client knows of.
	direct bool
	// fine is true where TLS came about and nothing ended it; one on which
	// nothing is known to be due may be quiet.
	fine bool
}

// local reports whether it ends on this machine.
func (l *leg) local() bool { return l.loop || l.tun }

// standIn reports whether a is one of the addresses that local proxies hand out
// in place of real ones (RFC 2544, 198.18.0.0/15).
func standIn(a decode.Addr) bool {
	return isV4(a) && a[12] == 198 && a[13]&0xfe == 18
}

// leg remembers a judged TLS connection with an owner.
func (a *Aggregator) leg(w *view, id int64, v *Verdict) {
	if w.hello == nil || w.c.ProcessID == 0 || w.f.ServerName == "" || len(a.legs) >= maxLegs {
		return
	}
	server := w.c.ServerEnd().Addr
	a.legs = append(a.legs, leg{
		key:  contactKey{plainName(w.f.ServerName), server, w.f.owner()},
		conn: id, hello: tcpflow.Point(w.hello.First), start: w.c.Start.Time, last: w.c.Last.Time,
		loop: w.c.Loopback, tun: standIn(server),
		direct: w.f.Request == nil && w.hello.Offset == 0,
		fine:   (!v.Died() || v.idle) && w.shaken(),
	})
}

// relay returns the connection on the wire that another process made to the same
// host while the client's own local one, of the given connection, was there.
func (a *Aggregator) relay(conn int64) (own, wire *leg) {
	i := slices.IndexFunc(a.legs, func(l leg) bool { return l.conn == conn })
	if i < 0 || !a.legs[i].local() || !a.legs[i].direct {
		return nil, nil
	}
	own = &a.legs[i]
	for i := range a.legs {
		l := &a.legs[i]
		if l.local() || l.key.host != own.key.host || l.key.pid == own.key.pid || l.start < own.start || l.start > own.last {
			continue
		}
		if wire == nil || l.fine && !wire.fine {
			wire = l
		}
	}
	return own, wire
}

// interception judges a death on a connection that ends on this machine although
// its host does not. Where another process's connection to that host went well
// meanwhile, the death lies between the client and that process; else it is the
// one on the wire that counts. A proxy that the client was told of (CONNECT) is
// none of it, and what the client did itself stays its own.
func (a *Aggregator) interception(k *contact, env *Env) (*contact, Verdict) {
	v := a.verification(k)
	if !slices.Contains(v.Place, Network) && !slices.Contains(v.Place, Remote) {
		return k, v
	}
	own, wire := a.relay(k.conn)
	if wire == nil {
		return k, v
	}
	if !wire.fine {
		if beyond := a.contacts[wire.key]; beyond != nil && beyond.death != nil {
			k, v = beyond, *beyond.death
			v.Evidence = slices.Clip(v.Evidence)
			v.evidence("relay.owner", frames(own.hello, wire.hello), Text("host", own.key.host), Num("own", int64(own.key.pid)),
				Num("pid", int64(wire.key.pid)), Text("owner", env.owner(wire.key.pid)))
		}
		return k, v
	}
	level := Proven
	if own.tun {
		level = Suggested
	}
	was := v
	v = newVerdict(TLSLocalInterception, level, inHost, slices.Concat(was.Values, []Value{Text("owner", env.owner(wire.key.pid))})...)
	v.failed, v.NotAssessed, v.Notes = was.failed, was.NotAssessed, was.Notes
	v.evidence("relay.owner", frames(own.hello, wire.hello), Text("host", own.key.host), Num("own", int64(own.key.pid)),
		Num("pid", int64(wire.key.pid)), Text("owner", env.owner(wire.key.pid)))
	if len(was.Evidence) > 0 {
		v.evidence("relay.died", was.Evidence[0].Frames, Text("class", string(was.Class)))
	}
	return k, v
}

// owner returns the name of a process, empty where the capture has none.
func (e *Env) owner(pid uint32) string {
	if e.Owner == nil {
		return ""
	}
	return e.Owner(pid)
}
