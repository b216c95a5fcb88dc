package analyze

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"goproxytrace/internal/packets"
)

// told is all that a result tells, as text.
func told(t *testing.T, r *Result) string {
	t.Helper()
	b, err := json.Marshal(struct {
		Verdict, Lookups, Capture, Connections any
	}{r.Verdict, r.Lookups, r.Capture, connections(t, r)})
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestOneByOne holds that an analysis tells the same whether it reads ahead or
// not: a batch is decoded in parts then.
func TestOneByOne(t *testing.T) {
	same := func(t *testing.T, make func() *wire) {
		t.Helper()
		var texts [2]string
		for i, oneByOne := range []bool{false, true} {
			w := make()
			w.perBatch = 3000 // many parts, and several batches of the larger ones
			texts[i] = told(t, analyse(t, w, Options{Targets: lookedFor.Targets, OneByOne: oneByOne}))
		}
		if texts[0] != texts[1] {
			t.Errorf("reading ahead:\n%s\none by one:\n%s", texts[0], texts[1])
		}
	}
	for _, path := range ownCaptures(t) {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".pcapng"), func(t *testing.T) {
			same(t, func() *wire { return load(t, path) })
		})
	}
	// More questions than are waited for at once, and a later packet in the same
	// batch that shows how long nobody answered.
	t.Run("questions without an answer", func(t *testing.T) {
		same(t, func() *wire {
			w := newWire()
			for i := range 300 {
				w.add(packets.UDP("192.0.2.1:40000", "198.51.100.53:53").Payload(ask(uint16(i))))
			}
			w.now += 60 * second
			w.add(packets.UDP("192.0.2.1:40001", "198.51.100.53:53").Payload(ask(1000)))
			return w
		})
	})
}

// ask asks for an address of one of many names.
func ask(id uint16) []byte {
	b := []byte{byte(id >> 8), byte(id), 1, 0, 0, 1, 0, 0, 0, 0, 0, 0}
	name := []byte{'n', 'a' + byte(id%26), 'a' + byte(id/26%26), 'a' + byte(id/676)}
	b = append(append(append(b, byte(len(name))), name...), 7)
	return append(append(b, "example"...), 0, 0, 1, 0, 1)
}

// TestOwnersOfReusedMemory holds that owners that only the packets name stay with
// their connection: the table uses its memory again.
func TestOwnersOfReusedMemory(t *testing.T) {
	for _, described := range []int{-1, 31} { // the connection with a comment that describes its owner
		var g ng
		g.begin("test", 1, "eth0")
		at := clockStart
		for i := range 70 {
			p := packets.TCP(ownClient, ownServer).Flags(packets.SYN).Seq(uint32(1000*i + 7)).ID(uint16(i + 1))
			w := newWire()
			w.now = at
			at += 20 * millisecond
			q := w.add(p)
			switch i {
			case 0:
				g.packet(q, q.Data, ngFlags(true), option8(100))
			case 64:
				g.packet(q, q.Data, ngFlags(true), option8(200))
			case described:
				g.packet(q, q.Data, ngFlags(true), ngComment("PID: 300\nCmd: /usr/bin/curl\nArgs: curl"))
			default:
				g.packet(q, q.Data, ngFlags(true))
			}
		}
		list := connections(t, analyseBytes(t, g.b))
		if len(list) != 70 {
			t.Fatalf("%d connections, want 70", len(list))
		}
		for i, c := range list {
			want := map[int]uint32{0: 100, 64: 200, described: 300}[i]
			got := uint32(0)
			if c.Process != nil {
				got = c.Process.PID
			}
			if got != want {
				t.Errorf("described in %d: connection %d has process %d, want %d", described, i, got, want)
			}
		}
	}
}
