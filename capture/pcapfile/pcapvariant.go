package pcapfile

// modifiedLookahead is how many bytes of a pipe are awaited before the
// layout of a file with the modified magic number is chosen.
const modifiedLookahead = 4 << 10

// recordsTried is how many records at the start of a file are looked at to
// tell the layouts apart.
const recordsTried = 3

// guessVariant chooses among the record layouts that share a magic number
// the one in which the first records make most sense, as Wireshark does.
// A pipe with the standard magic number has the standard layout: waiting for
// several packets would hold up a live capture.
func (p *pcapParser) guessVariant(r *Reader, magic uint32, recs []byte) {
	candidates := []pcapVariant{variantStandard, variantModified, variantNokia}
	if magic == magicModified {
		candidates = []pcapVariant{variantModified, variantSMP}
	}
	p.variant = candidates[0]
	if r.live && magic == magicMicro {
		return
	}
	best := -1
	for _, v := range candidates {
		faults, records := p.faults(v, recs, r.inErr != nil)
		if v != candidates[0] && magic == magicMicro && records < 2 {
			// One record is no evidence: a standard file that is cut
			// shortly after its first packet looks like this too.
			continue
		}
		if best < 0 || faults < best {
			best, p.variant = faults, v
		}
		if faults == 0 {
			break
		}
	}
}

// faults counts what is implausible about the first record, among the first
// few, of which anything is in layout v. complete says that recs reaches to
// the end of the file; records is how many whole ones were looked at.
func (p *pcapParser) faults(v pcapVariant, recs []byte, complete bool) (n, records int) {
	hdr := variantHeaderLen[v]
	for range recordsTried {
		// A file that breaks one rule, such as its own snapshot length,
		// breaks it in each record: that counts once.
		if len(recs) == 0 || n > 0 {
			break
		}
		if len(recs) < hdr {
			if complete {
				n++
			}
			break
		}
		incl, orig := p.order.u32(recs[8:]), p.order.u32(recs[12:])
		n += boolInt(p.order.u32(recs[4:]) >= 1_000_000)
		n += boolInt(incl > p.maxFrame)
		n += boolInt(incl > p.snapLen)
		n += boolInt(orig > 128<<20)
		n += boolInt(incl > orig)
		switch v {
		case variantModified, variantSMP:
			n += boolInt(p.order.u32(recs[16:]) > 10000) // interface index
			n += boolInt(!plausibleProtocol(p.order.u16(recs[20:])))
			n += boolInt(recs[22] > 4)
		case variantNokia:
			n += boolInt(!plausibleNokia(p.order.u32(recs[16:])))
		}
		if incl > p.maxFrame {
			break
		}
		if uint32(len(recs)-hdr) < incl {
			if complete {
				n++
			}
			break
		}
		recs = recs[hdr+int(incl):]
		records++
	}
	return n, records
}

// plausibleProtocol accepts EtherTypes and Linux's internal packet types.
func plausibleProtocol(t uint16) bool {
	return t >= 0x0600 || t == 0x0060 || t == 0x0200 || t == 0x0400 || t <= 0x0017
}

// plausibleNokia knows the values seen in the extra field of Nokia's records:
// 0xXfbfYZ0W with X 9 or b, Y b or d, Z 6 or 9, W 1 or 2.
func plausibleNokia(v uint32) bool {
	x, y, z, w := v>>28, v>>12&0xf, v>>8&0xf, v&0xf
	return v&0x0fff00f0 == 0x0fbf0000 && (x == 9 || x == 0xb) && (y == 0xb || y == 0xd) &&
		(z == 6 || z == 9) && (w == 1 || w == 2)
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}
