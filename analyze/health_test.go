package analyze

import (
	"slices"
	"testing"

	"goproxytrace/analyze/diagnose"
	"goproxytrace/capture"
	"goproxytrace/capture/hostlog"
	"goproxytrace/internal/packets"
)

const (
	healthClient = "192.0.2.10:40000"
	healthServer = "198.51.100.1:443"
)

// healthFact returns the count and the frames of a fact, zero where absent.
func healthFact(r *Result, id string) (count int64, frames []int64) {
	for _, f := range r.Capture.Health {
		if f.ID != id {
			continue
		}
		for _, v := range f.Values {
			if v.Name == "count" {
				count = v.Number
			}
		}
		frames = f.Frames
	}
	return count, frames
}

// healthCase is a capture and how often it shows a fact.
type healthCase struct {
	name  string
	id    string
	want  int64
	play  func(w *wire)
	frame int64 // the first frame named, zero for none
}

func number(n uint64) *uint64 { return &n }

// healthy is a whole connection with an answer of three segments.
func healthy(w *wire) {
	w.talk(healthClient, healthServer).connect().tls("proxy.example", 4000).close(0)
}

// TestHealthFacts holds each fact about the capture itself beside the
// innocent capture that looks like it.
func TestHealthFacts(t *testing.T) {
	for _, c := range []healthCase{
		{name: "the kernel dropped packets", id: "K1.dropped", want: 7, play: func(w *wire) {
			healthy(w)
			w.info.Interfaces[0].OSDropped, w.info.Interfaces[0].Dropped = number(5), number(2)
		}},
		{name: "counters say that none was dropped", id: "K1.dropped", want: 0, play: func(w *wire) {
			healthy(w)
			w.info.Interfaces[0].OSDropped, w.info.Interfaces[0].Dropped = number(0), number(0)
		}},
		{name: "a log of the host that could not be read", id: "host.unread", want: 1, frame: 1, play: func(w *wire) {
			log := &hostlog.Unread{Time: w.now, Source: "the Security log", Why: "access is denied"}
			w.tell(log, log)
			healthy(w)
		}},
		{name: "one that was read", id: "host.unread", want: 0, play: func(w *wire) {
			w.tell(&hostlog.Event{Time: w.now, Origin: "nftables", Text: "rule 4 of chain ip t out: drop, 2 packets meanwhile"})
			healthy(w)
		}},
		{name: "no counters", id: "K1.dropped", want: 0, play: healthy},

		{name: "the buffer was not emptied", id: "K2.undrained", want: 11, play: func(w *wire) {
			healthy(w)
			w.info.Interfaces[0].Packets = int64(len(w.packets))
			w.info.Interfaces[0].OSDropped = number(4)
			w.info.Interfaces[0].FilterAccepted = number(uint64(len(w.packets)) + 15)
		}},
		{name: "what is missing was dropped", id: "K2.undrained", want: 0, play: func(w *wire) {
			healthy(w)
			w.info.Interfaces[0].Packets = int64(len(w.packets))
			w.info.Interfaces[0].OSDropped = number(15)
			w.info.Interfaces[0].FilterAccepted = number(uint64(len(w.packets)) + 15)
		}},
		{name: "more were received than the filter took", id: "K2.undrained", want: 0, play: func(w *wire) {
			healthy(w)
			w.info.Interfaces[0].Packets = int64(len(w.packets))
			w.info.Interfaces[0].Received = number(1 << 40)
			w.info.Interfaces[0].FilterAccepted = number(uint64(len(w.packets)))
		}},

		{name: "bytes acknowledged that were never seen", id: "K1.acked-unseen", want: 1, frame: 1, play: func(w *wire) {
			k := w.talk(healthClient, healthServer).connect()
			k.send(0, make([]byte, 500), 0)
			k.seq[1] += 1460 // sent, not captured
			w.add(k.packet(0))
		}},
		{name: "bytes lost on the way and sent again", id: "K1.acked-unseen", want: 0, play: func(w *wire) {
			k := w.talk(healthClient, healthServer).connect()
			k.send(0, make([]byte, 500), 0)
			lost := k.packet(1).Payload(make([]byte, 1460))
			behind := k.packet(1).Seq(k.seq[1] + 1460).Payload(make([]byte, 1460))
			w.add(behind)
			w.add(k.packet(0))
			w.now += 200 * millisecond
			w.add(lost.ID(9999))
			k.seq[1] += 2 * 1460
			w.add(k.packet(0))
		}},

		{name: "the capture began in mid-connection", id: "K2.late-start", want: 1, frame: 1, play: func(w *wire) {
			w.talk(healthClient, healthServer).send(0, make([]byte, 500), 0).send(1, make([]byte, 500), 0)
		}},
		{name: "the capture began with the SYN", id: "K2.late-start", want: 0, play: healthy},
		{name: "only the answer's SYN was captured", id: "K2.late-start", want: 0, play: func(w *wire) {
			healthy(w)
			w.packets = w.packets[1:]
			w.packets[0].Data, w.packets[1].Data = w.packets[1].Data, w.packets[0].Data // and that late
			w.packets[0].Length, w.packets[1].Length = w.packets[1].Length, w.packets[0].Length
		}},

		{name: "one direction", id: "K3.one-direction", want: 1, frame: 1, play: func(w *wire) {
			healthy(w)
			w.packets = slices.DeleteFunc(w.packets, func(p capture.Packet) bool { return p.Data[22] == 52 }) // the server's time to live
		}},
		{name: "a silent peer", id: "K3.one-direction", want: 0, play: func(w *wire) {
			k := w.talk(healthClient, healthServer)
			for range 6 {
				w.add(k.syn())
				w.now += second
			}
		}},

		{name: "segmentation offload", id: "K4.offload", want: 1, frame: 1, play: func(w *wire) {
			w.talk(healthClient, healthServer).connect().send(1, make([]byte, 20_000), 10_000)
		}},
		{name: "jumbo frames", id: "K4.offload", want: 0, play: func(w *wire) {
			k := w.talk(healthClient, healthServer)
			k.mss = 8960
			k.connect().send(1, make([]byte, 20_000), 0)
		}},
		{name: "a server that takes less than it sends", id: "K4.offload", want: 0, play: func(w *wire) {
			k := w.talk(healthClient, healthServer)
			w.add(k.syn())
			w.add(k.packet(1).Seq(k.seq[1] - 1).Flags(packets.SYN).MSS(536))
			w.add(k.packet(0))
			k.send(1, make([]byte, 20_000), 1460).send(0, make([]byte, 2000), 536)
		}},
		{name: "a client that sends more than the server takes", id: "K4.offload", want: 1, frame: 1, play: func(w *wire) {
			k := w.talk(healthClient, healthServer)
			w.add(k.syn())
			w.add(k.packet(1).Seq(k.seq[1] - 1).Flags(packets.SYN).MSS(536))
			w.add(k.packet(0))
			k.send(0, make([]byte, 2400), 1200)
		}},
		{name: "full segments", id: "K4.offload", want: 0, play: healthy},

		{name: "each packet captured twice", id: "K5.duplicates", want: 3, frame: 1, play: func(w *wire) {
			k := w.talk(healthClient, healthServer).connect()
			for range 3 {
				p := k.packet(0).Payload(make([]byte, 100))
				w.add(p)
				w.add(p)
				k.seq[0] += 100
				w.add(k.packet(1))
			}
		}},
		{name: "twice on two interfaces, without identification", id: "K5.duplicates", want: 1, frame: 1, play: func(w *wire) {
			w.info.Interfaces = append(w.info.Interfaces, w.info.Interfaces[0])
			k := w.talk(healthClient, healthServer).connect()
			p := k.packet(0).ID(0).Payload(make([]byte, 100))
			w.add(p)
			w.add(p).Interface = 1
		}},
		{name: "retransmissions", id: "K5.duplicates", want: 0, play: func(w *wire) {
			k := w.talk(healthClient, healthServer).connect()
			for range 3 {
				w.add(k.packet(0).Payload(make([]byte, 100))) // another identification each time
				w.now += 2 * millisecond
			}
		}},
		{name: "a retransmission after its timeout with the same identification", id: "K5.duplicates", want: 0, play: func(w *wire) {
			k := w.talk(healthClient, healthServer).connect()
			p := k.packet(0).Payload(make([]byte, 100))
			w.add(p)
			w.now += 200 * millisecond
			w.add(p)
		}},

		{name: "a snapshot length", id: "K6.sliced", want: 3, play: func(w *wire) {
			w.talk(healthClient, healthServer).connect().send(1, make([]byte, 3*1460), 0)
			for i := range w.packets {
				if p := &w.packets[i]; len(p.Data) > 96 {
					p.Data = p.Data[:96]
				}
			}
		}},
		{name: "short packets", id: "K6.sliced", want: 0, play: func(w *wire) {
			w.talk(healthClient, healthServer).connect().send(1, make([]byte, 90), 30)
		}},
		{name: "link padding cut away", id: "K6.sliced", want: 0, play: func(w *wire) {
			healthy(w)
			for i := range w.packets {
				w.packets[i].Length += 6 // bytes behind the IP packet, not captured
			}
		}},

		{name: "the clock was set back", id: "K8.clock-back", want: 1, play: func(w *wire) {
			k := w.talk(healthClient, healthServer).connect()
			w.now -= 3600 * second
			k.send(0, make([]byte, 100), 0)
		}},
		{name: "packets of two processors", id: "K8.clock-back", want: 0, play: func(w *wire) {
			k := w.talk(healthClient, healthServer).connect()
			w.now -= 30 * millisecond
			k.send(0, make([]byte, 100), 0)
		}},
		{name: "two interfaces one after the other", id: "K8.clock-back", want: 0, play: func(w *wire) {
			w.info.Interfaces = append(w.info.Interfaces, w.info.Interfaces[0])
			healthy(w)
			begin := len(w.packets)
			w.now -= 30 * second
			w.talk("192.0.2.10:40001", healthServer).connect()
			for i := begin; i < len(w.packets); i++ {
				w.packets[i].Interface = 1
			}
		}},

		{name: "captures put together", id: "K8.break", want: 2, play: func(w *wire) {
			healthy(w)
			w.now += 400 * 86400 * second
			w.talk("192.0.2.10:40001", healthServer).connect()
			w.now -= 300 * 86400 * second
			w.talk("192.0.2.10:40002", healthServer).connect()
		}},
		{name: "an hour apart", id: "K8.break", want: 0, play: func(w *wire) {
			healthy(w)
			w.now += 3600 * second
			w.talk("192.0.2.10:40001", healthServer).connect()
		}},
		{name: "no clock was set between captures", id: "K8.clock-back", want: 0, play: func(w *wire) {
			healthy(w)
			w.now -= 400 * 86400 * second
			w.talk("192.0.2.10:40001", healthServer).connect()
		}},

		{name: "the clock was set ahead", id: "K8.clock-ahead", want: 1, play: func(w *wire) {
			k := w.talk(healthClient, healthServer)
			k.ts = true
			k.connect().send(0, make([]byte, 100), 0)
			w.now += 3600 * second
			k.zero += 3600 * second // the hosts' own clocks went on as before
			k.send(0, make([]byte, 100), 0).send(1, make([]byte, 100), 0)
		}},
		{name: "a long silence", id: "K8.clock-ahead", want: 0, play: func(w *wire) {
			k := w.talk(healthClient, healthServer)
			k.ts = true
			k.connect().send(0, make([]byte, 100), 0)
			w.now += 3600 * second
			k.send(0, make([]byte, 100), 0).send(1, make([]byte, 100), 0)
		}},
		{name: "a long silence without timestamps", id: "K8.clock-ahead", want: 0, play: func(w *wire) {
			k := w.talk(healthClient, healthServer).connect().send(0, make([]byte, 100), 0)
			w.now += 3600 * second
			k.send(0, make([]byte, 100), 0)
		}},
		{name: "a new connection after a long silence", id: "K8.clock-ahead", want: 0, play: func(w *wire) {
			healthy(w)
			w.now += 3600 * second
			k := w.talk("192.0.2.10:40001", healthServer)
			k.ts = true
			k.connect().send(0, make([]byte, 100), 0)
		}},

		{name: "a stand-in address", id: "K9.stand-in-address", want: 1, frame: 1, play: func(w *wire) {
			w.talk(healthClient, "198.19.3.4:443").connect()
		}},
		{name: "the address beside that block", id: "K9.stand-in-address", want: 0, play: func(w *wire) {
			w.talk(healthClient, "198.20.3.4:443").connect()
		}},
	} {
		t.Run(c.id+" "+c.name, func(t *testing.T) {
			w := newWire()
			c.play(w)
			w.renumber()
			r := analyse(t, w, Options{})
			got, frames := healthFact(r, c.id)
			if got != c.want {
				t.Errorf("count %d, want %d; facts %+v", got, c.want, r.Capture.Health)
			}
			if c.frame != 0 && (len(frames) == 0 || frames[0] != c.frame) {
				t.Errorf("frames %v, want %d first", frames, c.frame)
			}
			if !slices.IsSorted(frames) {
				t.Errorf("frames %v are not ascending", frames)
			}
		})
	}
}

// TestDropsWithdrawAbsence holds that a verdict that rests on something not
// seen is withdrawn where the capture lost packets, and stands where it did not.
func TestDropsWithdrawAbsence(t *testing.T) {
	for _, c := range []struct {
		name    string
		dropped *uint64
		want    diagnose.Class
	}{
		{"none dropped", number(0), diagnose.TLSNoServerHello},
		{"some dropped", number(3), diagnose.CaptureUnusable},
	} {
		w := newWire()
		k := w.talk(healthClient, healthServer).connect().send(0, clientHello("proxy.example"), 0)
		w.now += 10 * second
		k.close(0)
		w.info.Interfaces[0].OSDropped = c.dropped
		if r := analyse(t, w, lookedFor); r.Verdict.Class != c.want {
			t.Errorf("%s: verdict %s, want %s", c.name, r.Verdict.Class, c.want)
		}
	}
}

// TestHeard holds that SYNs without an answer prove nothing where nothing at
// all was answered: what comes in may not be captured.
func TestHeard(t *testing.T) {
	for _, heard := range []bool{false, true} {
		w := newWire()
		w.info.Interfaces[0].OSDropped = number(0)
		if heard {
			w.talk("192.0.2.10:40001", "198.51.100.2:22").connect()
		}
		k := w.talk(healthClient, healthServer)
		for range 5 {
			w.add(k.syn())
			w.now += 5 * second
		}
		v := analyse(t, w, Options{}).Verdict
		if v.Class != diagnose.ConnectNoAnswer || (v.Level == diagnose.Proven) != heard {
			t.Errorf("heard %v: verdict %s, level %s", heard, v.Class, v.Level)
		}
	}
}

// TestCountersAbsentOrZero holds that "not recorded" and "none" differ.
func TestCountersAbsentOrZero(t *testing.T) {
	w := newWire()
	healthy(w)
	if c := analyse(t, w, Options{}).Capture; c.Received != nil || c.Dropped != nil || c.EndKnown {
		t.Errorf("counters out of nowhere: %+v", c)
	}
	w = newWire()
	healthy(w)
	in := &w.info.Interfaces[0]
	in.Received, in.OSDropped, in.End = number(40), number(0), w.now+5*second
	c := analyse(t, w, Options{}).Capture
	if c.Received == nil || *c.Received != 40 || c.Dropped == nil || *c.Dropped != 0 || !c.EndKnown || c.End != w.now+5*second || c.Start != clockStart {
		t.Errorf("counters lost: %+v", c)
	}
}

// TestSilentNeighbour holds that a gateway that does not answer ARP is named
// where nothing else was heard, and only there.
func TestSilentNeighbour(t *testing.T) {
	arp := func(w *wire, op byte) {
		mac := []byte{2, 0, 0, 0, 0, 1}
		b := append([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, mac...)
		b = append(b, 8, 6, 0, 1, 8, 0, 6, 4, 0, op)
		me, gateway := []byte{192, 0, 2, 10}, []byte{192, 0, 2, 1}
		if op == 2 {
			me, gateway = gateway, me
		}
		b = append(append(append(b, mac...), me...), make([]byte, 6)...)
		b = append(b, gateway...)
		p := w.add(packets.TCP(healthClient, healthServer))
		p.Data, p.Length = b, len(b)
		w.now += second
	}
	for _, c := range []struct {
		name     string
		answered bool
		want     bool
	}{{"silent", false, true}, {"answered", true, false}} {
		w := newWire()
		for range 4 {
			arp(w, 1)
		}
		if c.answered {
			arp(w, 2)
		}
		k := w.talk(healthClient, healthServer)
		for range 5 {
			w.add(k.syn())
			w.now += 3 * second
		}
		if got := analyse(t, w, Options{}).Verdict.Class == diagnose.LinkGatewaySilent; got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}
