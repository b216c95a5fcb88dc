package decode

import (
	"bytes"
	"slices"
	"testing"

	"goproxytrace/capture"
)

type fragmentSpec struct {
	offset int
	more   bool
	data   []byte
}

func (f fragmentSpec) v4(id int) []byte {
	off := f.offset / 8
	if f.more {
		off |= 0x2000
	}
	return ip4Fragment(protoTCP, id, off, nil, f.data)
}

func (f fragmentSpec) v6(id int) []byte {
	off := f.offset
	if f.more {
		off |= 1
	}
	return ip6Packet(protoFragment, join(be(protoTCP, 0), u16(off), u32(id), f.data))
}

func TestReassembly(t *testing.T) {
	whole := tcpSegment(nil, bytes.Repeat([]byte("A"), 60)) // 80 bytes
	part := func(from, to int) fragmentSpec { return fragmentSpec{from, to < len(whole), whole[from:to]} }
	other := func(from, to int) fragmentSpec {
		return fragmentSpec{from, to < len(whole), bytes.Repeat([]byte("Z"), to-from)}
	}
	tests := []struct {
		name  string
		parts []fragmentSpec
		want  []int // indexes of the frames that complete a datagram
		z     int   // bytes of the second version in the payload
	}{
		{"in order", []fragmentSpec{part(0, 32), part(32, 64), part(64, 80)}, []int{2}, 0},
		{"reversed", []fragmentSpec{part(64, 80), part(32, 64), part(0, 32)}, []int{2}, 0},
		{"tiny first", []fragmentSpec{part(0, 8), part(8, 80)}, []int{1}, 0},
		{"hole", []fragmentSpec{part(0, 32), part(40, 80)}, nil, 0},
		{"no first", []fragmentSpec{part(32, 64), part(64, 80)}, nil, 0},
		{"no last", []fragmentSpec{part(0, 32), part(32, 64)}, nil, 0},
		{"duplicates", []fragmentSpec{part(0, 32), part(0, 32), part(32, 80), part(32, 80)}, []int{2}, 0},
		{"overlap", []fragmentSpec{part(0, 40), part(32, 80)}, []int{1}, 0},
		{"overlap with other bytes", []fragmentSpec{part(0, 40), other(32, 64), part(64, 80)}, []int{2}, 24},
		{"second version of the same place", []fragmentSpec{part(0, 40), other(0, 40), part(40, 80)}, []int{2}, 0},
		{"bytes beyond the end", []fragmentSpec{part(48, 64), part(0, 32), {32, false, whole[32:48]}}, []int{2}, 0},
		{"id used again", []fragmentSpec{part(0, 32), part(32, 80), part(0, 32), part(32, 80)}, []int{1, 3}, 0},
	}
	for _, tt := range tests {
		for _, version := range []int{4, 6} {
			d := New()
			var got []int
			for i, f := range tt.parts {
				frame := f.v4(9)
				if version == 6 {
					frame = f.v6(9)
				}
				segs := decodeFrames(d, linkRaw, frame)
				clear(frame) // reassembled bytes must not be borrowed
				for _, s := range segs {
					got = append(got, i)
					if !s.Reassembled || s.Fragment || s.SrcPort != testSrcPort || s.Seq != testSeq || !s.HasIPID {
						t.Errorf("IPv%d %s: %+v", version, tt.name, s)
					}
					if n := bytes.Count(s.Payload, []byte("Z")); n != tt.z {
						t.Errorf("IPv%d %s: %d bytes of the other version, want %d", version, tt.name, n, tt.z)
					}
					want := 60
					if tt.name == "bytes beyond the end" {
						want = 28
					}
					if len(s.Payload) != want || int(s.Len) != want {
						t.Errorf("IPv%d %s: payload %d, length %d, want %d", version, tt.name, len(s.Payload), s.Len, want)
					}
				}
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("IPv%d %s: completed by %v, want %v", version, tt.name, got, tt.want)
			}
			if tt.want != nil && len(tt.want) == 1 && tt.name != "duplicates" && (len(d.frags.open) != 0 || d.frags.size != 0) {
				t.Errorf("IPv%d %s: %d datagrams, %d bytes left", version, tt.name, len(d.frags.open), d.frags.size)
			}
		}
	}
}

// TestFragmentKeys keeps datagrams apart that only look alike.
func TestFragmentKeys(t *testing.T) {
	whole := tcpSegment(nil, make([]byte, 60))
	first, last := fragmentSpec{0, true, whole[:32]}, fragmentSpec{32, false, whole[32:]}
	tag := func(vlan int, p []byte) []byte { return ethFrame(typeVLAN, join(u16(vlan), u16(typeIPv4), p)) }
	if got := decodeFrames(New(), linkRaw, first.v4(1), last.v4(2)); len(got) != 0 {
		t.Errorf("two ids joined: %+v", got)
	}
	other := last.v4(1)
	other[15] = 77
	if got := decodeFrames(New(), linkRaw, first.v4(1), other); len(got) != 0 {
		t.Errorf("two sources joined: %+v", got)
	}
	if got := decodeFrames(New(), linkEthernet, tag(5, first.v4(1)), tag(6, last.v4(1))); len(got) != 0 {
		t.Errorf("two VLANs joined: %+v", got)
	}
	if got := decodeFrames(New(), linkEthernet, tag(0x2005, first.v4(1)), tag(0x4005, last.v4(1))); len(got) != 1 {
		t.Errorf("two priorities of a VLAN not joined: %+v", got)
	}
}

// TestFirstFragmentAlone: a first fragment that was cut is read for its
// header; a later one, and one of IPv6, is not.
func TestFirstFragmentAlone(t *testing.T) {
	whole := tcpSegment(nil, make([]byte, 100))
	first := fragmentSpec{0, true, whole[:64]}
	s := one(t, cutFrame(New(), linkRaw, first.v4(1), 60), ProtoTCP)
	if !s.Fragment || s.Reassembled || s.Len != 0 || s.SrcPort != testSrcPort {
		t.Errorf("cut first fragment %+v", s)
	}
	if got := cutFrame(New(), linkRaw, fragmentSpec{64, false, whole[64:]}.v4(1), 60); len(got) != 0 {
		t.Errorf("cut later fragment %+v", got)
	}
	if got := cutFrame(New(), linkRaw, first.v6(1), 80); len(got) != 0 {
		t.Errorf("cut IPv6 fragment %+v", got)
	}
	if got := decodeFrames(New(), linkRaw, first.v4(1)); len(got) != 0 {
		t.Errorf("whole first fragment given before its datagram: %+v", got)
	}
}

// TestFragmentsInTunnel reassembles outside and inside a tunnel at once; what
// was given first must stay intact.
func TestFragmentsInTunnel(t *testing.T) {
	tcp := tcpSegment(nil, bytes.Repeat([]byte("i"), 60))
	inFirst, inLast := fragmentSpec{0, true, tcp[:32]}.v4(5), fragmentSpec{32, false, tcp[32:]}.v4(5)
	wrap := func(inner []byte) []byte {
		return udpDatagram(50000, portVXLAN, join(be(8, 0, 0, 0, 0, 0, 0, 0), ethFrame(typeIPv4, inner)))
	}
	d := New()
	outer := wrap(inLast)
	frames := [][]byte{
		ip4Packet(protoUDP, wrap(inFirst)),
		ip4Fragment(protoUDP, 9, 0x2000, nil, outer[:48]),
		ip4Fragment(protoUDP, 9, 6, nil, outer[48:]),
	}
	got := decodeFrames(d, linkRaw, frames...)
	if len(got) != 3 {
		t.Fatalf("segments %+v", got)
	}
	if !bytes.Equal(got[1].Transport, outer) {
		t.Error("outer datagram was overwritten by the inner one")
	}
	if s := got[2]; s.Proto != ProtoTCP || !s.Reassembled || s.Len != 60 || !bytes.Equal(s.Transport, tcp) {
		t.Errorf("inner segment %+v", s)
	}
}

// TestFragmentBounds floods the table in every direction.
func TestFragmentBounds(t *testing.T) {
	check := func(d *Decoder) {
		t.Helper()
		if len(d.frags.open) > maxDatagrams || d.frags.size > maxFragmentBytes {
			t.Fatalf("%d datagrams, %d bytes kept", len(d.frags.open), d.frags.size)
		}
		n, size := 0, 0
		for g := d.frags.oldest; g != nil; g = g.newer {
			n++
			size += g.size
		}
		if n != len(d.frags.open) || size != d.frags.size {
			t.Fatalf("list has %d datagrams of %d bytes, table %d of %d", n, size, len(d.frags.open), d.frags.size)
		}
	}
	d := New()
	for id := range 3 * maxDatagrams {
		decodeFrames(d, linkRaw, fragmentSpec{0, true, make([]byte, 16)}.v6(id))
	}
	check(d)
	if len(d.frags.open) != maxDatagrams {
		t.Errorf("%d datagrams kept, want %d", len(d.frags.open), maxDatagrams)
	}
	for id := range 200 {
		decodeFrames(d, linkRaw, fragmentSpec{0, true, make([]byte, 60000)}.v6(id))
	}
	check(d)
	d = New()
	for i := range 3 * maxPieces {
		decodeFrames(d, linkRaw, fragmentSpec{8 * (1 + i%100), true, make([]byte, 8)}.v4(1))
	}
	check(d)
	var lost int64
	for _, u := range d.Unread() {
		if u.Name == "IP fragments dropped for want of room" {
			lost = u.Count
		}
	}
	if lost == 0 {
		t.Error("dropped fragments are not counted")
	}
	// The newest datagram survives a flood.
	tcp := tcpSegment(nil, make([]byte, 60))
	for id := range 2 * maxDatagrams {
		decodeFrames(d, linkRaw, fragmentSpec{0, true, make([]byte, 16)}.v6(id))
	}
	p := capture.Packet{Number: 1, LinkType: linkRaw}
	p.Data = fragmentSpec{0, true, tcp[:32]}.v6(-1)
	p.Length = len(p.Data)
	d.Decode(&p, nil)
	p.Data = fragmentSpec{32, false, tcp[32:]}.v6(-1)
	p.Length = len(p.Data)
	if got := d.Decode(&p, nil); len(got) != 1 {
		t.Errorf("after a flood: %+v", got)
	}
}
