package decode

func (d *Decoder) udp(v view) {
	if len(v.b) < 8 {
		d.cut(hdrUDP)
		return
	}
	s := d.segment(ProtoUDP)
	if s == nil {
		return
	}
	b := v.b
	src, dst := be16(b), be16(b[2:])
	s.SrcPort, s.DstPort = src, dst
	length := int(be16(b[4:]))
	switch {
	case length >= 8:
		v = v.limit(length)
	case length != 0 || s.IPVersion == 4: // 0 is a jumbogram, RFC 2675 §4
		d.malformed(hdrUDP)
		s.Transport = v.b
		return
	}
	s.Transport = v.b
	body := v.skip(8)
	s.Payload = body.b
	if s.Fragment {
		s.Payload = body.b
		return
	}
	s.Len = uint32(body.n)
	d.udpTunnel(src, dst, body)
}
