package packets

import (
	"bytes"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

const (
	client4, server4 = "192.0.2.10:40000", "198.51.100.1:443"
	client6, server6 = "[2001:db8::10]:40000", "[2001:db8::1]:443"
)

// decode parses an Ethernet frame with an independent library and fails where
// that finds a fault, wrong checksums included unless bad is expected.
func decode(t *testing.T, frame []byte, bad bool) gopacket.Packet {
	t.Helper()
	p := gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.Default)
	if e := p.ErrorLayer(); e != nil {
		t.Fatalf("decoding: %v\n%x", e.Error(), frame)
	}
	for _, l := range p.Layers() {
		if c, ok := l.(interface {
			SetNetworkLayerForChecksum(gopacket.NetworkLayer) error
		}); ok {
			if err := c.SetNetworkLayerForChecksum(p.NetworkLayer()); err != nil {
				t.Fatal(err)
			}
		}
	}
	err, mismatches := p.VerifyChecksums()
	if err != nil {
		t.Fatal(err)
	}
	if (len(mismatches) > 0) != bad {
		t.Fatalf("checksum mismatches %v, expected some: %v\n%x", mismatches, bad, frame)
	}
	return p
}

func TestTCP(t *testing.T) {
	for _, payload := range []string{"", "x", "hello", string(make([]byte, 1448))} {
		for _, a := range [][2]string{{client4, server4}, {client6, server6}} {
			p := TCP(a[0], a[1]).Seq(0xfffffff0).Ack(77).Flags(PSH).Window(512).
				MSS(1460).SACKPermitted().Timestamps(1000, 2000).WindowScale(9).
				TTL(57).TOS(0xb8).ID(99).DontFragment().VLAN(5).Tag(0x8100, 7).Text(payload)
			tcp := decode(t, p.Ethernet(), false).Layer(layers.LayerTypeTCP).(*layers.TCP)
			if tcp.SrcPort != 40000 || tcp.DstPort != 443 || tcp.Seq != 0xfffffff0 || tcp.Ack != 77 || !tcp.PSH || !tcp.ACK || tcp.SYN ||
				tcp.Window != 512 || string(tcp.Payload) != payload {
				t.Errorf("%s: fields differ: %+v", a[0], tcp)
			}
			kinds := map[layers.TCPOptionKind][]byte{}
			for _, o := range tcp.Options {
				kinds[o.OptionType] = o.OptionData
			}
			if _, permitted := kinds[4]; !permitted || !bytes.Equal(kinds[2], []byte{5, 0xb4}) || !bytes.Equal(kinds[3], []byte{9}) ||
				!bytes.Equal(kinds[8], []byte{0, 0, 3, 232, 0, 0, 7, 208}) {
				t.Errorf("%s: options differ: %v", a[0], tcp.Options)
			}
			decode(t, p.Clone().BadChecksum().Ethernet(), true)
		}
	}
}

func TestSACKEdges(t *testing.T) {
	tcp := decode(t, TCP(client4, server4).Ack(1).SACK(10, 20, 30, 40).Ethernet(), false).Layer(layers.LayerTypeTCP).(*layers.TCP)
	want := []byte{0, 0, 0, 10, 0, 0, 0, 20, 0, 0, 0, 30, 0, 0, 0, 40}
	if o := tcp.Options[2]; o.OptionType != 5 || !bytes.Equal(o.OptionData, want) {
		t.Errorf("options %v", tcp.Options)
	}
}

func TestUDPAndICMP(t *testing.T) {
	u := decode(t, UDP(client6, server6).Text("odd").Ethernet(), false).Layer(layers.LayerTypeUDP).(*layers.UDP)
	if u.Length != 11 || string(u.Payload) != "odd" {
		t.Errorf("UDP %+v", u)
	}
	syn := TCP(client4, server4).Flags(SYN).Seq(5)
	e := decode(t, ICMPError("198.51.100.254", "192.0.2.10", 3, 13, syn).Ethernet(), false).Layer(layers.LayerTypeICMPv4).(*layers.ICMPv4)
	if e.TypeCode.Type() != 3 || e.TypeCode.Code() != 13 || !bytes.Equal(e.Payload, syn.IP()) {
		t.Errorf("ICMP %+v", e)
	}
	big := TCP(client6, server6).Ack(1).Payload(make([]byte, 1400))
	six := decode(t, ICMPError("2001:db8::fe", "2001:db8::10", 2, 0, big).ICMPRest(1280).Ethernet(), false).Layer(layers.LayerTypeICMPv6).(*layers.ICMPv6)
	if six.TypeCode.Type() != 2 || !bytes.Equal(six.Payload[:4], []byte{0, 0, 5, 0}) || len(six.Payload) != 4+1232 {
		t.Errorf("ICMPv6 of %d bytes: %x", len(six.Payload), six.Payload[:8])
	}
}

func TestFragmentsJoin(t *testing.T) {
	for _, a := range [][2]string{{client4, server4}, {client6, server6}} {
		p := UDP(a[0], a[1]).Payload(bytes.Repeat([]byte("fragment"), 300))
		var joined []byte
		list := p.Fragments(1001, 0xabcd)
		for i, f := range list {
			frame := f.Ethernet()
			g := gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.Default)
			var more bool
			var offset int
			if ip := g.Layer(layers.LayerTypeIPv4); ip != nil {
				h := ip.(*layers.IPv4)
				more, offset = h.Flags&layers.IPv4MoreFragments != 0, int(h.FragOffset)*8
			} else {
				h := g.Layer(layers.LayerTypeIPv6Fragment).(*layers.IPv6Fragment)
				more, offset = h.MoreFragments, int(h.FragmentOffset)*8
				if h.Identification != 0xabcd || h.NextHeader != layers.IPProtocolUDP {
					t.Errorf("fragment header %+v", h)
				}
			}
			if more != (i < len(list)-1) || offset != len(joined) {
				t.Errorf("fragment %d: offset %d, more %v", i, offset, more)
			}
			joined = append(joined, f.payload...)
		}
		if len(list) != 3 || !bytes.Equal(joined, p.Transport()) {
			t.Errorf("%d fragments, %d bytes, want %d", len(list), len(joined), len(p.Transport()))
		}
	}
}

func TestExtensionHeaders(t *testing.T) {
	p := TCP(client6, server6).Flags(SYN).Extension(0, []byte{1, 4, 0, 0, 0, 0}).Extension(60, []byte{1, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	g := decode(t, p.Ethernet(), false)
	if g.Layer(layers.LayerTypeIPv6HopByHop) == nil || g.Layer(layers.LayerTypeIPv6Destination) == nil || g.Layer(layers.LayerTypeTCP) == nil {
		t.Errorf("layers %v", g)
	}
}

func TestReplyAndLinkHeaders(t *testing.T) {
	p := TCP(client4, server4).VLAN(12).Flags(SYN)
	r := p.Reply().Flags(SYN).Ack(1)
	g := decode(t, r.Ethernet(), false)
	tcp := g.Layer(layers.LayerTypeTCP).(*layers.TCP)
	if tcp.SrcPort != 443 || tcp.DstPort != 40000 || g.Layer(layers.LayerTypeDot1Q) == nil {
		t.Errorf("reply %v", g)
	}
	plain := TCP(client6, server6).Flags(SYN)
	for name, c := range map[string]struct {
		first gopacket.Decoder
		frame []byte
	}{
		"SLL":  {layers.LayerTypeLinuxSLL, plain.Cooked(4)},
		"SLL2": {layers.LayerTypeLinuxSLL2, plain.Cooked2(4, 3)},
		"null": {layers.LayerTypeLoopback, plain.Null()},
		"raw":  {layers.LayerTypeIPv6, plain.IP()},
	} {
		g := gopacket.NewPacket(c.frame, c.first, gopacket.Default)
		if g.ErrorLayer() != nil || g.Layer(layers.LayerTypeTCP) == nil {
			t.Errorf("%s: %v", name, g)
		}
	}
}

func TestWrongOnPurpose(t *testing.T) {
	b := TCP(client4, server4).TotalLength(0).Text("offload").IP()
	if b[2] != 0 || b[3] != 0 || len(b) != 47 {
		t.Errorf("total length % x", b[:4])
	}
	b = TCP(client4, server4).DataOffset(3).Transport()
	if b[12]>>4 != 3 || len(b) != 20 {
		t.Errorf("data offset %d", b[12]>>4)
	}
	defer func() {
		if recover() == nil {
			t.Error("addresses of two families were accepted")
		}
	}()
	TCP(client4, server6)
}

func TestCloneIsApart(t *testing.T) {
	p := TCP(client4, server4).MSS(1460)
	q := p.Clone().WindowScale(7).Seq(9)
	if bytes.Equal(p.Transport(), q.Transport()) || len(p.Transport()) != 24 {
		t.Error("a change of the clone reached the original")
	}
}
