package diagnose

import (
	"cmp"
	"slices"
	"strings"

	"goproxytrace/analyze/decode"
	"goproxytrace/analyze/goproxy"
)

// Bounds on what the Aggregator keeps. Hosts that never failed give way first.
const (
	maxContacts = 4096
	maxAnswers  = 16 // addresses kept per lookup name
)

// contact is one host at one address: what happened there.
type contact struct {
	host      string
	addr      decode.Addr
	relevance relevance
	// first is the first contact, delivered the last time that data came.
	first, delivered       int64
	firstFailed, lastFatal int64
	connections, unusable  int
	// death is the gravest and latest verdict on it; conn or lookup its
	// subject (-1 for none).
	death  *Verdict
	conn   int64
	lookup int
	// notes are those of its connections without a death, seen what they rest
	// on.
	notes []string
	seen  []Evidence
	// pid is the owner recorded for its connections, zero where unknown.
	pid uint32
	// spoke is true where a ClientHello, or other data of the client, left.
	spoke bool
	// tried is the last packet of an attempt to connect, left the latest time
	// at which the client closed one of its connections, open whether one was
	// never closed, worked when data last came that the client was there for.
	tried, left, worked int64
	open                bool
	// shape is the first hello's, cutHello true where that was cut short of
	// what tells its program.
	shape    int64
	cutHello bool
	// attempted is true where its death is that of an attempt of which the
	// capture holds no packet.
	attempted bool
	// weak is true where a connection without a death is not known to have
	// ended well.
	weak bool
	// ended is when the server last ended a connection on which an answer may
	// have been due, answered when it last sent more than a farewell.
	ended, answered int64
	// unjudged says why the latest connection that was made, and could not be
	// judged, could not.
	unjudged []string
}

type contactKey struct {
	host string
	addr decode.Addr
	pid  uint32
}

// maxContactNotes bounds the evidence that one contact keeps for its notes.
const maxContactNotes = 4

// Aggregator gathers what the whole-capture verdict needs: a summary per host
// and address, with one death each. The zero value is ready for use.
type Aggregator struct {
	contacts    map[contactKey]*contact
	names       map[string]*nameFacts
	seen        [target + 1]int64 // connections and lookups by relevance
	heard       bool
	omitted     int64
	strays      []stray
	revocations []revocation
	legs        []leg
	trials      []trial
	// unnamed is when the latest connection to port 443 began whose host is
	// not known; unclear says why it is not known whether an attempt
	// followed a lookup, empty where it is.
	unnamed int64
	unclear string
}

// Connection takes a finished connection with its verdict. isTarget says that
// its server is a host of GOPROXY or GOSUMDB.
func (a *Aggregator) Connection(id int64, f *Flow, v *Verdict, isTarget bool) {
	var w view
	w.init(f)
	if w.client != nil && w.server != nil {
		a.heard = true
	}
	if f.ServerName == "" && f.Conn.ServerEnd().Port == 443 && !f.Conn.Loopback {
		a.unnamed = max(a.unnamed, f.Conn.Start.Time)
	}
	a.revocation(&w)
	a.leg(&w, id, v)
	a.trial(&w, id, v)
	rel := relevanceOf(&w, isTarget)
	a.seen[rel]++
	if f.Conn.Loopback && rel < related && !v.Died() {
		return
	}
	k := a.contact(contactKey{plainName(f.ServerName), f.Conn.ServerEnd().Addr, f.owner()}, f.Conn.Start.Time)
	if k == nil {
		return
	}
	k.relevance = max(k.relevance, rel)
	k.connections++
	if v.Class == CaptureUnusable {
		k.unusable++
	}
	k.follow(&w)
	if !v.Died() {
		k.keep(v)
	}
	k.weak = k.weak || v.settled || v.Class == OK && v.Level != Proven && v.ended == 0 && (w.open || w.established())
	if v.Class == CaptureUnusable && w.begun() && w.established() {
		k.unjudged = append(k.unjudged[:0], v.NotAssessed...)
	}
	k.ended = max(k.ended, v.ended)
	if k.shape == 0 && w.hello != nil {
		k.shape, k.cutHello = w.shape(), w.cutHello()
	}
	if w.delivered() {
		k.delivered = max(k.delivered, w.server.LastNewData.Time)
		_, at := w.lastAnswer()
		k.answered = max(k.answered, at)
	}
	if v.Died() && !v.settled {
		k.died(v, id, -1)
	}
}

// contact finds or makes the summary of a host at an address.
func (a *Aggregator) contact(key contactKey, at int64) *contact {
	if a.contacts == nil {
		a.contacts = make(map[contactKey]*contact)
	}
	k := a.contacts[key]
	if k == nil {
		if len(a.contacts) >= maxContacts && !a.makeRoom() {
			a.omitted++
			return nil
		}
		k = &contact{host: key.host, addr: key.addr, pid: key.pid, first: at, conn: -1, lookup: -1}
		a.contacts[key] = k
	}
	k.first = min(k.first, at)
	return k
}

// makeRoom drops the summaries that can no longer matter: other programs'.
func (a *Aggregator) makeRoom() bool {
	n := len(a.contacts)
	for key, k := range a.contacts {
		if k.relevance < https && (k.death == nil || a.seen[target] > 0) {
			delete(a.contacts, key)
			a.omitted++
		}
	}
	return len(a.contacts) < n
}

// died records a death: of two the graver is kept, of equals the later.
func (k *contact) died(v *Verdict, conn int64, lookup int) {
	if k.firstFailed == 0 || v.failed < k.firstFailed {
		k.firstFailed = v.failed
	}
	k.lastFatal = max(k.lastFatal, v.failed)
	if k.death != nil && (gravity(v) < gravity(k.death) || gravity(v) == gravity(k.death) && v.failed < k.death.failed) {
		return
	}
	copied := *v
	k.death, k.conn, k.lookup = &copied, conn, lookup
}

// gravity ranks deaths of one host: what is known before what is suspected,
// and all before a client that left.
func gravity(v *Verdict) int {
	g := 0
	switch v.Level {
	case Proven:
		g = 3
	case Suggested:
		g = 2
	case Consistent:
		g = 1
	}
	switch {
	case v.Class == ClientAborted:
		return g
	case v.idle:
		return g + 4
	}
	return g + 8
}

// Verdict judges the capture. subjectConn is the connection that the verdict
// is about, subjectLookup the lookup; -1 for none.
func (a *Aggregator) Verdict(env *Env, h Health) (v Verdict, subjectConn int64, subjectLookup int) {
	least := a.least()
	a.nameLookups()
	a.lookups(env, &h)
	a.sameShape(least)
	a.attribute(least)
	last, fallback := a.last(least, nil)
	var refused *Verdict
	if last == nil {
		refused = a.stray(least, &h)
	}
	switch {
	case last != nil:
		last, v = a.interception(last, env)
		subjectConn, subjectLookup = last.conn, last.lookup
		last.unowned(&v, &h)
	case refused != nil:
		v, subjectConn, subjectLookup = *refused, -1, -1
	case !a.any(least):
		return a.nothing(env, h), -1, -1
	default:
		v, subjectConn, subjectLookup = a.fine(least, nil), -1, -1
	}
	a.qualify(&v, env, h)
	a.noteFallback(&v, least, fallback)
	switch {
	case v.Class == OK:
		a.slowLookup(&v, least)
		a.residual(&v, -1)
	case v.Died() && subjectConn >= 0:
		a.residual(&v, subjectConn)
	}
	return v, subjectConn, subjectLookup
}

// last returns the contact whose death explains the failure, nil for none, of
// those that are own (nil for all). fallback is true where a death was made
// good.
func (a *Aggregator) last(least relevance, own func(*contact) bool) (last *contact, fallback bool) {
	for _, k := range a.contacts {
		if k.death == nil || k.relevance < least || own != nil && !own(k) || a.poisoned(k) || a.foreign(k) {
			continue
		}
		if k.death.spare && k.delivered > k.death.failed+quietFinding {
			continue
		}
		if a.madeGood(k, least) || k.death.idle && a.wentOn(k, least, quietFinding) || k.death.resumable && a.wentOn(k, least, 0) {
			fallback = fallback || !k.death.idle && !k.death.resumable
			continue
		}
		if last == nil || later(k, last) {
			last = k
		}
	}
	return last, fallback
}

func (a *Aggregator) noteFallback(v *Verdict, least relevance, fallback bool) {
	if v.Class != OK || !fallback {
		return
	}
	v.note("fallback")
	if a.oneFamily(least) {
		v.note("one-family-broken")
	}
}

// least returns the relevance from which on traffic counts: that of the go
// command where any of it is in the capture, else any TLS client's, else all.
func (a *Aggregator) least() relevance {
	switch {
	case a.seen[target] > 0:
		return related
	case a.seen[related]+a.seen[https] > 0:
		return https
	}
	return other
}

func (a *Aggregator) any(least relevance) bool {
	if least == other {
		return false // nothing of a TLS client at all
	}
	for r := least; r <= target; r++ {
		if a.seen[r] > 0 {
			return true
		}
	}
	return false
}

// later reports whether k's death explains the failure rather than l's: the
// graver kind first, then the later one; the lowest connection of equals, so
// that the result does not depend on the order of a map.
func later(k, l *contact) bool {
	kind := func(c *contact) int { return gravity(c.death) / 4 }
	switch {
	case kind(k) != kind(l):
		return kind(k) > kind(l)
	case (k.death.Level == Consistent) != (l.death.Level == Consistent):
		return k.death.Level != Consistent
	case k.lastFatal != l.lastFatal:
		return k.lastFatal > l.lastFatal
	case k.conn != l.conn:
		return k.conn < l.conn
	}
	return k.lookup < l.lookup
}

// madeGood reports whether another host or address was first contacted after
// k's first failure and still delivered data after its last one.
func (a *Aggregator) madeGood(k *contact, least relevance) bool {
	for _, o := range a.contacts {
		if o == k || !k.mayExcuse(o) || o.relevance < least || o.delivered == 0 || o.host != k.host && checksumHost(o.host) && !checksumHost(k.host) {
			continue
		}
		if o.first > k.firstFailed && o.delivered > k.lastFatal || raced(k, o) {
			return true
		}
	}
	return false
}

// raced reports whether k lost a race of address families (RFC 8305): the
// same name delivered over the other one, so that what came of k's attempt to
// connect did not matter, be it early or late.
func raced(k, o *contact) bool {
	return k.host != "" && k.host == o.host && isV4(k.addr) != isV4(o.addr) && k.addr != decode.Addr{} && !k.spoke && (k.conn >= 0 || k.attempted) &&
		k.death.Stage == StageConnect && o.delivered > 0 && (o.death == nil || o.delivered > o.lastFatal)
}

// mayExcuse reports whether what o delivered can have been for k's process. A
// go command that turns to version control leaves that to a child process.
func (k *contact) mayExcuse(o *contact) bool {
	return k.pid == 0 || o.pid == 0 || k.pid == o.pid || goproxy.SourceHost(o.host)
}

// checksumHost reports whether host is a checksum database: it answers other
// questions than a module proxy and cannot stand in for one.
func checksumHost(host string) bool { return strings.HasPrefix(host, "sum.") }

// wentOn reports whether data still came to the same process, anywhere, more
// than margin after k's connection went quiet: the go command was at work and
// had nothing to ask there.
func (a *Aggregator) wentOn(k *contact, least relevance, margin int64) bool {
	for _, o := range a.contacts {
		if o.relevance >= least && (k.pid == 0 || o.pid == 0 || k.pid == o.pid) && o.delivered > k.death.failed+margin {
			return true
		}
	}
	return false
}

// oneFamily reports whether a host failed over one address family and
// delivered over the other.
func (a *Aggregator) oneFamily(least relevance) bool {
	for _, k := range a.contacts {
		if k.death == nil || k.relevance < least || k.host == "" {
			continue
		}
		for _, o := range a.contacts {
			if o.host == k.host && isV4(o.addr) != isV4(k.addr) && (o.delivered > k.lastFatal || raced(k, o)) {
				return true
			}
		}
	}
	return false
}

func isV4(a decode.Addr) bool {
	v4 := decode.Addr{10: 0xff, 11: 0xff}
	return [12]byte(a[:12]) == [12]byte(v4[:12])
}

// fine is the verdict where nothing died, over the contacts that are own (nil
// for all).
func (a *Aggregator) fine(least relevance, own func(*contact) bool) Verdict {
	var n int64
	for r := least; r <= target; r++ {
		n += a.seen[r]
	}
	connections, unusable, weak := 0, 0, false
	var ended, answered int64
	var unjudged []string
	var noted []*contact
	for _, k := range a.contacts {
		if k.relevance < least || own != nil && !own(k) {
			continue
		}
		connections += k.connections
		unusable += k.unusable
		weak = weak || k.weak
		ended, answered = max(ended, k.ended), max(answered, k.answered)
		unjudged = append(unjudged, k.unjudged...)
		if len(k.notes) > 0 {
			noted = append(noted, k)
		}
	}
	if own != nil {
		n = int64(connections)
	}
	v := newVerdict(OK, Proven, nil, Num("connections", n))
	slices.SortFunc(noted, func(k, o *contact) int {
		return cmp.Or(cmp.Compare(k.first, o.first), cmp.Compare(k.host, o.host), slices.Compare(k.addr[:], o.addr[:]))
	})
	for _, k := range noted {
		for _, id := range k.notes {
			v.note(id)
		}
		if len(v.Evidence) < maxContactNotes {
			v.Evidence = append(v.Evidence, k.seen...)
		}
	}
	switch {
	case connections == 0 && a.unclear != "" && own == nil:
		v = newVerdict(CaptureUnusable, None, nil, Num("connections", n))
		v.skip(a.unclear)
	case connections == 0:
		v.Level = Consistent // lookups alone: what followed is not here
	case connections == unusable:
		v = newVerdict(CaptureUnusable, None, nil, Num("connections", n))
		v.skip("skip.not-judged")
	case weak || ended > answered || len(unjudged) > 0:
		v.Level = Consistent
		slices.Sort(unjudged)
		for _, id := range unjudged {
			v.skip(id)
		}
		if ended > answered {
			v.skip("skip.ended-by-server")
		}
	}
	return v
}

// nothing is the verdict on a capture without traffic of the go command.
func (a *Aggregator) nothing(env *Env, h Health) Verdict {
	if h.Undrained > 0 || env.DropsKnown && env.Drops > 0 {
		v := newVerdict(CaptureUnusable, None, nil, Num("connections", 0))
		v.skip("skip.capture-dropped")
		return v
	}
	if env.Damaged {
		// What the file lacks may have been there.
		v := newVerdict(CaptureUnusable, None, nil, Num("connections", 0))
		v.skip("skip.not-judged")
		return v
	}
	if h.Hidden > 0 {
		v := newVerdict(NoTraffic, None, nil, Num("hidden", h.Hidden))
		v.NextSteps = []string{"next.check-view"}
		v.evidence("view.nothing", nil, Num("hidden", h.Hidden))
		return v
	}
	v := newVerdict(NoTraffic, None, nil)
	v.evidence("capture.segments", nil, Num("count", h.Segments))
	return v
}

// qualify applies what the capture's health says to the verdict on the whole.
func (a *Aggregator) qualify(v *Verdict, env *Env, h Health) {
	if !v.Died() {
		if v.Class == OK && env.Damaged {
			v.Level = Consistent
		}
		if h.LateStart > 0 {
			v.skip("skip.started-before-capture")
		}
		return
	}
	absence := Classes[v.Class].Absence && !v.onRecord
	if absence && (env.DropsKnown && env.Drops > 0 || h.Undrained > 0) {
		was := *v
		*v = newVerdict(CaptureUnusable, None, nil, was.Values...)
		v.skip("skip.capture-dropped")
		return
	}
	if absence && !env.DropsKnown {
		v.skip("skip.drops-unknown")
	}
	if (v.Class == ConnectNoAnswer || v.Class == DNSNoAnswer) && !a.heard && len(h.Silent) > 0 {
		s := h.Silent[0]
		values := v.Values
		evidence := v.Evidence
		*v = newVerdict(LinkGatewaySilent, Proven, linkOrHost, values...)
		v.Evidence = evidence
		v.evidence("neighbour.silent", s.Frames, Text("neighbour", addressText(s.Addr)), Num("count", int64(s.Count)))
	}
	if h.ClockSteps > 0 {
		v.skip("skip.clock-step")
	}
}
