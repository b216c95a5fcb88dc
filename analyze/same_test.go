package analyze

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"goproxytrace/analyze/diagnose"
	"goproxytrace/capture"
	"goproxytrace/internal/corpus"
)

// TestSameVerdictEverywhere holds that the same packets give the same verdict
// in whatever container and link layer they come, and beside another program's
// traffic, be that healthy or dying. Where the interface statistics are lost on
// the way, the reference has none either.
func TestSameVerdictEverywhere(t *testing.T) {
	for _, path := range ownCaptures(t) {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".pcapng"), func(t *testing.T) { sameVerdicts(t, path, lookedFor.Targets) })
	}
}

// TestSameVerdictOfSamples holds the same for the lab samples.
func TestSameVerdictOfSamples(t *testing.T) {
	dir, _ := corpus.LabSamples(t)
	paths, err := filepath.Glob(filepath.Join(dir, "*.pcapng"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no samples in %s (error %v)", dir, err)
	}
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), ".pcapng")
		if strings.HasSuffix(name, ".server") {
			continue
		}
		t.Run(name, func(t *testing.T) { sameVerdicts(t, path, corpus.SampleTargets(t, path)) })
	}
}

// opinion is what of a verdict is to stay the same.
type opinion struct {
	class  diagnose.Class
	places string
	level  diagnose.Level
}

func (o opinion) String() string { return fmt.Sprintf("%s in %s, %s", o.class, o.places, o.level) }

func said(t *testing.T, src capture.Source, targets []string) opinion {
	t.Helper()
	v := &analyse(t, src, Options{Targets: targets}).Verdict
	return opinion{v.Class, fmt.Sprint(v.Place), v.Level}
}

// levels from the weakest on.
var levels = []diagnose.Level{diagnose.None, diagnose.Consistent, diagnose.Suggested, diagnose.Proven}

func sameVerdicts(t *testing.T, path string, targets []string) {
	t.Helper()
	fresh := func() *wire { return load(t, path) }
	at := fresh().packets[0].Time + second/2
	full, bare := said(t, open(t, path), targets), said(t, reopen(t, asPcapng(t, uncounted(fresh()))), targets)
	ethernet := !slices.ContainsFunc(fresh().packets, func(p capture.Packet) bool { return p.LinkType != linkEthernet })
	for _, v := range []struct {
		name string
		want opinion
		file func() []byte
		// link says that the conversion is of Ethernet only; more that the
		// capture then shows more than before (which way a packet went, or
		// that others were answered), so that the level may rise.
		link, more bool
	}{
		{"pcapng anew", full, func() []byte { return asPcapng(t, fresh()) }, false, false},
		{"classic pcap", bare, func() []byte { return asPcap(t, merged(fresh())) }, false, false},
		{"cooked", full, func() []byte { return asPcapng(t, cooked(fresh())) }, true, true},
		{"cooked in classic pcap", bare, func() []byte { return asPcap(t, merged(cooked(fresh()))) }, true, true},
		{"cooked and back", full, func() []byte { return asPcapng(t, uncooked(cooked(fresh()))) }, true, false},
		{"beside healthy traffic", full, func() []byte { return asPcapng(t, mixedWith(fresh(), otherProgram(t, at))) }, true, true},
		{"beside dying traffic", full, func() []byte { return asPcapng(t, mixedWith(fresh(), dyingProgram(t, at))) }, true, true},
		{"beside dying traffic, cooked", full, func() []byte { return asPcapng(t, cooked(mixedWith(fresh(), dyingProgram(t, at)))) }, true, true},
		{"beside dying traffic, cooked, classic pcap", bare, func() []byte { return asPcap(t, merged(cooked(mixedWith(fresh(), dyingProgram(t, at))))) }, true, true},
	} {
		if v.link && !ethernet {
			continue
		}
		got := said(t, reopen(t, v.file()), targets)
		rose := slices.Index(levels, got.level) > slices.Index(levels, v.want.level)
		switch {
		case v.more && rose && v.want.class == diagnose.CaptureUnusable:
			continue // what showed nothing before
		case v.more && rose:
			got.level = v.want.level
		}
		if got != v.want {
			t.Errorf("%s: %v; want %v", v.name, got, v.want)
		}
	}
}

// uncounted is a capture without what only pcapng tells: interface statistics and
// what wrote it.
func uncounted(w *wire) *wire {
	out := &wire{info: w.info, packets: w.packets}
	out.info.Hardware, out.info.OS, out.info.Application = "", "", ""
	out.info.Interfaces = slices.Clone(w.info.Interfaces)
	for i := range out.info.Interfaces {
		in := &out.info.Interfaces[i]
		in.Received, in.Dropped, in.FilterAccepted, in.OSDropped, in.Delivered, in.Start, in.End = nil, nil, nil, nil, nil, 0, 0
	}
	return out
}

// merged is a capture of several interfaces in the order of time, as a classic
// pcap file holds it.
func merged(w *wire) *wire {
	out := &wire{info: w.info, packets: slices.Clone(w.packets)}
	slices.SortStableFunc(out.packets, func(a, b capture.Packet) int { return int(a.Time - b.Time) })
	return out
}

// uncooked turns Linux cooked frames, version 2, into Ethernet ones. Who a frame
// went to is not in them: it is whom the other one of the two is.
func uncooked(w *wire) *wire {
	out := &wire{info: w.info}
	out.info.Interfaces = slices.Clone(w.info.Interfaces)
	for i := range out.info.Interfaces {
		out.info.Interfaces[i].LinkType = linkEthernet
	}
	senders := [2][]byte{make([]byte, 6), make([]byte, 6)} // this host's and the other's
	side := func(p *capture.Packet) int {
		if p.Data[10] == 4 {
			return 0
		}
		return 1
	}
	for i := range w.packets {
		senders[side(&w.packets[i])] = w.packets[i].Data[12:18]
	}
	for _, p := range w.packets {
		b := append(bytes.Clone(senders[1-side(&p)]), p.Data[12:18]...)
		p.Data = append(append(b, p.Data[:2]...), p.Data[20:]...)
		p.Length -= 6
		p.LinkType = linkEthernet
		out.packets = append(out.packets, p)
	}
	return out
}

// dyingProgram is another program's connection to another host that dies of a
// reset after its ClientHello, beginning at time at.
func dyingProgram(t testing.TB, at int64) *wire { return elsewhere(t, "hello-reset", at) }

// TestOtherTrafficDies holds that what TestSameVerdictEverywhere mixes in does
// die, and is told of as a connection to another host.
func TestOtherTrafficDies(t *testing.T) {
	died := 0
	for _, c := range connections(t, analyse(t, dyingProgram(t, clockStart), lookedFor)) {
		if c.Target || c.ServerName != "other.example" {
			t.Errorf("connection to %q: target %v", c.ServerName, c.Target)
		}
		if c.Verdict.Died() {
			died++
		}
	}
	if died == 0 {
		t.Error("no connection died")
	}
}

// frameType is the type of what an Ethernet frame carries.
func frameType(b []byte) uint16 { return binary.BigEndian.Uint16(b[12:]) }
