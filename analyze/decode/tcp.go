package decode

// The TCP header is read here and not by gopacket, whose layer refuses a data
// offset below 20 and options that the snapshot length cut, and appends every
// option to the heap.

func (d *Decoder) tcp(v view) {
	b := v.b
	if len(b) < 16 {
		d.cut(hdrTCP)
		return
	}
	s := d.segment(ProtoTCP)
	if s == nil {
		return
	}
	s.Transport = b
	s.SrcPort = be16(b)
	s.DstPort = be16(b[2:])
	s.Seq = be32(b[4:])
	s.Ack = be32(b[8:])
	offset := be16(b[12:])
	s.Flags = offset & 0x1ff
	hlen := int(offset>>12) * 4
	s.HeaderLen = uint8(hlen)
	s.Window = be16(b[14:])
	if !s.Fragment {
		if v.n < hlen {
			s.Short = true
		} else {
			s.Len = uint32(v.n - hlen)
		}
	}
	if len(b) < 20 || len(b) < hlen {
		s.OptionsCut = true
	}
	if hlen > 20 && len(b) > 20 {
		s.options(b[20:min(hlen, len(b))])
	}
	if hlen < len(b) {
		s.Payload = b[hlen:]
	}
}

// options reads the TCP options that matter here; it stops where a length
// makes no sense or the capture ends.
func (s *Segment) options(o []byte) {
	// The layout nearly every data segment has: NOP, NOP, timestamps.
	if len(o) == 12 && be32(o) == 0x0101080a {
		s.HasTimestamps = true
		s.TSval, s.TSecr = be32(o[4:]), be32(o[8:])
		return
	}
	for len(o) > 0 {
		switch o[0] {
		case 0:
			return
		case 1:
			o = o[1:]
			continue
		}
		if len(o) < 2 {
			return
		}
		n := int(o[1])
		if n < 2 || n > len(o) {
			return
		}
		switch o[0] {
		case 2:
			if n == 4 {
				s.MSS = be16(o[2:])
			}
		case 3:
			if n == 3 {
				s.WindowScale = int8(min(o[2], 127))
			}
		case 4:
			if n == 2 {
				s.SACKPermitted = true
			}
		case 5:
			for p := o[2:n]; len(p) >= 8 && s.SACKCount < 4; p = p[8:] {
				s.SACK[s.SACKCount] = [2]uint32{be32(p), be32(p[4:])}
				s.SACKCount++
			}
		case 8:
			if n == 10 {
				s.HasTimestamps = true
				s.TSval, s.TSecr = be32(o[2:]), be32(o[6:])
			}
		case 30:
			if n >= 3 && s.MPTCP < 0 {
				s.MPTCP = int8(o[2] >> 4)
			}
		}
		o = o[n:]
	}
}
