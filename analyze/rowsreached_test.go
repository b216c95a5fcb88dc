package analyze

import (
	"slices"
	"testing"

	"goproxytrace/analyze/diagnose"
	"goproxytrace/capture"
	"goproxytrace/internal/packets"
)

// unanswered is a ClientHello that is acknowledged and not answered.
func unanswered(w *wire) {
	k := w.talk(healthClient, healthServer).connect().send(0, clientHello("proxy.example"), 0)
	w.now += 10 * second
	k.close(0)
}

// rowCaptures are captures of the rows that no single connection or lookup
// shows: the capture's own faults, and what takes a whole analysis. The tests of
// package diagnose have the others.
var rowCaptures = map[string]func(w *wire){
	"K1": func(w *wire) {
		unanswered(w)
		w.info.Interfaces[0].OSDropped = number(3)
	},
	"K2": func(w *wire) {
		unanswered(w)
		w.info.Interfaces[0].Packets = int64(len(w.packets))
		w.info.Interfaces[0].FilterAccepted = number(uint64(len(w.packets)) + 15)
	},
	"K3": func(w *wire) {
		healthy(w)
		w.packets = slices.DeleteFunc(w.packets, func(p capture.Packet) bool { return p.Data[22] == 52 }) // the server's time to live
	},
	"K4": func(w *wire) {
		w.talk(healthClient, healthServer).connect().send(1, make([]byte, 20_000), 10_000)
	},
	"K5": func(w *wire) {
		healthy(w)
		again := w.packets[4]
		w.packets = slices.Insert(w.packets, 5, again)
	},
	"K6": func(w *wire) {
		unanswered(w)
		for i := range w.packets {
			p := &w.packets[i]
			p.Data = p.Data[:min(len(p.Data), 60)]
		}
	},
	"K7": func(w *wire) {
		w.talk(healthClient, healthServer).send(0, make([]byte, 500), 0).send(1, make([]byte, 500), 0)
	},
	"K8": func(w *wire) {
		healthy(w)
		w.now -= 20 * second
		w.talk("192.0.2.10:40009", healthServer).connect()
	},
	"K9": func(w *wire) {
		w.talk(healthClient, "198.19.3.4:443").connect()
	},
	"S8": func(w *wire) {
		k := w.talk(healthClient, "198.19.3.4:443")
		k.rtt = millisecond / 4
		k.connect().send(0, clientHello("proxy.example"), 0)
		w.add(k.packet(1).Flags(packets.RST))
	},
	"N1": func(*wire) {},
}

// A row whose captures are no connection's or lookup's is reached by one.
func TestRowsReached(t *testing.T) {
	found := 0
	for i := range diagnose.Rows {
		r := &diagnose.Rows[i]
		play := rowCaptures[r.ID]
		if play == nil {
			if r.ID[0] == 'K' {
				t.Errorf("%s has no capture", r.ID)
			}
			continue
		}
		found++
		t.Run(r.ID, func(t *testing.T) {
			w := newWire()
			play(w)
			w.renumber()
			got := analyse(t, w, lookedFor)
			if len(r.Classes) > 0 && !slices.Contains(r.Classes, got.Verdict.Class) {
				t.Errorf("class %s, want one of %v", got.Verdict.Class, r.Classes)
			}
			shows := func(id string) bool { n, _ := healthFact(got, id); return n > 0 }
			if len(r.Health) > 0 && !slices.ContainsFunc(r.Health, shows) {
				t.Errorf("none of %v in %+v", r.Health, got.Capture.Health)
			}
		})
	}
	if found != len(rowCaptures) {
		t.Errorf("%d captures, %d of them of a row", len(rowCaptures), found)
	}
	// T12 is in go's words alone.
	got := ownCapture(t, "healthy-h2", `go: m@v1.0.0: Get "https://proxy.example/m": stream error: stream ID 5; INTERNAL_ERROR; received from peer`+"\n")
	if got.Verdict.Class != diagnose.HTTPError || !slices.Contains(diagnose.RowsOf(diagnose.HTTPError), "T12") {
		t.Errorf("an HTTP/2 error: %s", got.Verdict.Class)
	}
}
