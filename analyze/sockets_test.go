package analyze

import (
	"fmt"
	"slices"
	"testing"

	"goproxytrace/analyze/diagnose"
	"goproxytrace/capture/hostlog"
	"goproxytrace/internal/packets"
)

// state is what a socket table says of the go command's socket now.
func (w *wire) state(change func(*hostlog.Socket)) *hostlog.Socket {
	n := func(v uint64) *uint64 { return &v }
	s := &hostlog.Socket{
		Time: w.now, PID: goPID, Local: ap(ownClient), Remote: ap(ownServer), Cookie: 7, State: "ESTABLISHED",
		BytesAcked: n(3001), BytesReceived: n(90_000), BytesSent: n(3000), RTT: 20_000,
	}
	w.quiet(s, 20*second)
	if change != nil {
		change(s)
	}
	return s
}

// quiet sets the ages of a socket on which nothing moved for so long: data came
// last, and what the client said to it.
func (w *wire) quiet(s *hostlog.Socket, since int64) {
	age := func(ns int64) *uint32 { v := uint32(max(ns, 0) / millisecond); return &v }
	s.LastDataReceived, s.LastDataSent, s.LastAckReceived = age(since), age(since-3*millisecond), age(since-3*millisecond)
}

func count64(n uint64) *uint64 { return &n }
func count32(n uint32) *uint32 { return &n }

// keepAlive plays a probe of the client, and its answer where there is one.
func (k *talk) keepAlive(answered bool) {
	k.w.add(k.packet(0).Seq(k.seq[0] - 1))
	if answered {
		k.w.now += k.rtt
		k.w.add(k.packet(1))
	}
}

// attached is what a capture shows that began 20 s after a stall: the socket as
// it was, 40 s with keep-alives at 30 s, 45 s and 60 s, and the socket again.
func attached(change func(*hostlog.Socket), at func(k *talk, last *hostlog.Socket)) *wire {
	w := newWire()
	w.family()
	w.tell(w.state(change))
	k := w.talk(ownClient, ownServer)
	last := w.state(change)
	at(k, last)
	w.now = clockStart + 42*second
	last.Time = w.now
	w.tell(last)
	return w.lossless()
}

// round plays keep-alives.
func round(answered bool) func(*talk, *hostlog.Socket) {
	return func(k *talk, last *hostlog.Socket) {
		for _, at := range []int64{10, 25, 40} {
			k.w.now = clockStart + at*second
			k.keepAlive(answered)
		}
		later := *last
		k.w.quiet(&later, 62*second)
		last.LastDataReceived, last.LastDataSent, last.LastAckReceived = later.LastDataReceived, later.LastDataSent, later.LastAckReceived
		if answered {
			last.LastAckReceived = count32(2000)
		} else {
			last.Probes = 3
		}
	}
}

// silent plays nothing: the interface is not captured.
func silent(answered bool) func(*talk, *hostlog.Socket) {
	return func(k *talk, last *hostlog.Socket) {
		packets, now := k.w.packets, k.w.now
		round(answered)(k, last)
		k.w.packets, k.w.now = packets, now
	}
}

func TestAttachedToStall(t *testing.T) {
	here, beyond, remote := []diagnose.Place{diagnose.Host, diagnose.Client}, []diagnose.Place{diagnose.Network, diagnose.Remote}, []diagnose.Place{diagnose.Remote}
	nothing := func(s *hostlog.Socket) { s.BytesReceived, s.BytesAcked = count64(0), count64(1527) }
	asked := func(s *hostlog.Socket) { s.LastDataReceived = count32(25_000) }
	for _, c := range []struct {
		name   string
		change func(*hostlog.Socket)
		play   func(k *talk, last *hostlog.Socket)
		class  diagnose.Class
		place  []diagnose.Place
		level  diagnose.Level
		seen   bool // the capture holds packets of it
	}{
		{"far end idle", nil, round(true), diagnose.TransferRemoteIdle, remote, diagnose.Consistent, true},
		{"far end idle after a request", asked, func(k *talk, last *hostlog.Socket) {
			round(true)(k, last)
			last.LastDataReceived = count32(67_000)
		}, diagnose.HTTPNoResponse, remote, diagnose.Proven, true},
		{"path dead", nil, round(false), diagnose.TransferPathDead, beyond, diagnose.Proven, true},
		{"silent after the ClientHello", nothing, round(true), diagnose.TLSNoServerHello, beyond, diagnose.Proven, true},
		{"silent after the ClientHello, path dead", nothing, round(false), diagnose.TLSNoServerHello, beyond, diagnose.Proven, true},
		{"silent after the ClientHello, another port", func(s *hostlog.Socket) {
			nothing(s)
			s.Remote = ap("198.51.100.1:8081")
		}, silent(true), diagnose.HTTPNoResponse, remote, diagnose.Suggested, false},
		{"zero window", func(s *hostlog.Socket) {
			s.Unread, s.ReceiveWindow, s.BytesReceived = 400_000, count32(0), count64(900_000)
		}, func(k *talk, last *hostlog.Socket) {
			for _, at := range []int64{5, 15, 35} {
				k.w.now = clockStart + at*second
				k.w.add(k.packet(1).Seq(k.seq[1] - 1))
				k.w.add(k.packet(0).Window(0))
			}
		}, diagnose.TransferReceiverStalled, here, diagnose.Proven, true},
		{"zero window, no packet", func(s *hostlog.Socket) {
			s.Unread, s.ReceiveWindow, s.BytesReceived = 400_000, count32(0), count64(900_000)
		}, silent(true),
			diagnose.TransferReceiverStalled, here, diagnose.Proven, false},
		{"a slow reader with a full buffer", func(s *hostlog.Socket) {
			s.Unread, s.ReceiveWindow, s.BytesReceived = 400_000, count32(0), count64(900_000)
		}, func(k *talk, last *hostlog.Socket) {
			silent(true)(k, last)
			k.w.quiet(last, second)
			last.BytesReceived = count64(990_000)
		}, diagnose.OK, nil, diagnose.Consistent, false},
		{"data unread with room left", func(s *hostlog.Socket) { s.Unread, s.ReceiveWindow = 20_000, count32(60_000) }, silent(true),
			diagnose.ClientStalled, here, diagnose.Suggested, false},
		{"a farewell unread in an idle connection", func(s *hostlog.Socket) { s.Unread, s.State = 24, "CLOSE-WAIT" }, silent(true),
			diagnose.OK, nil, diagnose.Consistent, false},
		{"far end idle, no packet", nil, silent(true), diagnose.TransferRemoteIdle, remote, diagnose.Consistent, false},
		{"far end idle after a request, no packet", asked, func(k *talk, last *hostlog.Socket) {
			silent(true)(k, last)
			last.LastDataReceived = count32(67_000)
		}, diagnose.HTTPNoResponse, remote, diagnose.Suggested, false},
		{"probes unanswered, no packet", nil, silent(false), diagnose.TransferPathDead, beyond, diagnose.Consistent, false},
		{"slow, and it moves", nil, func(k *talk, last *hostlog.Socket) {
			silent(true)(k, last)
			k.w.quiet(last, 2*second)
			last.BytesReceived = count64(95_000)
		}, diagnose.OK, nil, diagnose.Consistent, false},
		{"slow, and it moves on the wire", nil, func(k *talk, last *hostlog.Socket) {
			for at := int64(2); at < 42; at += 3 {
				k.w.now = clockStart + at*second
				k.send(1, make([]byte, 1000), 0)
			}
			k.w.quiet(last, second)
			last.BytesReceived = count64(105_000)
		}, diagnose.OK, nil, diagnose.Consistent, true},
		{"waiting for the answer to a SYN", func(s *hostlog.Socket) {
			s.State, s.Retransmits, s.BytesReceived, s.BytesAcked = "SYN-SENT", 8, count64(0), count64(0)
		}, silent(true), diagnose.ConnectNoAnswer, beyond, diagnose.Consistent, false},
		{"a request sent again and again", func(s *hostlog.Socket) {
			s.Unsent, s.Retransmits = 300, 5
		}, func(k *talk, last *hostlog.Socket) {
			for _, at := range []int64{5, 31} {
				k.w.now = clockStart + at*second
				k.w.add(k.packet(0).Payload(make([]byte, 300)).Flags(packets.PSH))
			}
			last.Retransmits, last.LastAckReceived = 7, count32(62_000)
		}, diagnose.TransferPathDead, beyond, diagnose.Proven, true},
		{"a ClientHello sent again and again", func(s *hostlog.Socket) {
			nothing(s)
			s.BytesAcked, s.Unsent, s.Retransmits = count64(1), 1526, 5
		}, func(k *talk, last *hostlog.Socket) {
			for _, at := range []int64{5, 31} {
				k.w.now = clockStart + at*second
				k.w.add(k.packet(0).Payload(clientHello("proxy.example")).Flags(packets.PSH))
			}
			last.Retransmits = 7
		}, diagnose.TLSClientHelloLost, []diagnose.Place{diagnose.Network}, diagnose.Suggested, true},
		{"sent again, and whether it leaves is not known", func(s *hostlog.Socket) { s.Unsent, s.Retransmits = 300, 5 }, func(k *talk, last *hostlog.Socket) {
			last.Retransmits = 7
		}, diagnose.CaptureUnusable, nil, diagnose.None, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := attached(c.change, c.play)
			r := analyse(t, w, Options{})
			conn := only(t, r)
			v := &conn.Verdict
			if v.Class != c.class || v.Level != c.level || !slices.Equal(v.Place, c.place) {
				t.Errorf("%s in %v, %s; want %s in %v, %s (%+v)", v.Class, v.Place, v.Level, c.class, c.place, c.level, v.Evidence)
			}
			if (conn.TCP.Packets > 0) != c.seen {
				t.Errorf("%d packets", conn.TCP.Packets)
			}
			if conn.Process == nil || conn.Process.PID != goPID || conn.Process.Name != "go" || conn.Process.Source != "socket table" {
				t.Errorf("owner %+v", conn.Process)
			}
			if r.Verdict.Class != c.class || v.Died() && r.Subject != conn.ID {
				t.Errorf("the capture's verdict is %s about %d", r.Verdict.Class, r.Subject)
			}
		})
	}
}

// TestAttachedTooShort holds that a request which was sent a moment ago is no
// death.
func TestAttachedTooShort(t *testing.T) {
	w := newWire()
	s := w.state(func(s *hostlog.Socket) {
		s.LastDataReceived, s.LastDataSent, s.LastAckReceived = count32(60_000), count32(1000), count32(980)
	})
	w.now += 2 * second
	last := *s
	last.Time = w.now
	last.LastDataReceived, last.LastDataSent, last.LastAckReceived = count32(62_000), count32(3000), count32(2980)
	w.family().tell(s, &last)
	if v := only(t, analyse(t, w.lossless(), Options{})).Verdict; v.Died() {
		t.Errorf("%s: %+v", v.Class, v.Evidence)
	}
}

// TestAttachedWhileBuilding holds that a connection which a go command keeps
// for later is no death while it compiles.
func TestAttachedWhileBuilding(t *testing.T) {
	for _, program := range []string{"compile", "git"} {
		w := attached(nil, round(true))
		at := clockStart + 5*second
		w.tell(&hostlog.Process{Time: at, PID: 5000, Parent: goPID, Start: at, Name: program})
		r := analyse(t, w, Options{})
		if busy := program == "compile"; (r.Verdict.Class == diagnose.OK) != busy {
			t.Errorf("%s beside it: %s", program, r.Verdict.Class)
		}
	}
}

// TestSocketsUnseen holds that repetitions which the system counts and a capture
// lacks that would hold them put the fault on this host; not where the capture
// need not hold them.
func TestSocketsUnseen(t *testing.T) {
	for _, c := range []struct {
		state   string
		covered bool
		class   diagnose.Class
	}{
		{"SYN-SENT", true, diagnose.ConnectNotSent},
		{"SYN-SENT", false, diagnose.ConnectNoAnswer},
		{"ESTABLISHED", true, diagnose.TLSClientHelloNotSent},
		{"ESTABLISHED", false, diagnose.CaptureUnusable},
	} {
		w := newWire()
		w.family()
		if c.covered {
			w.talk("192.0.2.10:40000", otherHost).connect().tls("other.example", 500).close(0)
		}
		s := w.state(func(s *hostlog.Socket) {
			s.State, s.BytesReceived, s.BytesAcked = c.state, count64(0), count64(0)
			s.Local, s.Remote, s.Unsent, s.Retransmits = ap(tryClient), ap(tryServer), 1526, 5
		})
		w.tell(s)
		w.now += 30 * second
		last := *s
		last.Time, last.Retransmits = w.now, 8
		w.tell(&last)
		r := analyse(t, w.lossless(), Options{})
		list := connections(t, r)
		if v := list[len(list)-1].Verdict; v.Class != c.class {
			t.Errorf("%s, covered %v: %s, want %s", c.state, c.covered, v.Class, c.class)
		} else if c.covered && (v.Level != diagnose.Proven || !slices.Equal(v.Place, []diagnose.Place{diagnose.Host})) {
			t.Errorf("%s: %s in %v", c.state, v.Level, v.Place)
		}
	}
}

// TestSocketBesideHandshake holds that a socket changes nothing where the
// capture has the connection from its beginning, and that another use of the
// ports is another socket.
func TestSocketBesideHandshake(t *testing.T) {
	w := newWire()
	old := w.state(nil)
	w.tell(old)
	w.now += second
	w.talk(ownClient, ownServer).connect().tls("proxy.example", 500).close(0)
	w.now += second
	r := analyse(t, w.lossless(), lookedFor)
	list := connections(t, r)
	if len(list) != 2 || list[0].Verdict.Class != diagnose.OK || list[0].TCP.Packets == 0 || list[1].TCP.Packets != 0 {
		t.Fatalf("%d connections: %+v", len(list), list)
	}
}

// TestHostileSockets holds bounds and strange numbers.
func TestHostileSockets(t *testing.T) {
	w := newWire()
	for i := range 20_000 {
		s := w.state(func(s *hostlog.Socket) {
			s.Local = ap(fmt.Sprintf("10.%d.%d.1:40000", i>>8, i&255))
			s.Unread, s.Unsent, s.Retransmits, s.Probes = ^uint32(0), ^uint32(0), ^uint32(0), ^uint32(0)
			s.BytesReceived, s.LastDataReceived = count64(^uint64(0)), count32(^uint32(0))
		})
		s.Time = clockStart - int64(i)*second
		later := *s
		later.BytesReceived = nil
		later.Time = int64(i)
		w.tell(s, &later)
	}
	w.tell(w.state(func(s *hostlog.Socket) { s.State = "LISTEN" }), w.state(func(s *hostlog.Socket) { s.State = "\x1b[2J" }))
	r := analyse(t, w, Options{})
	if n := r.Connections.Len(); n > maxSockets {
		t.Errorf("%d connections", n)
	}
}
