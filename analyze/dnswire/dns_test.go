package dnswire

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// packet builds a message about proxy.example.
func packet(t testing.TB, id uint16, typ dnsmessage.Type, set func(*dnsmessage.Message)) []byte {
	t.Helper()
	m := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: id, RecursionDesired: true},
		Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName("proxy.example."), Type: typ, Class: dnsmessage.ClassINET}},
	}
	if set != nil {
		set(&m)
	}
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func addresses(ips ...string) func(*dnsmessage.Message) {
	return func(m *dnsmessage.Message) {
		m.Response = true
		for i, s := range ips {
			h := dnsmessage.ResourceHeader{Name: m.Questions[0].Name, Class: dnsmessage.ClassINET, TTL: 60 + uint32(i)}
			addr := netip.MustParseAddr(s)
			var body dnsmessage.ResourceBody = &dnsmessage.AResource{}
			if addr.Is4() {
				body = &dnsmessage.AResource{A: addr.As4()}
			} else {
				body = &dnsmessage.AAAAResource{AAAA: addr.As16()}
			}
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: h, Body: body})
		}
	}
}

func rcode(r dnsmessage.RCode) func(*dnsmessage.Message) {
	return func(m *dnsmessage.Message) { m.Response, m.RCode = true, r }
}

// edns adds EDNS with an extended code and an extended error.
func edns(code dnsmessage.RCode, ede uint16, text string) func(*dnsmessage.Message) {
	return func(m *dnsmessage.Message) {
		m.Response = true
		m.RCode = code & 0xf
		var h dnsmessage.ResourceHeader
		if err := h.SetEDNS0(1232, code, false); err != nil {
			panic(err)
		}
		data := append([]byte{byte(ede >> 8), byte(ede)}, text...)
		m.Additionals = append(m.Additionals, dnsmessage.Resource{
			Header: h, Body: &dnsmessage.OPTResource{Options: []dnsmessage.Option{{Code: 10, Data: []byte("cookie")}, {Code: 15, Data: data}}},
		})
	}
}

func soa(m *dnsmessage.Message) {
	m.Response = true
	n := dnsmessage.MustNewName("example.")
	m.Authorities = append(m.Authorities, dnsmessage.Resource{
		Header: dnsmessage.ResourceHeader{Name: n, Class: dnsmessage.ClassINET}, Body: &dnsmessage.SOAResource{NS: n, MBox: n},
	})
}

func TestParse(t *testing.T) {
	m, err := Parse(packet(t, 7, dnsmessage.TypeA, nil))
	if err != nil || m.ID != 7 || m.Response || m.Name != "proxy.example" || m.Type != TypeA || m.Questions != 1 || m.OPT {
		t.Errorf("question: %+v, %v", m, err)
	}
	m, err = Parse(packet(t, 7, dnsmessage.TypeAAAA, addresses("2001:db8::1", "2001:db8::2")))
	if err != nil || !m.Response || m.AnswerCount != 2 || m.Answers[1].Addr != netip.MustParseAddr("2001:db8::2") || m.Answers[1].TTL != 61 || m.NoData() {
		t.Errorf("answer: %+v, %v", m, err)
	}
	m, err = Parse(packet(t, 7, dnsmessage.TypeA, func(m *dnsmessage.Message) {
		m.Response = true
		h := dnsmessage.ResourceHeader{Name: m.Questions[0].Name, Class: dnsmessage.ClassINET}
		m.Answers = []dnsmessage.Resource{{Header: h, Body: &dnsmessage.CNAMEResource{CNAME: dnsmessage.MustNewName("cdn.example.")}}}
		soa(m)
	}))
	if err != nil || !m.NoData() || !m.SOA || m.Zone != "example" || m.Answers[0].Target != "cdn.example" {
		t.Errorf("alias without data: %+v, %v", m, err)
	}
	m, err = Parse(packet(t, 7, dnsmessage.TypeA, edns(dnsmessage.RCode(16), 15, "policy \x1b[31m")))
	if err != nil || m.RCode != 16 || RCodeName(m.RCode) != "BADVERS" || !m.OPT ||
		!slices.Equal(m.Errors, []ExtendedError{{15, "policy \x1b[31m"}}) || ExtendedErrorName(15) != "blocked" {
		t.Errorf("extended error: %+v, %v", m, err)
	}
	if m, err := Parse(packet(t, 7, dnsmessage.TypeA, rcode(dnsmessage.RCodeNameError))); err != nil || m.NoData() || RCodeName(m.RCode) != "NXDOMAIN" {
		t.Errorf("no such name: %+v, %v", m, err)
	}
	// Of a cut message the beginning is read.
	b := packet(t, 7, dnsmessage.TypeA, addresses("192.0.2.1", "192.0.2.2"))
	m, err = Parse(b[:len(b)-3])
	if err == nil || m.AnswerCount != 1 || m.Name != "proxy.example" || !strings.Contains(err.Error(), "answer 1") {
		t.Errorf("cut: %+v, %v", m, err)
	}
	if _, err := Parse(b[:11]); err == nil {
		t.Error("a message shorter than its header has no error")
	}
	if TypeName(28) != "AAAA" || TypeName(65280) != "TYPE65280" || RCodeName(4000) != "RCODE4000" || ExtendedErrorName(999) != "extended error 999" {
		t.Error("names")
	}
}

var (
	client   = Endpoint{[16]byte{10: 0xff, 0xff, 192, 0, 2, 10}, 40000}
	resolver = Endpoint{[16]byte{10: 0xff, 0xff, 192, 0, 2, 53}, 53}
)

// talk feeds messages one second apart, frames from 1, and returns the lookups
// at the end. A message is a question unless its response bit is set.
func talk(t *testing.T, msgs ...[]byte) []*Lookup {
	t.Helper()
	var out []*Lookup
	tr := Tracker{Done: func(l *Lookup) { out = append(out, l) }}
	for i, b := range msgs {
		src, dst := client, resolver
		if b[2]&0x80 != 0 {
			src, dst = dst, src
		}
		if !tr.Feed(int64(i+1), int64(i)*1e9, src, dst, UDP, b) {
			t.Fatalf("message %d is not taken", i)
		}
	}
	tr.Flush()
	if tr.Open() != 0 || len(tr.byName) != 0 || len(tr.byTuple) != 0 || tr.first != nil || tr.last != nil {
		t.Errorf("left behind: %d open, %d names, %d tuples", tr.Open(), len(tr.byName), len(tr.byTuple))
	}
	return out
}

func TestLookups(t *testing.T) {
	a := packet(t, 1, dnsmessage.TypeA, nil)
	aaaa := packet(t, 2, dnsmessage.TypeAAAA, nil)
	good := packet(t, 1, dnsmessage.TypeA, addresses("192.0.2.1", "192.0.2.2"))

	t.Run("answered and not", func(t *testing.T) {
		l := talk(t, a, aaaa, good)
		if len(l) != 2 {
			t.Fatalf("%d lookups", len(l))
		}
		slices.SortFunc(l, func(a, b *Lookup) int { return int(a.Type) - int(b.Type) })
		if r := l[0].Answer(); r == nil || r.Frame != 3 || r.Time != 2e9 || r.Message.Answers[0].Addr.String() != "192.0.2.1" {
			t.Errorf("A: %+v", r)
		}
		if l[1].Answered() || l[1].QueryCount != 1 || l[1].Queries[0].Frame != 2 {
			t.Errorf("AAAA: %+v", l[1])
		}
	})
	t.Run("retried", func(t *testing.T) {
		again := packet(t, 9, dnsmessage.TypeA, nil)
		l := talk(t, a, again)
		if len(l) != 1 || l[0].QueryCount != 2 || l[0].Queries[1].ID != 9 || l[0].Queries[1].Time != 1e9 {
			t.Errorf("unanswered: %d lookups", len(l))
		}
		if l := talk(t, a, good, again); len(l) != 2 {
			t.Errorf("asked anew after an answer: %d lookups", len(l))
		}
	})
	t.Run("forged", func(t *testing.T) {
		other := packet(t, 1, dnsmessage.TypeA, addresses("203.0.113.66"))
		l := talk(t, a, other, good)
		if len(l) != 1 || l[0].ResponseCount != 2 {
			t.Fatalf("%d lookups", len(l))
		}
		if x, y := l[0].Conflict(); x == nil || x.Frame != 2 || y.Frame != 3 {
			t.Errorf("conflict %+v %+v", x, y)
		}
		turned := packet(t, 1, dnsmessage.TypeA, addresses("192.0.2.2", "192.0.2.1"))
		for name, msgs := range map[string][][]byte{
			"repeated": {a, good, turned}, "asked twice": {a, a, good, other}, "one answer": {a, good},
			"truncated": {a, packet(t, 1, dnsmessage.TypeA, func(m *dnsmessage.Message) { m.Response, m.Truncated = true, true }), good},
		} {
			if x, _ := talk(t, msgs...)[0].Conflict(); x != nil {
				t.Errorf("%s: conflict %+v", name, x)
			}
		}
	})
	t.Run("wrong id", func(t *testing.T) {
		wrong := packet(t, 77, dnsmessage.TypeA, addresses("203.0.113.66"))
		l := talk(t, a, wrong)
		if len(l) != 1 || l[0].Answered() || len(l[0].Responses) != 1 || !l[0].Responses[0].Mismatch {
			t.Errorf("%+v", l[0])
		}
		// Without the question in the capture nothing is wrong with it.
		if l := talk(t, wrong); len(l) != 1 || !l[0].Answered() || l[0].QueryCount != 0 {
			t.Errorf("alone: %+v", l[0])
		}
	})
	t.Run("case", func(t *testing.T) {
		mixed := packet(t, 1, dnsmessage.TypeA, func(m *dnsmessage.Message) {
			m.Questions[0].Name = dnsmessage.MustNewName("pRoXy.ExAmPlE.")
		})
		if l := talk(t, mixed, good); len(l) != 1 || !l[0].Answered() || l[0].Name != "pRoXy.ExAmPlE" {
			t.Errorf("%+v", l[0])
		}
	})
	t.Run("without question", func(t *testing.T) {
		bare := packet(t, 1, dnsmessage.TypeA, func(m *dnsmessage.Message) { m.Questions, m.Response, m.RCode = nil, true, 1 })
		if l := talk(t, a, bare); len(l) != 1 || !l[0].Answered() || l[0].Answer().Message.RCode != 1 {
			t.Errorf("%+v", l[0])
		}
		if l := talk(t, aaaa, bare); len(l) != 1 || l[0].Answered() {
			t.Errorf("of another id: %+v", l[0])
		}
	})
	t.Run("malformed", func(t *testing.T) {
		l := talk(t, a, good[:len(good)-2])
		if len(l) != 1 || l[0].Responses[0].Malformed == "" || len(l[0].Responses[0].Message.Answers) != 1 {
			t.Errorf("%+v", l[0])
		}
	})
}

func TestUnreachable(t *testing.T) {
	a := packet(t, 1, dnsmessage.TypeA, nil)
	aaaa := packet(t, 2, dnsmessage.TypeAAAA, nil)
	good := packet(t, 1, dnsmessage.TypeA, addresses("192.0.2.1"))
	u := Unreachable{Frame: 9, Time: 9, IPVersion: 4, Type: 3, Code: 3}
	start := func() (*Tracker, map[uint16]*Lookup) {
		out := map[uint16]*Lookup{}
		tr := &Tracker{Done: func(l *Lookup) { out[l.Type] = l }}
		tr.Feed(1, 1, client, resolver, UDP, a)
		tr.Feed(2, 2, client, resolver, UDP, aaaa)
		tr.Feed(3, 3, resolver, client, UDP, good)
		return tr, out
	}
	for _, k := range []struct {
		name     string
		src, dst Endpoint
		id       int
		want     uint16
	}{
		{"question", client, resolver, -1, TypeAAAA},
		{"question with its id", client, resolver, 1, TypeA},
		{"answer", resolver, client, -1, TypeA},
	} {
		tr, out := start()
		if !tr.Unreachable(k.src, k.dst, UDP, k.id, u) {
			t.Errorf("%s: not found", k.name)
		}
		tr.Flush()
		for typ, l := range out {
			if (len(l.Unreachable) == 1) != (typ == k.want) {
				t.Errorf("%s: %s has %v", k.name, TypeName(typ), l.Unreachable)
			}
		}
		if got := out[k.want].Unreachable; len(got) == 1 && got[0].Answer != (k.src == resolver) {
			t.Errorf("%s: %+v", k.name, got[0])
		}
	}
	tr, _ := start()
	other := client
	other.Port++
	if tr.Unreachable(other, resolver, UDP, -1, u) || tr.Unreachable(client, resolver, TCP, -1, u) || tr.Unreachable(client, resolver, UDP, 9, u) {
		t.Error("found a lookup for another tuple")
	}
}

func TestMatch(t *testing.T) {
	for _, k := range []struct {
		src, dst   uint16
		client, ok bool
	}{
		{40000, 53, true, true}, {53, 40000, false, true}, {53, 53, true, true},
		{5353, 5353, false, false}, {5353, 53, false, false}, {40000, 5353, false, false}, {137, 137, false, false}, {40000, 443, false, false},
	} {
		if client, ok := Match(k.src, k.dst); client != k.client || ok != k.ok {
			t.Errorf("%d to %d: %v, %v", k.src, k.dst, client, ok)
		}
	}
}

func TestBounds(t *testing.T) {
	done := 0
	tr := Tracker{Done: func(l *Lookup) {
		done++
		if l.Client.Port != uint16(done) {
			t.Fatalf("port %d was finished as number %d", l.Client.Port, done)
		}
	}}
	c := client
	for i := range maxOpen + 100 {
		c.Port, c.Addr[0] = uint16(i+1), byte(i)
		c.Addr[1] = byte(i >> 8)
		tr.Query(Packet{Frame: 1, Time: int64(i), Client: c, Server: resolver, Payload: packet(t, uint16(i), dnsmessage.TypeA, nil)})
	}
	if tr.Open() != maxOpen || done != 100 {
		t.Errorf("%d open, %d finished", tr.Open(), done)
	}
	// Silence finishes them; a clock that steps back does not.
	tr.Query(Packet{Time: -quiet, Client: client, Server: resolver, Payload: packet(t, 1, dnsmessage.TypeA, nil)})
	if done != 101 {
		t.Errorf("%d finished after a step back", done)
	}
	tr.Done = func(*Lookup) { done++ }
	tr.Query(Packet{Time: 2 * quiet, Client: client, Server: resolver, Payload: packet(t, 1, dnsmessage.TypeAAAA, nil)})
	if tr.Open() != 1 {
		t.Errorf("%d open after silence", tr.Open())
	}

	// One question repeated, and many on one port.
	var last *Lookup
	tr = Tracker{Done: func(l *Lookup) { last = l }}
	for i := range 1000 {
		c := client
		c.Port += uint16(i)
		tr.Query(Packet{Client: c, Server: resolver, Payload: packet(t, uint16(i), dnsmessage.TypeA, nil)})
	}
	if len(tr.byTuple) != maxEvents {
		t.Errorf("%d ports are remembered", len(tr.byTuple))
	}
	c.Addr, c.Port = client.Addr, client.Port+999
	tr.Answer(Packet{Client: c, Server: resolver, Payload: packet(t, 999, dnsmessage.TypeA, addresses("192.0.2.1"))})
	tr.Flush()
	if !last.Answered() || len(tr.byTuple) != 0 {
		t.Errorf("the answer to the latest question: %+v", last.Responses)
	}
	if last.QueryCount != 1000 || len(last.Queries) != maxEvents {
		t.Errorf("%d questions, %d kept", last.QueryCount, len(last.Queries))
	}
	for i := range 1000 {
		tr.Query(Packet{Client: client, Server: resolver, Payload: packet(t, 1, dnsmessage.Type(i), nil)})
	}
	if tr.Open() != maxPerTuple || len(tr.byTuple) != 1 {
		t.Errorf("%d open on one port", tr.Open())
	}
}

func TestIgnored(t *testing.T) {
	tr := Tracker{Done: func(l *Lookup) { t.Errorf("a lookup of %+v", l) }}
	update := packet(t, 1, dnsmessage.TypeSOA, func(m *dnsmessage.Message) { m.OpCode = 5 })
	tr.Feed(1, 1, client, resolver, UDP, update)
	tr.Feed(2, 2, client, resolver, UDP, []byte("short"))
	tr.Feed(3, 3, resolver, client, UDP, []byte("no message at all \xff"))
	if tr.Feed(4, 4, Endpoint{Port: 5353}, Endpoint{Port: 5353}, UDP, packet(t, 1, dnsmessage.TypeA, nil)) {
		t.Error("multicast DNS was taken")
	}
	tr.Flush()
	if tr.Ignored != 2 || tr.Malformed != 1 {
		t.Errorf("ignored %d, malformed %d", tr.Ignored, tr.Malformed)
	}
}
