package dnswire

import "strings"

const (
	maxOpen     = 4096
	maxPerTuple = 64
	// quiet is how long a lookup may be silent before it is finished: well
	// beyond the timers of resolvers (Go: 5 s twice; Windows: 10 s in all).
	quiet = int64(30e9)

	port     = 53
	mdnsPort = 5353
)

// Packet is one DNS message on its way, addressed from the client's side.
type Packet struct {
	Frame int64
	// Time is in nanoseconds since 1970.
	Time           int64
	Client, Server Endpoint
	Transport      Transport
	// Payload is the message, without the length that TCP puts before it.
	// It is borrowed.
	Payload []byte
}

// Tracker joins messages to lookups. The zero Tracker is ready for use.
type Tracker struct {
	// Done, where set, is given each lookup when it is finished: silent for
	// 30 seconds, pushed out by 4096 later ones, or at Flush.
	Done func(*Lookup)

	// Malformed counts messages that could not be read well enough to
	// belong to a lookup, Ignored those of other kinds than queries.
	Malformed, Ignored int64

	byName  map[nameKey]*Lookup
	byTuple map[tupleKey][]*Lookup
	// first is the lookup that was quiet for longest.
	first, last *Lookup
	open        int
	now         int64
}

// Match reports whether a packet between two ports can be a lookup, and
// whether the source is then the client. Multicast DNS (5353) is none.
func Match(src, dst uint16) (client, ok bool) {
	if src == mdnsPort || dst == mdnsPort {
		return false, false
	}
	return dst == port, src == port || dst == port
}

// Feed takes a message from src to dst and calls Query or Answer. It reports
// false where the ports are not those of a lookup.
func (t *Tracker) Feed(frame, time int64, src, dst Endpoint, tr Transport, payload []byte) bool {
	client, ok := Match(src.Port, dst.Port)
	if !ok {
		return false
	}
	p := Packet{frame, time, src, dst, tr, payload}
	if src.Port == dst.Port && len(payload) > 2 {
		client = payload[2]&0x80 == 0 // between two servers the message tells
	}
	if client {
		t.Query(p)
	} else {
		p.Client, p.Server = dst, src
		t.Answer(p)
	}
	return true
}

// Query takes a message of a client.
func (t *Tracker) Query(p Packet) {
	t.advance(p.Time)
	m, _ := Parse(p.Payload)
	if m.Questions == 0 {
		t.Malformed++
		return
	}
	if m.Response || m.OpCode != 0 {
		t.Ignored++
		return
	}
	key := makeNameKey(&p, &m)
	l := t.byName[key]
	if l == nil || l.Answered() && !l.has(p.Client.Port, m.ID) {
		l = t.start(&p, &m, key)
	}
	l.QueryCount++
	q := Query{p.Frame, p.Time, p.Client.Port, m.ID, m.UDPSize, m.Options}
	if n := len(l.Queries); n < maxEvents {
		l.Queries = append(l.Queries, q)
	} else {
		old := l.Queries[n-1].Port
		l.Queries[n-1] = q
		if !l.uses(old) {
			t.forget(l, old)
		}
	}
	t.index(&p, l)
	t.touch(l)
}

// uses reports whether the lookup is indexed under a client's port.
func (l *Lookup) uses(port uint16) bool {
	if l.Client.Port == port {
		return true
	}
	for _, q := range l.Queries {
		if q.Port == port {
			return true
		}
	}
	return false
}

// Answer takes a message of a server.
func (t *Tracker) Answer(p Packet) {
	t.advance(p.Time)
	m, err := Parse(p.Payload)
	if len(p.Payload) < 12 {
		t.Malformed++
		return
	}
	if !m.Response || m.OpCode != 0 {
		t.Ignored++
		return
	}
	l, fits := t.find(&p, &m)
	if l == nil {
		if m.Questions == 0 {
			t.Malformed++
			return
		}
		// The question is not in the capture, or its lookup is finished.
		l = t.start(&p, &m, makeNameKey(&p, &m))
		t.index(&p, l)
		fits = true
	}
	r := Response{Frame: p.Frame, Time: p.Time, Port: p.Client.Port, Mismatch: !fits, Message: m}
	if err != nil {
		r.Malformed = err.Error()
	}
	l.ResponseCount++
	if len(l.Responses) < maxEvents {
		l.Responses = append(l.Responses, r)
	}
	t.touch(l)
}

// find returns the lookup that an answer belongs to, and whether it fits a
// question of it.
func (t *Tracker) find(p *Packet, m *Message) (l *Lookup, fits bool) {
	same := func(l *Lookup) bool {
		return m.Questions == 0 || l.Type == m.Type && strings.EqualFold(l.Name, m.Name)
	}
	list := t.byTuple[tupleKey{p.Client, p.Server, p.Transport}]
	for i := len(list) - 1; i >= 0; i-- {
		if l := list[i]; same(l) && (l.has(p.Client.Port, m.ID) || len(l.Queries) == 0) {
			return l, true
		}
	}
	if m.Questions == 0 {
		return nil, false
	}
	for i := len(list) - 1; i >= 0; i-- {
		if same(list[i]) {
			return list[i], false
		}
	}
	// From the right server to another port of the client.
	if l := t.byName[makeNameKey(p, m)]; l != nil && len(l.Queries) > 0 {
		return l, false
	}
	return nil, false
}

// has reports whether a question with this id came from this port.
func (l *Lookup) has(port, id uint16) bool {
	for _, q := range l.Queries {
		if q.Port == port && q.ID == id {
			return true
		}
	}
	return false
}

// Unreachable takes an ICMP error that quotes a packet from src to dst. id is
// the quoted message's, -1 where the quote does not reach that far. It reports
// whether the quote belongs to a lookup.
func (t *Tracker) Unreachable(src, dst Endpoint, tr Transport, id int, u Unreachable) bool {
	t.advance(u.Time)
	client, ok := Match(src.Port, dst.Port)
	if !ok {
		return false
	}
	list := t.byTuple[tupleKey{src, dst, tr}]
	u.Answer = !client
	if !client || len(list) == 0 && src.Port == dst.Port {
		list = t.byTuple[tupleKey{dst, src, tr}]
		u.Answer = true
	}
	found := false
	add := func(l *Lookup) {
		found = true
		if len(l.Unreachable) < maxEvents {
			l.Unreachable = append(l.Unreachable, u)
		}
		t.touch(l)
	}
	if id >= 0 {
		for _, l := range list {
			if l.has(clientPort(src, dst, u.Answer), uint16(id)) {
				add(l)
			}
		}
		return found
	}
	// Without the id an error for a question concerns what is unanswered
	// on that port, one for an answer what is answered.
	for _, l := range list {
		if l.Answered() == u.Answer {
			add(l)
		}
	}
	return found
}

func clientPort(src, dst Endpoint, answer bool) uint16 {
	if answer {
		return dst.Port
	}
	return src.Port
}

// Flush finishes all open lookups, in the order of their last events.
func (t *Tracker) Flush() {
	for t.first != nil {
		t.finish(t.first)
	}
}

// Open returns the number of lookups that are not finished.
func (t *Tracker) Open() int { return t.open }

func (t *Tracker) start(p *Packet, m *Message, key nameKey) *Lookup {
	if t.byName == nil {
		t.byName = make(map[nameKey]*Lookup)
		t.byTuple = make(map[tupleKey][]*Lookup)
	}
	for t.open >= maxOpen {
		t.finish(t.first)
	}
	l := &Lookup{Name: m.Name, Type: m.Type, Client: p.Client, Server: p.Server, Transport: p.Transport, key: key}
	t.byName[key] = l
	t.open++
	t.link(l)
	return l
}

// index makes l findable by the packet's tuple.
func (t *Tracker) index(p *Packet, l *Lookup) {
	k := tupleKey{p.Client, p.Server, p.Transport}
	list := t.byTuple[k]
	for _, have := range list {
		if have == l {
			return
		}
	}
	if len(list) >= maxPerTuple {
		t.finish(list[0])
		list = t.byTuple[k]
	}
	t.byTuple[k] = append(list, l)
}

// advance finishes what was quiet for long. Time that runs backwards, as
// between interfaces, finishes nothing.
func (t *Tracker) advance(now int64) {
	t.now = max(t.now, now)
	for t.first != nil && t.now-t.first.last > quiet {
		t.finish(t.first)
	}
}

func (t *Tracker) finish(l *Lookup) {
	t.unlink(l)
	t.open--
	if t.byName[l.key] == l {
		delete(t.byName, l.key)
	}
	t.forget(l, l.Client.Port)
	for _, q := range l.Queries {
		t.forget(l, q.Port)
	}
	if t.Done != nil {
		t.Done(l)
	}
}

func (t *Tracker) forget(l *Lookup, port uint16) {
	k := tupleKey{Endpoint{l.Client.Addr, port}, l.Server, l.Transport}
	list := t.byTuple[k]
	for i, have := range list {
		if have == l {
			list = append(list[:i:i], list[i+1:]...)
			if len(list) == 0 {
				delete(t.byTuple, k)
			} else {
				t.byTuple[k] = list
			}
			return
		}
	}
}

func (t *Tracker) touch(l *Lookup) {
	t.unlink(l)
	t.link(l)
}

func (t *Tracker) link(l *Lookup) {
	l.last = t.now
	l.prev, l.next = t.last, nil
	if t.last != nil {
		t.last.next = l
	} else {
		t.first = l
	}
	t.last = l
}

func (t *Tracker) unlink(l *Lookup) {
	if l.prev != nil {
		l.prev.next = l.next
	} else {
		t.first = l.next
	}
	if l.next != nil {
		l.next.prev = l.prev
	} else {
		t.last = l.prev
	}
	l.prev, l.next = nil, nil
}
