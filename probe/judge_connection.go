package probe

import (
	"net/http"
	"slices"
	"time"

	"goproxytrace/analyze/diagnose"
)

// local are classes that packets put on this host.
var local = []diagnose.Class{
	diagnose.ConnectNotSent, diagnose.ConnectRejectedLocally, diagnose.ConnectAnswerIgnored,
	diagnose.TLSClientHelloNotSent, diagnose.TLSAnswerIgnored, diagnose.TLSLocalInterception,
}

// ownBlock judges where the packets of all attempts that count, or the
// system's own word, put it here. One alone may be a packet that was lost.
func (j *judge) ownBlock(d *Cell) (Finding, bool) {
	var last *Attempt
	for _, a := range d.Attempts {
		switch {
		case !a.Died() || a.Shadowed && !j.quick:
		case !slices.Contains(local, a.Class) || !a.ByPackets && a.End != Forbidden:
			return Finding{}, false
		default:
			last = a
		}
	}
	if last == nil {
		return Finding{}, false
	}
	f := j.make(LocalBlock, d, here)
	f.Class, f.Place, f.Level = last.Class, here, last.Level
	if last.ByPackets && f.Level == diagnose.Consistent && d.Died >= j.o.Repeats && last.Class == diagnose.ConnectNotSent {
		// This program has made the call itself, each time, and the capture
		// holds its other packets.
		f.Level = diagnose.Suggested
	}
	return f, true
}

// connectFinding judges an address that nobody gets through to.
func (j *judge) connectFinding(d *Cell) Finding {
	if f, ok := j.ownBlock(d); ok {
		return f
	}
	if d.Via != "" {
		return j.make(ProxyFailure, d, beyond, j.direct())
	}
	if f, ok := j.familyFinding(d); ok {
		return f
	}
	port := j.at(d.Lane, OtherPort)
	if port.alwaysPassed() {
		return j.make(PortBlock, d, beyond, port)
	}
	if other := j.sibling(d); other != nil {
		return j.make(AddressBlock, d, beyond, other, port)
	}
	return j.make(AddressBlock, d, beyond, port, j.elsewhere())
}

// familyFinding judges where one family always dies and the other always
// passes.
func (j *judge) familyFinding(d *Cell) (Finding, bool) {
	passed, died := j.families()
	four := d.Address.Is4()
	if !d.Address.IsValid() || died[four] == 0 || passed[four] > 0 || passed[!four] == 0 || died[!four] > 0 {
		return Finding{}, false
	}
	other := slices.IndexFunc(j.defaults(), func(c *Cell) bool { return c.Address.Is4() != four && c.alwaysPassed() })
	return j.make(Family, d, beyond, j.defaults()[other]), true
}

// sibling is the same host at another address, where that passes.
func (j *judge) sibling(d *Cell) *Cell {
	for _, c := range j.defaults() {
		if c.Address != d.Address && c.alwaysPassed() {
			return c
		}
	}
	return nil
}

// direct is the way without the proxy.
func (j *judge) direct() *Cell {
	list := j.defaults()
	if len(list) == 0 {
		return nil
	}
	return list[0]
}

// elsewhere is another host's own way, where that passes: this host's
// connection to the world is not the matter.
func (j *judge) elsewhere() *Cell {
	d := j.main()
	for _, t := range j.o.Targets {
		if d != nil && t.Host == d.Host {
			continue
		}
		m := matrix{cells(t.Host, j.all, j.quick), j.quick}
		if c := m.main(); c.alwaysPassed() {
			return c
		}
	}
	return nil
}

// handshakeFinding judges a handshake that dies.
func (j *judge) handshakeFinding(d *Cell) Finding {
	name := j.at(d.Lane, OtherName)
	if d.End == Certificate {
		return j.certificateFinding(d, name)
	}
	if f, ok := j.ownBlock(d); ok {
		return f
	}
	small, padded, segments := j.at(d.Lane, NoMLKEM), j.at(d.Lane, Padded), j.at(d.Lane, SmallSegments)
	switch {
	case d.End == Timeout && segments.alwaysPassed() && (small.alwaysPassed() || !name.alwaysPassed()):
		// An answer for another name is as large: where that passes and a small
		// ClientHello does not, size is not the matter. What is lost is silent.
		return j.make(PathMTU, d, []diagnose.Place{diagnose.Network}, segments, small)
	case small.alwaysPassed() && padded.alwaysPassed():
		return j.make(PostQuantum, d, beyond, small, padded)
	case small.alwaysPassed():
		return j.make(LargeHello, d, beyond, small, padded, segments)
	}
	if answered(d) && !(name.alwaysPassed() && !alerted(name)) {
		// It answers, other than in a handshake, whatever the name: no name and
		// no address is blocked.
		f := j.make(Undecided, d, beyond, name, small, j.sibling(d))
		f.Level = diagnose.Consistent
		return f
	}
	if name.alwaysPassed() {
		return j.make(NameBlock, d, beyond, name, small, j.borrowed())
	}
	if f, ok := j.familyFinding(d); ok {
		return f
	}
	if other := j.sibling(d); other != nil {
		return j.make(AddressBlock, d, beyond, other, name)
	}
	if segments.alwaysPassed() {
		f := j.make(Undecided, d, beyond, segments, name, small)
		f.Level = diagnose.Consistent
		return f
	}
	if d.Class == diagnose.TLSNoServerHello || d.Class == diagnose.TLSServerFlightStalled {
		if name.alwaysDied() && (small == nil || small.alwaysDied()) {
			return j.make(SilentServer, d, beyond, name, small)
		}
	}
	if name.alwaysDied() && small.alwaysDied() {
		return j.make(AddressBlock, d, beyond, name, small)
	}
	f := j.make(Undecided, d, beyond, name, small, padded, segments)
	f.Level = diagnose.Consistent
	return f
}

// answered reports whether the far end said something that is no handshake: an
// alert, another protocol or version. Nothing was held back then.
func answered(c *Cell) bool { return c.End == Alert || c.End == NotTLS || c.End == Failed }

// alerted reports whether a cell passed by alerts, which are answers where
// another name is asked for.
func alerted(c *Cell) bool {
	return slices.ContainsFunc(c.Attempts, func(a *Attempt) bool { return !a.Died() && a.TLS == 0 && len(a.Chain) == 0 })
}

// borrowed is the same name at another host's address.
func (j *judge) borrowed() *Cell { return j.cell(func(c *Cell) bool { return c.Arm == OtherAddress }) }

// certificateFinding judges a certificate that the go command refuses. A box
// that inspects makes certificates for whatever name it is asked for; a server
// has one for its own.
func (j *judge) certificateFinding(d, name *Cell) Finding {
	if !j.made(d, name) {
		f := j.make(BadCert, d, anywhere, name)
		f.Level = diagnose.Consistent
		return f
	}
	f := j.make(Inspection, d, []diagnose.Place{diagnose.Host, diagnose.Network}, name)
	if d.Died >= j.o.Repeats && name.Passed >= j.o.Repeats {
		f.Level = diagnose.Suggested
	}
	// The packets say that the certificate was refused, not who made it.
	f.Place = []diagnose.Place{diagnose.Host, diagnose.Network}
	return f
}

// made reports whether who issued the certificate of a lane made one for the
// harmless name, too: no authority does that for a server which is not that
// name's. A public one may have, at an address that many names share.
func (j *judge) made(d, name *Cell) bool {
	issuer := issuerOf(d)
	return name.alwaysPassed() && !public(name) && issuerOf(name) == issuer && issuer != "" && shows(name, j.o.HarmlessName)
}

// public reports whether a certificate of an authority on Mozilla's list was
// shown.
func public(c *Cell) bool {
	return slices.ContainsFunc(c.Attempts, func(a *Attempt) bool { return len(a.Chain) > 0 && a.Chain[0].Public })
}

// shows reports whether a certificate for a name was shown.
func shows(c *Cell, name string) bool {
	for _, a := range c.Attempts {
		if len(a.Chain) > 0 && slices.Contains(a.Chain[0].Names, name) {
			return true
		}
	}
	return false
}

// proxyFinding judges what a CONNECT proxy did.
func (j *judge) proxyFinding(d *Cell) Finding {
	if d.End == Status {
		f := j.make(ProxyRefusal, d, far, j.direct())
		f.Place, f.Level = far, diagnose.Proven // its own words
		return f
	}
	return j.make(ProxyFailure, d, beyond, j.direct())
}

// requestFinding judges where the handshake is done.
func (j *judge) requestFinding(d *Cell) Finding {
	if d.End == Status {
		f := j.make(HTTPRefusal, d, far)
		f.Place, f.Level = far, diagnose.Proven // read in clear inside TLS
		return f
	}
	if h1 := j.at(d.Lane, HTTP1); h1.alwaysPassed() && usesHTTP2(d) {
		return j.make(HTTP2, d, beyond, h1)
	}
	if segments := j.at(d.Lane, SmallSegments); d.End == Timeout && segments.alwaysPassed() {
		return j.make(PathMTU, d, []diagnose.Place{diagnose.Network}, segments)
	}
	f := j.make(SilentRequest, d, beyond, j.at(d.Lane, HTTP1), j.elsewhere())
	return f
}

func usesHTTP2(c *Cell) bool {
	return slices.ContainsFunc(c.Attempts, func(a *Attempt) bool { return a.ALPN == "h2" })
}

// passing judges the go command's own way where that passes: it may be slow,
// or another family or address may be dead.
func (j *judge) passing(d *Cell) Finding {
	f := Finding{Cause: Healthy, Address: d.key()}
	f.Class, f.Level = diagnose.OK, diagnose.None
	f.Values = []diagnose.Value{diagnose.Text("host", d.Host), diagnose.Text("address", f.Address), diagnose.Text("issuer", issuerOf(d))}
	f.Evidence = []diagnose.Evidence{observation(d)}
	if name := j.at(d.Lane, OtherName); name.alwaysPassed() && d.Passed >= j.o.Repeats && name.Passed >= j.o.Repeats && throttled(d, name) {
		f = j.make(Throttled, d, []diagnose.Place{diagnose.Network, diagnose.Remote}, name)
		f.Class = diagnose.OK
		f.Notes = append(f.Notes, "slow")
		f.Level = diagnose.Suggested
		f.Evidence = []diagnose.Evidence{speed(d), speed(name)}
		return f
	}
	if slices.ContainsFunc(j.lookups(), func(c *Cell) bool { return c.alwaysDied() && c.Class == diagnose.DNSForged }) {
		// An address that dies may be the forger's: nothing is said of it.
		f.Notes = append(f.Notes, "probe.two-answers")
		return f
	}
	if lastStatus(d) == http.StatusUnauthorized {
		f.Notes = append(f.Notes, "probe.unauthorized")
	}
	passed, died := j.families()
	four := d.Address.Is4()
	if d.Address.IsValid() && passed[!four] == 0 && died[!four] > 0 && died[four] == 0 {
		i := slices.IndexFunc(j.defaults(), func(c *Cell) bool { return c.Address.Is4() != four && c.alwaysDied() })
		dead := j.defaults()[i]
		g := j.make(Family, dead, beyond, d)
		g.Notes = append(g.Notes, "one-family-broken")
		return g
	}
	for _, c := range j.defaults() {
		if c != d && c.alwaysDied() && c.Address.Is4() == four {
			return j.make(AddressBlock, c, beyond, d)
		}
	}
	if direct := j.direct(); d.Via != "" && direct.alwaysDied() {
		f.Notes = append(f.Notes, "probe.direct-dies") // as is usual behind a proxy
	}
	private := len(d.Attempts) > 0 && len(d.Attempts[0].Chain) > 0 && !d.Attempts[0].Chain[0].Public
	switch name := j.at(d.Lane, OtherName); {
	case private && j.made(d, name):
		f.Cause, f.Level, f.Place = Readable, diagnose.Consistent, []diagnose.Place{diagnose.Host, diagnose.Network}
		if d.Passed >= j.o.Repeats && name.Passed >= j.o.Repeats {
			f.Level = diagnose.Suggested
		}
		f.Evidence = append(f.Evidence, observation(name))
	case private:
		f.Notes = append(f.Notes, "probe.private-issuer")
	}
	return f
}

// throttled reports whether each handshake is slower than each of the
// control's by a factor that no chance makes.
func throttled(d, control *Cell) bool {
	least, most := time.Duration(1<<62), time.Duration(0)
	for _, a := range d.Attempts {
		if !a.Died() {
			least = min(least, a.TLS)
		}
	}
	for _, a := range control.Attempts {
		if !a.Died() {
			most = max(most, a.TLS)
		}
	}
	return least > slow && least > throttleFactor*most
}

// throttleFactor is ours: loss of one packet doubles a handshake's time once,
// not each time.
const throttleFactor = 4

func speed(c *Cell) diagnose.Evidence {
	var took time.Duration
	received := 0
	for _, a := range c.Attempts {
		took, received = max(took, a.TLS), max(received, a.Received)
	}
	return diagnose.Evidence{ID: "probe.speed", Values: append(armValues(c), diagnose.Dur("took", int64(took)), diagnose.Bytes("received", int64(received)))}
}
