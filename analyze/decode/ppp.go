package decode

func (d *Decoder) pppoe(v view) {
	if len(v.b) < 6 {
		d.cut(hdrPPPoE)
		return
	}
	length := int(be16(v.b[4:]))
	d.ppp(v.skip(6).limit(length))
}

// ppp reads a PPP frame that begins with its protocol field, which one byte
// may hold (RFC 1661 §6.5).
func (d *Decoder) ppp(v view) {
	if !d.enter() {
		return
	}
	if len(v.b) == 0 {
		d.cut(hdrPPP)
		return
	}
	proto := uint16(v.b[0])
	if proto&1 != 0 {
		v = v.skip(1)
	} else {
		if len(v.b) < 2 {
			d.cut(hdrPPP)
			return
		}
		proto = be16(v.b)
		v = v.skip(2)
	}
	switch proto {
	case 0x0021, typeIPv4:
		d.ipv4(v)
	case 0x0057, typeIPv6:
		d.ipv6(v)
	case 0x0281, 0x0283:
		d.mpls(v)
	case 0x004b:
		d.llc(v)
	default:
		d.miss(missPPP, uint32(proto))
	}
}

// pppHDLC reads PPP in HDLC-like framing (RFC 1662) with address and control
// present or compressed away, and Cisco HDLC, which is told by its address.
func (d *Decoder) pppHDLC(v view) {
	if len(v.b) == 0 {
		d.cut(hdrPPP)
		return
	}
	switch v.b[0] {
	case 0x0f, 0x8f:
		d.ciscoHDLC(v)
	case 0xff:
		d.ppp(v.skip(2))
	default:
		d.ppp(v)
	}
}

func (d *Decoder) ciscoHDLC(v view) {
	if len(v.b) < 4 {
		d.cut(hdrHDLC)
		return
	}
	d.ciscoType(be16(v.b[2:]), v.skip(4))
}

// ciscoType is what Cisco HDLC and Cisco's frame relay put on Ethernet types.
func (d *Decoder) ciscoType(t uint16, v view) {
	switch t {
	case typeIPv4:
		d.ipv4(v)
	case typeIPv6:
		d.ipv6(v)
	case typeMPLS, typeMPLSMulti:
		d.mpls(v)
	case typeTEB:
		d.ethernet(v)
	default:
		d.miss(missEthertype, uint32(t))
	}
}

// frameRelay reads a frame relay frame (RFC 2427), or Cisco's encapsulation of
// it, which is told by the missing control byte of an unnumbered frame.
func (d *Decoder) frameRelay(v view) {
	n := 0
	for n < 4 {
		if len(v.b) <= n {
			d.cut(hdrFrameRelay)
			return
		}
		n++
		if v.b[n-1]&1 != 0 {
			break
		}
	}
	v = v.skip(n)
	if len(v.b) < 2 {
		d.cut(hdrFrameRelay)
		return
	}
	if v.b[0]&0x03 != 0x03 {
		d.ciscoType(be16(v.b), v.skip(2))
		return
	}
	v = v.skip(1)
	if v.b[0] == 0 && len(v.b) > 1 {
		v = v.skip(1) // padding
	}
	switch nlpid := v.b[0]; nlpid {
	case 0xcc:
		d.ipv4(v.skip(1))
	case 0x8e:
		d.ipv6(v.skip(1))
	case 0xcf:
		d.ppp(v.skip(1))
	case 0x80:
		d.snap(v.skip(1), 0)
	default:
		d.miss(missHeader, uint32(hdrFrameRelay))
	}
}
