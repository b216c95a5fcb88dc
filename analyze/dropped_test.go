package analyze

import (
	"path/filepath"
	"slices"
	"testing"

	"goproxytrace/analyze/diagnose"
	"goproxytrace/capture"
)

// TestDroppedPackets holds that a capture's own word that this host threw away
// what came in proves the host where the packets leave it open, and accuses
// nobody elsewhere.
func TestDroppedPackets(t *testing.T) {
	fromServer := func(p *capture.Packet) bool { return len(p.Data) > 36 && p.Data[34] == 443>>8 && p.Data[35] == 443&255 }
	mark := func(dropped, direction bool, which func(*capture.Packet) bool) func(*wire) {
		return func(w *wire) {
			for i := range w.packets {
				p := &w.packets[i]
				if direction {
					p.Direction = capture.Outbound
					if fromServer(p) {
						p.Direction = capture.Inbound
					}
				}
				p.Dropped = dropped && which(p)
			}
		}
	}
	inbound := fromServer
	outbound := func(p *capture.Packet) bool { return !fromServer(p) }
	for _, x := range []struct {
		name, file string
		change     func(*wire)
		told       bool
	}{
		{"answers thrown away", "local-answer-ignored.pcapng", mark(true, true, inbound), true},
		{"answers, nothing recorded", "local-answer-ignored.pcapng", mark(false, true, inbound), false},
		{"on which side is not known", "local-answer-ignored.pcapng", mark(true, false, inbound), false},
		{"what went out was thrown away", "local-answer-ignored.pcapng", mark(true, true, outbound), false},
		{"the server's flight thrown away", "local-flight-ignored.pcapng", mark(true, true, func(p *capture.Packet) bool { return inbound(p) && len(p.Data) > 200 }), true},
		{"one packet, and the download went on", "healthy-h2.pcapng", mark(true, true, func(p *capture.Packet) bool { return p.Number == 12 }), false},
		{"a packet of a server that reset it", "hello-reset.pcapng", mark(true, true, inbound), false},
	} {
		t.Run(x.name, func(t *testing.T) {
			path := filepath.Join("..", "testdata", "pcaps", x.file)
			plain := analyse(t, load(t, path), lookedFor).Verdict
			w := load(t, path)
			x.change(w)
			v := analyse(t, w, lookedFor).Verdict
			if v.Class != plain.Class {
				t.Errorf("verdict %s, without the record %s", v.Class, plain.Class)
			}
			told := slices.ContainsFunc(v.Evidence, func(e diagnose.Evidence) bool { return e.ID == "block.recorded" })
			if told != x.told || told && (v.Level != diagnose.Proven || !slices.Equal(v.Place, []diagnose.Place{diagnose.Host})) {
				t.Errorf("told of: %v, verdict %s %s %v", told, v.Class, v.Level, v.Place)
			}
		})
	}
}
