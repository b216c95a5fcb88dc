package decode

import "github.com/gopacket/gopacket"

// otherTransport reads what follows an IP header and is neither TCP, UDP nor
// ICMP.
func (d *Decoder) otherTransport(proto uint8, v view) {
	if !d.enter() {
		return
	}
	switch proto {
	case protoIPIP:
		d.ipAny(v)
	case protoIPv6:
		d.ipv6(v)
	case protoGRE:
		d.gre(v)
	case protoHopByHop, protoDestOpts, protoRouting, protoFragment, protoAH:
		d.extensions(proto, v)
	case protoEtherIP:
		e := &d.layers.etherip
		if err := e.DecodeFromBytes(v.b, gopacket.NilDecodeFeedback); err != nil {
			d.cut(hdrEtherIP)
			return
		}
		d.ethernet(v.skip(len(e.Contents)))
	case protoMPLS:
		d.mpls(v)
	case protoEthernet:
		d.ethernet(v)
	case protoNoNext:
		if d.ip.version == 4 {
			d.missProto(proto)
		}
	default:
		d.missProto(proto)
	}
}

const (
	greERSPAN3   = 0x22eb
	greEoIP      = 0x6400
	greERSPAN2   = 0x88be
	greWCCP      = 0x883e
	greArubaMin  = 0x8200
	greArubaMax  = 0x83f0
	greArubaStep = 0x0010
)

// gre reads RFC 2784, RFC 2890 and RFC 2637 headers and what they carry.
func (d *Decoder) gre(v view) {
	g := &d.layers.gre
	if err := g.DecodeFromBytes(v.b, gopacket.NilDecodeFeedback); err != nil {
		d.cut(hdrGRE)
		return
	}
	d.greProtocol(uint16(g.Protocol), g.SeqPresent, v.skip(len(g.Contents)))
}

func (d *Decoder) greProtocol(proto uint16, sequenced bool, v view) {
	if v.n == 0 {
		return // an acknowledgment of PPTP carries nothing
	}
	switch proto {
	case typeIPv4:
		d.ipAny(v)
	case typeIPv6:
		d.ipv6(v)
	case typeARP:
		d.arp(v)
	case typeTEB, greEoIP:
		d.ethernet(v)
	case typeMPLS, typeMPLSMulti:
		d.mpls(v)
	case typePPP:
		d.pppHDLC(v)
	case typeFrameRelay:
		d.frameRelay(v)
	case typeNSH:
		d.nsh(v)
	case greWCCP:
		// A redirect header of 4 bytes may stand before the IP header.
		if len(v.b) > 0 && v.b[0]>>4 != 4 {
			v = v.skip(4)
		}
		d.ipAny(v)
	case greERSPAN2:
		if !sequenced {
			d.ethernet(v) // ERSPAN type I has no header of its own
			return
		}
		e := &d.layers.erspan
		if err := e.DecodeFromBytes(v.b, gopacket.NilDecodeFeedback); err != nil {
			d.cut(hdrERSPAN)
			return
		}
		d.ethernet(v.skip(len(e.Contents)))
	case greERSPAN3:
		d.erspan3(v)
	default:
		if proto >= greArubaMin && proto <= greArubaMax && proto%greArubaStep == 0 {
			d.wlan(v, wlanFrame{})
			return
		}
		d.miss(missGRE, uint32(proto))
	}
}

// erspan3 reads an ERSPAN type III header (draft-foschiano-erspan).
func (d *Decoder) erspan3(v view) {
	if len(v.b) < 12 {
		d.cut(hdrERSPAN)
		return
	}
	n := 12
	if v.b[11]&1 != 0 {
		n += 8 // platform-specific subheader
	}
	if frameType := be16(v.b[10:]) >> 10 & 0x1f; frameType != 0 {
		d.miss(missHeader, uint32(hdrERSPAN))
		return
	}
	d.within(hdrERSPAN, v, n, d.ethernet)
}
