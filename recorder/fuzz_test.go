package recorder

import (
	"testing"
	"time"

	"goproxytrace/analyze/decode"
	"goproxytrace/capture"
)

// held sums up what a recorder holds, as it should have counted it.
func held(r *Recorder) (n int64) {
	seen := map[*flow]bool{}
	count := func(f *flow) {
		if seen[f] {
			return
		}
		seen[f] = true
		n += flowBytes
		for _, x := range f.frames {
			n += x.cost()
		}
	}
	for _, f := range r.flows {
		count(f)
	}
	for _, e := range r.episodes {
		n += e.recordBytes
		for _, f := range e.flows {
			count(f)
		}
	}
	for _, f := range r.shared {
		n += f.cost()
	}
	for _, rec := range r.recent {
		n += recordCost(rec)
	}
	return n
}

// FuzzPackets gives a recorder frames of any content: a stream of bytes cut into
// frames by their first bytes. What it holds is what it has counted, and each
// frame that it gives back is a beginning of the one that came.
func FuzzPackets(f *testing.F) {
	for _, name := range []string{"hello-reset.pcapng", "healthy-h2.pcapng", "tunnel-407.pcapng", "dns-nxdomain.pcapng"} {
		frames, _ := load(f, name)
		var b []byte
		for _, p := range frames[:min(len(frames), 40)] {
			b = append(b, byte(len(p.Data)>>8), byte(len(p.Data)), byte(p.LinkType), 0)
			b = append(b, p.Data...)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		clock := newClock()
		r := &Recorder{
			o:       Options{Clock: clock.clock(), MaxMemory: MinMemory, Warn: func(error) {}},
			decoder: decode.New(), flows: map[flowKey]*flow{}, interfaces: []capture.Interface{{Name: "eth0"}},
		}
		p := testProcess
		p.PID, p.Time = 7, clock.now.UnixNano()
		r.Learn(&p)
		for len(b) >= 4 {
			n := min(int(b[0])<<8|int(b[1]), len(b)-4)
			p := capture.Packet{
				Time: clock.now.UnixNano(), HasTime: true, Data: b[4 : 4+n], Length: n + int(b[3]), LinkType: capture.LinkType(b[2]), FCSLen: -1,
				ProcessID: uint32(b[3] & 7),
			}
			if _, err := r.Packets([]capture.Packet{p}); err != nil {
				t.Fatal(err)
			}
			b = b[4+n:]
			clock.pass(time.Millisecond)
		}
		if n := held(r); n != r.bytes {
			t.Fatalf("%d bytes are held, %d counted", n, r.bytes)
		}
		j := r.snapshot(r.episodes[0], 0, Ended)
		var buf []byte
		for _, x := range j.frames {
			var p capture.Packet
			p, buf = x.packet(buf)
			if len(p.Data) != x.length() || len(p.Data) > p.Length || len(x.holes) > 0 && len(p.Data) == p.Length {
				t.Fatalf("a frame of %d bytes, of which %d are written, with %d holes", p.Length, len(p.Data), len(x.holes))
			}
		}
		clock.pass(time.Hour)
		r.prune(clock.awake)
		if n := held(r); n != r.bytes {
			t.Fatalf("an hour later %d bytes are held, %d counted", n, r.bytes)
		}
	})
}
