package decode

func (d *Decoder) icmp4(v view) {
	if len(v.b) < 4 {
		d.cut(hdrICMP)
		return
	}
	s := d.segment(ProtoICMP)
	if s == nil {
		return
	}
	b := v.b
	s.Transport = b
	s.ICMPType, s.ICMPCode = b[0], b[1]
	if v.n > 8 {
		s.Len = uint32(v.n - 8)
	}
	if len(b) <= 8 {
		return
	}
	s.Payload = b[8:]
	switch s.ICMPType {
	case 3, 4, 5, 11, 12:
		if s.Quote = quoted(s.Payload); s.Quote != nil && s.ICMPType == 3 && s.ICMPCode == 4 {
			s.Quote.MTU = uint32(be16(b[6:]))
		}
	}
}

func (d *Decoder) icmp6(v view) {
	b := v.b
	if len(b) < 4 {
		d.cut(hdrICMPv6)
		return
	}
	kind := b[0]
	if kind == 135 || kind == 136 {
		d.neighbour(v)
		return
	}
	s := d.segment(ProtoICMPv6)
	if s == nil {
		return
	}
	s.Transport = b
	s.ICMPType, s.ICMPCode = kind, b[1]
	if v.n > 8 {
		s.Len = uint32(v.n - 8)
	}
	if len(b) <= 8 {
		return
	}
	s.Payload = b[8:]
	if kind >= 1 && kind <= 4 {
		if s.Quote = quoted(s.Payload); s.Quote != nil && kind == 2 {
			s.Quote.MTU = be32(b[4:])
		}
	}
}

// neighbour gives a neighbour solicitation or advertisement (RFC 4861 §4.3,
// §4.4) as the question or answer it is.
func (d *Decoder) neighbour(v view) {
	if len(v.b) < 24 {
		d.cut(hdrICMPv6)
		return
	}
	s := d.segment(ProtoARP)
	if s == nil {
		return
	}
	s.Transport = v.b
	s.ICMPType = v.b[0] - 134
	copy(s.Dst[:], v.b[8:24])
}

// quoted reads the packet that an ICMP error quotes: an IP header and at
// least the ports after it. It returns nil where there is none. An error is
// rare, so the Quote may be allocated.
func quoted(b []byte) *Quote {
	if len(b) < 20 {
		return nil
	}
	q := &Quote{}
	var proto uint8
	switch b[0] >> 4 {
	case 4:
		hlen := int(b[0]&15) * 4
		if hlen < 20 || hlen > len(b) {
			return nil
		}
		q.IPVersion = 4
		q.TTL = b[8]
		q.IPID = be16(b[4:])
		mapped(&q.Src, b[12:])
		mapped(&q.Dst, b[16:])
		proto = b[9]
		if be16(b[6:])&0x1fff != 0 {
			return q // a later fragment: no ports in it
		}
		b = b[hlen:]
	case 6:
		if len(b) < 40 {
			return nil
		}
		q.IPVersion = 6
		q.TTL = b[7]
		copy(q.Src[:], b[8:24])
		copy(q.Dst[:], b[24:40])
		proto, b = b[6], b[40:]
		for range maxExtensions {
			if proto != protoHopByHop && proto != protoRouting && proto != protoDestOpts && proto != protoFragment {
				break
			}
			n := 8
			if len(b) >= 8 && proto != protoFragment {
				n = (int(b[1]) + 1) * 8
			}
			if len(b) < n {
				return q
			}
			if proto == protoFragment && be16(b[2:])&0xfff8 != 0 {
				return q
			}
			proto, b = b[0], b[n:]
		}
	default:
		return nil
	}
	switch proto {
	case protoTCP:
		q.Proto = ProtoTCP
	case protoUDP:
		q.Proto = ProtoUDP
	case protoICMP:
		q.Proto = ProtoICMP
		return q
	case protoICMPv6:
		q.Proto = ProtoICMPv6
		return q
	default:
		return q
	}
	if len(b) >= 4 {
		q.SrcPort, q.DstPort = be16(b), be16(b[2:])
		if proto == protoTCP && len(b) >= 8 {
			q.Seq, q.HasSeq = be32(b[4:]), true
		}
	}
	return q
}
