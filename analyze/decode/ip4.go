package decode

import "encoding/binary"

const (
	protoHopByHop = 0
	protoICMP     = 1
	protoIPIP     = 4
	protoTCP      = 6
	protoUDP      = 17
	protoIPv6     = 41
	protoRouting  = 43
	protoFragment = 44
	protoGRE      = 47
	protoAH       = 51
	protoICMPv6   = 58
	protoNoNext   = 59
	protoDestOpts = 60
	protoEtherIP  = 97
	protoIPComp   = 108
	protoL2TP     = 115
	protoUDPLite  = 136
	protoMPLS     = 137
	protoEthernet = 143
)

// The IPv4 and IPv6 headers are read here and not by gopacket: its layers
// append options to the heap, refuse headers that Wireshark reads (a total
// length beyond the frame), and know captured lengths only.

// ipAny reads an IP header of the version that its first nibble says.
func (d *Decoder) ipAny(v view) {
	if len(v.b) == 0 {
		d.cut(hdrRaw)
		return
	}
	switch v.b[0] >> 4 {
	case 4:
		d.ipv4(v)
	case 6:
		d.ipv6(v)
	default:
		d.malformed(hdrRaw)
	}
}

func mapped(a *Addr, b []byte) {
	binary.BigEndian.PutUint64(a[:], 0)
	binary.BigEndian.PutUint64(a[8:], 0xffff<<32|uint64(be32(b)))
}

func (d *Decoder) ipv4(v view) {
	if !d.enter() {
		return
	}
	b := v.b
	if len(b) < 20 {
		d.cut(hdrIPv4)
		return
	}
	if b[0]>>4 != 4 {
		if b[0]>>4 == 6 {
			d.ipv6(v) // announced as IPv4, as some tunnels do
			return
		}
		d.malformed(hdrIPv4)
		return
	}
	hlen := int(b[0]&0x0f) * 4
	if hlen < 20 {
		d.malformed(hdrIPv4)
		return
	}
	total := int(be16(b[2:]))
	if total < hlen {
		if total != 0 {
			d.malformed(hdrIPv4)
			return
		}
		// Total length 0: a segment that the network card is still to cut
		// (TCP segmentation offload); all that follows belongs to it.
		total = v.n
	} else {
		v = v.limit(total)
		b = v.b
	}
	if len(b) < hlen {
		d.cut(hdrIPv4)
		return
	}
	h := &d.ip
	mapped(&h.src, b[12:16])
	mapped(&h.dst, b[16:20])
	off := be16(b[6:])
	h.version = 4
	h.ttl = b[8]
	h.id = be16(b[4:])
	h.hasID = true
	h.dontFragment = off&0x4000 != 0
	if hlen > 20 {
		d.sourceRoute(b[20:hlen])
	}
	proto := b[9]
	v = v.skip(hlen)
	if off&0x3fff == 0 {
		h.fragment, h.reassembled = false, false
		if proto == protoTCP {
			d.tcp(v)
			return
		}
		d.transport(proto, v)
		return
	}
	d.fragment4(v, proto, off, total-hlen)
}

func (d *Decoder) fragment4(v view, proto uint8, off uint16, length int) {
	h := &d.ip
	more := off&0x2000 != 0
	offset := int(off&0x1fff) * 8
	if length > 0 && len(v.b) >= length {
		key := fragmentKey{src: h.src, dst: h.dst, id: d.fragmentID4(proto), version: 4}
		if whole, ok := d.reassemble(key, v.b[:length], offset, more); ok {
			h.fragment, h.reassembled = false, true
			d.transport(proto, view{whole, len(whole)})
		}
		return
	}
	if offset != 0 {
		d.miss(missFragment, 0)
		return
	}
	h.fragment, h.reassembled = more, false
	d.transport(proto, v)
}

// fragmentID4 keeps datagrams of different protocols and VLANs apart, in the
// mixed way that Wireshark does it.
func (d *Decoder) fragmentID4(proto uint8) uint32 {
	return uint32(d.ip.id ^ uint16(proto) ^ d.linkVLAN)
}

// sourceRoute takes the final destination out of a strict or loose source
// route (RFC 791 §3.1) that is not used up: transport counts with it.
func (d *Decoder) sourceRoute(opt []byte) {
	for len(opt) > 0 {
		switch opt[0] {
		case 0:
			return
		case 1:
			opt = opt[1:]
			continue
		}
		if len(opt) < 2 || opt[1] < 2 || int(opt[1]) > len(opt) {
			return
		}
		n := int(opt[1])
		if (opt[0] == 131 || opt[0] == 137) && n >= 7 && int(opt[2]) <= n-3 {
			mapped(&d.ip.dst, opt[n-4:n])
			return
		}
		opt = opt[n:]
	}
}

// transport reads what follows the IP headers.
func (d *Decoder) transport(proto uint8, v view) {
	switch proto {
	case protoTCP:
		d.tcp(v)
	case protoUDP:
		d.udp(v)
	case protoICMP:
		d.icmp4(v)
	case protoICMPv6:
		d.icmp6(v)
	default:
		d.otherTransport(proto, v)
	}
}

func (d *Decoder) missProto(proto uint8) {
	if d.ip.version == 6 {
		d.miss(missIP6Proto, uint32(proto))
	} else {
		d.miss(missIPProto, uint32(proto))
	}
}
