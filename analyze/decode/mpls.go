package decode

const (
	labelGACh   = 13 // RFC 5586
	achIPv4     = 0x0021
	achIPv6     = 0x0057
	maxLabels   = 64
	labelBottom = 0x100
)

// mpls reads a label stack and guesses what follows as RFC 4928 and RFC 4385
// lay it out: the first nibble tells IP, an associated channel, or a
// pseudowire.
func (d *Decoder) mpls(v view) {
	if !d.enter() {
		return
	}
	for range maxLabels {
		if len(v.b) < 4 {
			d.cut(hdrMPLS)
			return
		}
		entry := be32(v.b)
		v = v.skip(4)
		if entry&labelBottom == 0 {
			continue
		}
		if len(v.b) == 0 {
			d.cut(hdrMPLS)
			return
		}
		if entry>>12 == labelGACh {
			d.associatedChannel(v)
			return
		}
		switch v.b[0] >> 4 {
		case 4:
			d.ipv4(v)
		case 6:
			d.ipv6(v)
		case 1:
			d.associatedChannel(v)
		case 0:
			d.pseudowire(v)
		default:
			d.miss(missMPLS, 0)
		}
		return
	}
	d.miss(missNested, 0)
}

func (d *Decoder) associatedChannel(v view) {
	if len(v.b) < 4 {
		d.cut(hdrMPLS)
		return
	}
	switch be16(v.b[2:]) {
	case achIPv4:
		d.ipv4(v.skip(4))
	case achIPv6:
		d.ipv6(v.skip(4))
	default:
		d.miss(missMPLS, 0)
	}
}

// pseudowire reads an Ethernet pseudowire (RFC 4448), whose control word may
// be missing: then the nibble belongs to a destination address. Wireshark asks
// its table of vendors; here the type field has to make sense.
func (d *Decoder) pseudowire(v view) {
	bare, word := plausibleFrame(v), plausibleFrame(v.skip(4))
	switch {
	case word && !(bare && be32(v.b)&0x0fff0000 != 0):
		d.ethernet(v.skip(4))
	case bare:
		d.ethernet(v)
	default:
		d.miss(missMPLS, 0)
	}
}

func plausibleFrame(v view) bool {
	if len(v.b) < 14 {
		return false
	}
	switch t := be16(v.b[12:]); t {
	case typeIPv4, typeIPv6, typeARP, typeVLAN, typeQinQ, typeQinQOld, typeMPLS, typePPPoE, typePPPoE - 1, 0x88cc, 0x8902, 0x9000:
		return true
	default:
		return t <= maxLength && t > 2 && int(t) <= v.n-14 && (v.n < 60 || int(t) >= v.n-14-46)
	}
}
