package decode

// maxExtensions bounds the extension headers of one IPv6 packet.
const maxExtensions = 32

func (d *Decoder) ipv6(v view) {
	if !d.enter() {
		return
	}
	b := v.b
	if len(b) < 40 {
		d.cut(hdrIPv6)
		return
	}
	if b[0]>>4 != 6 {
		d.malformed(hdrIPv6)
		return
	}
	h := &d.ip
	copy(h.src[:], b[8:24])
	copy(h.dst[:], b[24:40])
	h.version = 6
	h.ttl = b[7]
	h.id, h.hasID, h.dontFragment = 0, false, false
	h.fragment, h.reassembled = false, false
	next := b[6]
	plen := int(be16(b[4:]))
	v = v.skip(40)
	if plen == 0 && next == protoHopByHop {
		if plen = jumbo(v.b); plen <= 0xffff {
			d.malformed(hdrIPv6) // RFC 2675 §3
			return
		}
	}
	v = v.limit(plen)
	if next == protoTCP {
		d.tcp(v)
		return
	}
	d.extensions(next, v)
}

// jumbo returns the payload length of a jumbogram's hop-by-hop header (RFC
// 2675), or 0.
func jumbo(b []byte) int {
	if len(b) < 8 {
		return 0
	}
	n := (int(b[1]) + 1) * 8
	if len(b) < n {
		return 0
	}
	for o := b[2:n]; len(o) >= 2; {
		if o[0] == 0 {
			o = o[1:]
			continue
		}
		l := int(o[1]) + 2
		if l > len(o) {
			return 0
		}
		if o[0] == 0xc2 && l == 6 {
			return int(be32(o[2:]))
		}
		o = o[l:]
	}
	return 0
}

// extensions walks the extension headers to the transport header.
func (d *Decoder) extensions(next uint8, v view) {
	for range maxExtensions {
		switch next {
		case protoHopByHop, protoDestOpts, protoRouting:
			if len(v.b) < 8 {
				d.cut(hdrIPv6)
				return
			}
			n := (int(v.b[1]) + 1) * 8
			if len(v.b) < n {
				d.cut(hdrIPv6)
				return
			}
			if next == protoRouting {
				d.routing(v.b[:n])
			}
			next, v = v.b[0], v.skip(n)
		case protoAH:
			var ok bool
			if next, v, ok = d.authentication(v); !ok {
				return
			}
		case protoFragment:
			if len(v.b) < 8 {
				d.cut(hdrIPv6)
				return
			}
			var ok bool
			if next, v, ok = d.fragment6(v); !ok {
				return
			}
		case protoNoNext:
			return
		default:
			d.transport(next, v)
			return
		}
	}
	d.miss(missNested, 0)
}

// authentication skips an authentication header (RFC 4302).
func (d *Decoder) authentication(v view) (next uint8, rest view, ok bool) {
	if len(v.b) < 12 {
		d.cut(hdrAH)
		return 0, view{}, false
	}
	n := (int(v.b[1]) + 2) * 4
	if len(v.b) < n {
		d.cut(hdrAH)
		return 0, view{}, false
	}
	return v.b[0], v.skip(n), true
}

// routing takes the final destination out of a routing header that is not
// used up: transport counts with it (RFC 8200 §8.1).
func (d *Decoder) routing(b []byte) {
	if b[3] == 0 {
		return
	}
	if b[2] == 3 {
		d.compressedRoute(b)
		return
	}
	if len(b) < 24 {
		return
	}
	switch b[2] {
	case 0: // RFC 2460 §4.4: the last address
		copy(d.ip.dst[:], b[len(b)-16-(len(b)-24)%16:])
	case 2: // RFC 6275 §6.4.1: the home address
		copy(d.ip.dst[:], b[8:24])
	case 4: // RFC 8754 §2: the segment list runs backwards
		copy(d.ip.dst[:], b[8:24])
	}
}

// compressedRoute takes the last address of an RPL source route (RFC 6554 §3),
// which shares its first bytes with the destination.
func (d *Decoder) compressedRoute(b []byte) {
	shared, pad := int(b[4]&0x0f), int(b[5]>>4)
	if end := len(b) - pad; end-(16-shared) >= 8 {
		copy(d.ip.dst[shared:], b[end-(16-shared):end])
	}
}

func (d *Decoder) fragment6(v view) (next uint8, rest view, ok bool) {
	h := &d.ip
	next = v.b[0]
	off := be16(v.b[2:])
	id := be32(v.b[4:])
	h.id, h.hasID = uint16(id), true
	v = v.skip(8)
	offset, more := int(off&0xfff8), off&1 != 0
	if offset == 0 && !more {
		return next, v, true // atomic fragment, RFC 6946
	}
	if v.n > 0 && v.complete() {
		key := fragmentKey{src: h.src, dst: h.dst, id: id, version: 6}
		if whole, done := d.reassemble(key, v.b, offset, more); done {
			h.fragment, h.reassembled = false, true
			return next, view{whole, len(whole)}, true
		}
		return 0, view{}, false
	}
	d.miss(missFragment, 0)
	return 0, view{}, false
}
