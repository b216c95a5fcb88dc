package decode

import (
	"slices"
	"testing"

	"goproxytrace/capture"
)

// TestUnreadNames wants a name that a person understands for what is not read.
func TestUnreadNames(t *testing.T) {
	tests := []struct {
		link  capture.LinkType
		frame []byte
		want  string
	}{
		{147, inner4, "link type 147 (USER0)"},
		{4000, inner4, "link type 4000"},
		{linkEthernet, ethFrame(typeMACsec, join(be(0x0c, 0, 0, 0, 0, 1), inner4)), "802.1AE MACsec"},
		{linkEthernet, ethFrame(0x88cc, inner4), "LLDP"},
		{linkEthernet, ethFrame(0x1234+0x1000, inner4), "Ethernet type 0x2234"},
		{linkEthernet, ethFrame(38, join(be(0x42, 0x42, 3), make([]byte, 35))), "LLC SAP 0x42 (spanning tree)"},
		{linkEthernet, ethFrame(50, join(be(0xaa, 0xaa, 3, 0, 0, 0x0c, 0x20, 0), make([]byte, 42))), "SNAP protocol 00000c:2000"},
		{linkRaw, ip4Packet(50, make([]byte, 40)), "IPv4 protocol 50 (ESP)"},
		{linkRaw, ip6Packet(132, make([]byte, 40)), "IPv6 next header 132 (SCTP)"},
		{linkRaw, ip4Packet(protoGRE, join(u16(0), u16(0x88cc), make([]byte, 20))), "GRE protocol 0x88cc (LLDP)"},
		{linkPPP, join(be(0xff, 3), u16(0xc021), make([]byte, 20)), "PPP protocol 0xc021 (LCP)"},
		{linkNull, join(u32(23), inner4), "loopback address family 23"},
		{linkSLL, sllFrame(hardwareNetlink, 0, inner4), "cooked capture of hardware type 824 (netlink)"},
		{linkWLAN, join(wlanHeader(8, 0x42), innerSNAP), "802.11 protected data"},
		{linkRaw, inner4[:10], "IPv4 header cut short by the capture"},
		{linkRaw, join(be(0x41), inner4[1:]), "malformed IPv4 header"},
		{linkEthernet, innerEth[:9], "Ethernet header cut short by the capture"},
	}
	for _, tt := range tests {
		d := New()
		if got := decodeFrames(d, tt.link, tt.frame); len(got) != 0 {
			t.Errorf("%s: segments %+v", tt.want, got)
		}
		got := d.Unread()
		if want := []UnreadCount{{Name: tt.want, Count: 1, First: 1}}; !slices.Equal(got, want) {
			t.Errorf("unread %+v, want %+v", got, want)
		}
	}
}

func TestUnreadCounts(t *testing.T) {
	d := New()
	lldp, slow := ethFrame(0x88cc, inner4), ethFrame(0x8809, inner4)
	decodeFrames(d, linkEthernet, innerEth, slow, lldp, lldp, innerEth, slow, lldp)
	want := []UnreadCount{{"LLDP", 3, 3}, {"Ethernet slow protocols", 2, 2}}
	if got := d.Unread(); !slices.Equal(got, want) {
		t.Errorf("unread %+v, want %+v", got, want)
	}
	if got := New().Unread(); len(got) != 0 {
		t.Errorf("unread of a new decoder %+v", got)
	}
}

// TestUnreadIsBounded: hostile input may name every Ethernet type.
func TestUnreadIsBounded(t *testing.T) {
	d := New()
	var frames int64
	for typ := 0x3000; typ < 0x4000; typ++ {
		decodeFrames(d, linkEthernet, ethFrame(typ, inner4))
		frames++
	}
	got := d.Unread()
	if len(got) > maxUnread+1 {
		t.Errorf("%d names kept, want at most %d", len(got), maxUnread+1)
	}
	var sum int64
	for _, u := range got {
		sum += u.Count
	}
	if sum != frames {
		t.Errorf("counts add up to %d, want %d", sum, frames)
	}
}

// TestHeaderNames wants a name for every header that a message can name.
func TestHeaderNames(t *testing.T) {
	for h := range hdrMax {
		if headerNames[h] == "" {
			t.Errorf("header %d has no name", h)
		}
	}
}

func pktapV1(length, next, dlt int, pid, effective int, frame []byte) []byte {
	h := make([]byte, 156)
	copy(h, l32(length))
	copy(h[4:], l32(next))
	copy(h[8:], l32(dlt))
	copy(h[52:], l32(pid))
	copy(h[56:], "git-remote-https")
	copy(h[84:], l32(effective))
	copy(h[88:], "go")
	return join(h, frame)
}

func pktapV2(dlt int, frame []byte) []byte {
	names := "en0\x00go\x00curl\x00"
	h := make([]byte, 40)
	h[0], h[1], h[3], h[4] = byte(40+len(names)), 40, 44, 47
	copy(h[6:], l16(dlt))
	copy(h[28:], l32(77))
	copy(h[32:], l32(-1))
	copy(h[36:], l32(0x80000))
	return join(h, []byte(names), frame)
}

func TestPKTAP(t *testing.T) {
	for _, lt := range []capture.LinkType{linkPKTAP, linkPKTAPUser} {
		s := one(t, decodeFrames(New(), lt, pktapV1(156, 1, linkEthernet, 77, 78, innerEth)), ProtoTCP)
		if want := (Process{77, "git-remote-https", 78, "go"}); s.Process == nil || *s.Process != want {
			t.Errorf("version 1: %+v", s.Process)
		}
		s = one(t, decodeFrames(New(), lt, pktapV1(156, 1, linkRaw12, -1, 0, inner4)), ProtoTCP)
		if s.Process != nil {
			t.Errorf("nobody owns it: %+v", s.Process)
		}
		s = one(t, decodeFrames(New(), lt, pktapV2(linkEthernet, innerEth)), ProtoTCP)
		if want := (Process{77, "go", -1, "curl"}); s.Process == nil || *s.Process != want {
			t.Errorf("version 2: %+v", s.Process)
		}
	}
	for name, frame := range map[string][]byte{
		"no packet":      pktapV1(156, 0, linkEthernet, 77, 78, innerEth),
		"inside itself":  pktapV1(156, 1, linkPKTAP, 77, 78, pktapV1(156, 1, linkEthernet, 1, 1, innerEth)),
		"length beyond":  pktapV1(4000, 1, linkEthernet, 77, 78, innerEth),
		"length below":   pktapV1(20, 1, linkEthernet, 77, 78, innerEth),
		"length is huge": pktapV1(-1, 1, linkEthernet, 77, 78, innerEth),
	} {
		if got := decodeFrames(New(), linkPKTAP, frame); len(got) != 0 {
			t.Errorf("%s: %+v", name, got)
		}
	}
	d := New()
	got := decodeFrames(d, linkPKTAP, pktapV1(156, 1, linkEthernet, 77, 78, innerEth), pktapV1(156, 1, linkEthernet, 77, 78, innerEth))
	if got[0].Process != got[1].Process {
		t.Error("the same owner is kept twice")
	}
	// An owner does not stay for the frames after.
	if s := one(t, decodeFrames(d, linkEthernet, innerEth), ProtoTCP); s.Process != nil {
		t.Errorf("owner of another frame: %+v", s.Process)
	}
}
