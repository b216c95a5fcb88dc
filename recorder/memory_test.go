package recorder

import (
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"goproxytrace/capture"
	"goproxytrace/capture/hostlog"
	"goproxytrace/internal/packets"
	"goproxytrace/report"
)

// segmentsOf makes the packets of one large download: its handshake, then n
// segments of application data.
func segmentsOf(port, n int, at time.Time) (out []capture.Packet) {
	c := packets.TCP("192.0.2.7:"+itoa(port), "198.51.100.1:443")
	s := c.Reply()
	add := func(b []byte, dir capture.Direction) {
		out = append(out, capture.Packet{Time: at.UnixNano(), HasTime: true, Data: b, Length: len(b), LinkType: 1, FCSLen: -1, Direction: dir})
	}
	add(c.Clone().Seq(999).Flags(packets.SYN).Ethernet(), capture.Outbound)
	add(s.Clone().Seq(4999).Flags(packets.SYN).Ack(1000).Ethernet(), capture.Inbound)
	body := make([]byte, 1400)
	body[0], body[1], body[2], body[3], body[4] = applicationData, 3, 3, 5, 0x73
	seq := uint32(5000)
	for range n {
		add(s.Clone().Seq(seq).Ack(1000).Flags(packets.PSH).Payload(body).Ethernet(), capture.Inbound)
		seq += uint32(len(body))
		add(c.Clone().Seq(1000).Ack(seq).Ethernet(), capture.Outbound)
	}
	return out
}

func itoa(n int) string {
	b := []byte{}
	for ; n > 0; n /= 10 {
		b = append([]byte{byte('0' + n%10)}, b...)
	}
	return string(b)
}

// However much one build downloads, memory stays below its limit, the beginning
// of what is open stays, and the case says what was given up.
func TestMemoryHolds(t *testing.T) {
	h := newHarness(t, nil)
	if _, err := h.r.Interface(&capture.Interface{Name: "eth0", LinkType: 1}); err != nil {
		t.Fatal(err)
	}
	h.start(9)
	most := int64(0)
	for n := range 40 {
		run := segmentsOf(20000+n, 4000, h.clock.now)
		for i := range run {
			run[i].ProcessID = 9
		}
		for len(run) > 0 {
			k := min(len(run), 500)
			if _, err := h.r.Packets(run[:k]); err != nil {
				t.Fatal(err)
			}
			run = run[k:]
			most = max(most, h.r.bytes)
			h.clock.pass(10 * time.Millisecond)
		}
	}
	if limit := h.r.ringBytes(); most > limit+limit/8 {
		t.Errorf("%d bytes were held, more than %d", most, limit)
	}
	e := h.r.episodes[0]
	if len(e.flows) != 40 || e.gaveUp.Packets == 0 {
		t.Fatalf("%d connections, gave up %+v", len(e.flows), e.gaveUp)
	}
	for _, f := range e.flows {
		if len(f.frames) < firstFrames || !f.frames[0].mark {
			t.Fatalf("the beginning of an open connection is gone: %d frames", len(f.frames))
		}
	}
	// Then one of them is reset.
	c := packets.TCP("198.51.100.1:443", "192.0.2.7:20039").Seq(5000 + 4000*1400).Flags(packets.RST).Ack(1000).Ethernet()
	_, err := h.r.Packets([]capture.Packet{{Time: h.clock.now.UnixNano(), HasTime: true, Data: c, Length: len(c), LinkType: 1, FCSLen: -1, Direction: capture.Inbound, ProcessID: 9}})
	if err != nil {
		t.Fatal(err)
	}
	h.exit(9, 1)
	h.pass(8 * time.Second)
	h.idle()
	list := lines(t, h.dir)
	if len(list) != 1 || list[0].Recorder.GaveUp == nil || list[0].Recorder.GaveUp.Packets != e.gaveUp.Packets {
		t.Fatalf("%+v, warnings %q", list, h.warns)
	}
	d := analysed(t, filepath.Join(h.dir, list[0].Recorder.Case))
	if !slices.ContainsFunc(d.Capture.Health, func(f report.Health) bool { return f.ID == "host.unread" && strings.Contains(f.Text, "given up") }) || d.Capture.Dropped == nil || *d.Capture.Dropped == 0 {
		t.Errorf("the case does not tell: %+v", d.Capture)
	}
	if len(h.warns) != 1 {
		t.Errorf("warnings %q", h.warns)
	}
}

// Records that come without any packet, and processes that are set up with all
// that the system allows, take no more memory than packets do.
func TestRecordsHold(t *testing.T) {
	environment := strings.Repeat("x", 100<<10)
	h := newHarness(t, func(o *Options) {
		o.Surroundings = func(*hostlog.Process) (out []*hostlog.Setting) {
			for i := range 20 {
				out = append(out, &hostlog.Setting{Name: "GIT_" + strconv.Itoa(i), Value: strings.Clone(environment)})
			}
			return out
		}
	})
	h.r.Learn(&hostlog.Process{PID: 5, Name: "make", Path: "/usr/bin/make", Time: h.clock.now.UnixNano()})
	before := heap()
	for i := range 200_000 {
		h.r.Learn(&hostlog.Claim{PID: 5, Time: h.clock.now.UnixNano() + int64(i)})
	}
	for i := range 200 {
		h.start(uint32(10 + i))
	}
	if grown := heap() - before; grown > h.r.ringBytes() || h.r.bytes > h.r.ringBytes() {
		t.Errorf("%d MiB of memory, %d MiB as it is counted; the ring has %d", grown>>20, h.r.bytes>>20, h.r.ringBytes()>>20)
	}
	for i := range 200 {
		h.exit(uint32(10+i), 0)
	}
	h.pass(8 * time.Second)
	h.idle()
	h.pass(time.Minute)
	if h.r.noted != 0 || h.r.bytes != 0 {
		t.Errorf("%d bytes of records, %d of all are held for nobody", h.r.noted, h.r.bytes)
	}
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// With two builds under way memory is taken from what looks healthy and is over.
func TestHealthyGoesFirst(t *testing.T) {
	h := newHarness(t, nil)
	h.start(9)
	h.play("reset-body.pcapng", 9, 0)
	kept := len(h.r.episodes[0].flows)
	for i := range 400 {
		f := &flow{owner: h.r.episodes[0], opened: true, last: time.Duration(i)}
		f.key.low.port = uint16(i)
		f.halves[0].fin, f.halves[1].fin, f.halves[1].bytes = true, true, 1<<20
		for range 300 {
			h.r.bytes += f.add(&frame{data: make([]byte, 200), whole: 1500}, 1).cost()
		}
		f.owner.flows = append(f.owner.flows, f)
	}
	h.r.shrink()
	e := h.r.episodes[0]
	if h.r.bytes > h.r.ringBytes() || e.gaveUp.Connections == 0 {
		t.Fatalf("%d bytes, gave up %+v", h.r.bytes, e.gaveUp)
	}
	for _, f := range e.flows[:kept] {
		if len(f.frames) == 0 || f.thinned > 0 {
			t.Error("what died was given up before what was healthy")
		}
	}
	if first := e.flows[kept]; first.key.low.port == 0 {
		t.Error("the oldest is still there")
	}
}

// A flood of SYNs counts for the memory's limit.
func TestFlood(t *testing.T) {
	h := newHarness(t, nil)
	most := int64(0)
	for port := range 60_000 {
		run := segmentsOf(1+port, 0, h.clock.now)[:1]
		if _, err := h.r.Packets(run); err != nil {
			t.Fatal(err)
		}
		most = max(most, h.r.bytes)
	}
	if limit := h.r.ringBytes(); most > limit || int64(len(h.r.flows))*flowBytes > limit {
		t.Errorf("%d bytes of %d are held, %d connections", most, limit, len(h.r.flows))
	}
	if n := held(h.r); n != h.r.bytes {
		t.Errorf("%d bytes are held, %d counted", n, h.r.bytes)
	}
}
