package segtrace

import (
	"errors"
	"os"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"

	"goproxytrace/analyze/tcpflow"
	"goproxytrace/analyze/tlswire"
)

// sample is the i-th segment of a long transfer.
func sample(i int) Segment {
	s := Segment{
		Frame: int64(i + 1), Time: 1_700_000_000_000_000_000 + int64(i)*1000, Seq: uint32(i) * 1448, Ack: 77, Len: 1448, Window: 1 << 21,
		RTT: int64(i), Flags: 0x10, IPID: uint16(i), TTL: 57, HasIPID: i%2 == 0, Copy: i%7 == 0,
	}
	if i%5 == 0 {
		s.SACKCount, s.SACK = 2, [4][2]uint32{{1, 2}, {3, 4}}
	}
	return s
}

func TestRoundTrip(t *testing.T) {
	for _, n := range []int{10, 200_000} { // in memory, and through the file
		s := NewSpool()
		var want []Segment
		for i := range n {
			v := sample(i)
			s.Segment(int64(i%3), uint8(i/3%2), &v)
			if i%3 == 1 {
				v.FromClient = i/3%2 == 1
				want = append(want, v)
			}
		}
		m := Message{Frame: 4, Time: 5, Seq: 6, End: 7, Kind: tlswire.KindHandshake, Type: 2}
		s.Message(1, 1, &m)
		s.ICMP(1, ICMP{Frame: 9, Time: 10, TTL: 61})
		s.Roles(1, 1)
		if big := n > 1000; big != (s.file != nil) {
			t.Errorf("%d segments: in a file: %v", n, s.file != nil)
		}
		got, err := s.Read([]Wish{{ID: 1, Segments: n}, {ID: 77}})
		if err != nil {
			t.Fatal(err)
		}
		m.FromClient = true
		all := []Connection{{ID: 1, Segments: want, Messages: []Message{m}, ICMP: []ICMP{{9, 10, 61}}, Total: len(want)}, {ID: 77}}
		if !reflect.DeepEqual(all, got) {
			all[0].Segments, got[0].Segments = want[:9], got[0].Segments[:9]
			t.Errorf("%d segments differ, the first ones so (-want +got):\n%s", n, cmp.Diff(all, got))
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// What is remarkable, proves something or carries a TLS message stays; of the
// rest an even share does.
func TestThinning(t *testing.T) {
	s := NewSpool()
	defer s.Close()
	const n, wanted = 50_000, 1000
	for i := range n {
		v := sample(i)
		if i%100 == 3 {
			v.Findings = tcpflow.Retransmission
		}
		s.Segment(5, 0, &v)
	}
	s.Message(5, 0, &Message{Frame: 12_346, Kind: tlswire.KindAlert})
	got, err := s.Read([]Wish{{ID: 5, Segments: wanted, Frames: map[int64]bool{23_457: true}}})
	if err != nil {
		t.Fatal(err)
	}
	c := &got[0]
	if c.Total != n || len(c.Segments)+c.Thinned != n || c.Lost != 0 {
		t.Errorf("%d segments of %d, %d thinned, %d lost", len(c.Segments), c.Total, c.Thinned, c.Lost)
	}
	have := map[int64]bool{}
	remarkable, gap := 0, 0
	for i := range c.Segments {
		have[c.Segments[i].Frame] = true
		if c.Segments[i].Remarkable() {
			remarkable++
		}
		if i > 0 {
			gap = max(gap, int(c.Segments[i].Frame-c.Segments[i-1].Frame))
		}
	}
	if remarkable != n/100 || !have[12_346] || !have[23_457] {
		t.Errorf("%d remarkable segments of %d, message %v, evidence %v", remarkable, n/100, have[12_346], have[23_457])
	}
	if plain := len(c.Segments) - remarkable; plain < wanted-n/100-10 || plain > wanted-n/100+10 || gap > 200 {
		t.Errorf("%d plain segments, at most %d frames apart", plain, gap)
	}
}

// Beyond its bound a spool keeps what is remarkable, and beyond another nothing.
func TestBounds(t *testing.T) {
	s := NewSpool()
	s.full, s.most = 10*segmentLen, 20*segmentLen
	for i := range 100 {
		v := sample(i)
		v.SACKCount = 0
		if i >= 50 {
			v.Findings = tcpflow.ZeroWindow
		}
		s.Segment(0, 0, &v)
	}
	got, err := s.Read([]Wish{{ID: 0, Segments: 100}})
	if err != nil || !s.Full() {
		t.Fatalf("error %v, full %v", err, s.Full())
	}
	if c := got[0]; len(c.Segments) != 20 || c.Segments[10].Frame != 51 {
		t.Errorf("%d segments kept, the eleventh of frame %d", len(c.Segments), c.Segments[10].Frame)
	}
}

// A disk that is full ends the trace, and nothing else.
func TestTroubleWithTheFile(t *testing.T) {
	t.Setenv("TMPDIR", "/nowhere/at/all")
	t.Setenv("TMP", `Z:\nowhere`)
	s := NewSpool()
	for i := range 200_000 {
		v := sample(i)
		s.Segment(0, 0, &v)
	}
	if !errors.Is(s.Err(), os.ErrNotExist) {
		t.Errorf("error %v", s.Err())
	}
	got, err := s.Read([]Wish{{ID: 0, Segments: 10}})
	if err != nil || got[0].Total == 0 {
		t.Errorf("%d segments read, error %v", got[0].Total, err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	var none *Spool
	if err := none.Close(); err != nil {
		t.Error(err)
	}
}
