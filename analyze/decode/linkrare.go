package decode

// pppWithDirection reads PPP behind a direction byte. pppd puts that byte in
// place of the address or before it.
func (d *Decoder) pppWithDirection(lt uint16, v view) {
	d.within(hdrPPP, v, 1, d.pppHDLC)
}

// arcnet reads RFC 1201 and RFC 1051 packets; n is where the protocol byte is.
func (d *Decoder) arcnet(v view, n int) {
	if len(v.b) <= n {
		d.cut(hdrARCnet)
		return
	}
	proto := v.b[n]
	v = v.skip(n + 1)
	switch proto {
	case 212, 213, 196: // RFC 1201: a split flag and a sequence number
		if len(v.b) > 0 && v.b[0] == 0xff && n == 2 {
			v = v.skip(4) // exception packet; Linux cuts its padding out
		}
		v = v.skip(3)
	}
	switch proto {
	case 212, 240:
		d.ipv4(v)
	case 213, 241:
		d.arp(v)
	case 196:
		d.ipv6(v)
	case 205:
		d.llc(v)
	default:
		d.miss(missHeader, uint32(hdrARCnet))
	}
}

func (d *Decoder) sunATM(v view) {
	if len(v.b) < 4 {
		d.cut(hdrATM)
		return
	}
	kind := v.b[0] & 0x0f
	v = v.skip(4)
	switch kind {
	case 1: // LAN emulation: a LAN-emulation client id, then Ethernet
		d.within(hdrATM, v, 2, d.ethernet)
	case 2:
		d.llc(v)
	default:
		d.miss(missHeader, uint32(hdrATM))
	}
}

func (d *Decoder) enc(v view) {
	if len(v.b) < 12 {
		d.cut(hdrENC)
		return
	}
	family := le32(v.b)
	if family > 0xffff {
		family = be32(v.b)
	}
	d.family(family, v.skip(12))
}

func (d *Decoder) pflog(v view) {
	if len(v.b) < 4 {
		d.cut(hdrPFLog)
		return
	}
	n := (int(v.b[0]) + 3) &^ 3
	if n < 4 || len(v.b) < n {
		d.cut(hdrPFLog)
		return
	}
	d.family(uint32(v.b[1]), v.skip(n))
}

func (d *Decoder) ipoib(v view) {
	if len(v.b) < 4 {
		d.cut(hdrInfiniBand)
		return
	}
	d.ethertype(be16(v.b), v.skip(4))
}

// erf reads an Endace record: 16 bytes, extension headers of 8 while bit 7 of
// their first byte is set, then the frame.
func (d *Decoder) erf(v view) {
	if len(v.b) < 16 {
		d.cut(hdrERF)
		return
	}
	kind := v.b[8]
	more := kind&0x80 != 0
	kind &= 0x7f
	v = v.skip(16)
	for more {
		if len(v.b) < 8 {
			d.cut(hdrERF)
			return
		}
		more = v.b[0]&0x80 != 0
		v = v.skip(8)
	}
	switch kind {
	case 2, 11, 16, 20: // Ethernet, with and without colour
		d.within(hdrERF, v, 2, d.ethernet)
	case 1, 10, 15: // packet over SONET
		d.pppHDLC(v)
	case 5, 17: // multichannel HDLC
		d.within(hdrERF, v, 4, d.pppHDLC)
	case 4: // AAL5: the ATM header, then usually LLC
		d.within(hdrERF, v, 4, d.llc)
	case 22:
		d.ipv4(v)
	case 23:
		d.ipv6(v)
	default:
		d.miss(missHeader, uint32(hdrERF))
	}
}

// nflog reads the packet out of a netfilter log message. Where the address
// family is none of IP, the packet header attribute has the Ethernet type.
func (d *Decoder) nflog(v view) {
	if len(v.b) < 4 {
		d.cut(hdrNFLOG)
		return
	}
	const (
		packetHeader = 1
		payload      = 9
	)
	family := v.b[0]
	v = v.skip(4)
	var t uint16
	for len(v.b) >= 4 {
		// Host order: the order in which the numbers are small is the right one.
		n, kind := int(le16(v.b)), le16(v.b[2:])
		if kind > 0xff || n > v.n {
			n, kind = int(be16(v.b)), be16(v.b[2:])
		}
		if n < 4 || n > v.n {
			d.malformed(hdrNFLOG)
			return
		}
		body := v.limit(n).skip(4)
		switch kind & 0x7fff {
		case packetHeader:
			if len(body.b) >= 2 {
				t = be16(body.b)
			}
		case payload:
			switch {
			case family == 2:
				d.ipAny(body)
			case family == 10:
				d.ipv6(body)
			case t >= minEthertype:
				d.ethertype(t, body)
			default:
				d.miss(missNull, uint32(family))
			}
			return
		}
		v = v.skip((n + 3) &^ 3)
	}
	d.cut(hdrNFLOG)
}

// docsis reads the Ethernet frame of a DOCSIS packet PDU.
func (d *Decoder) docsis(v view) {
	if len(v.b) < 6 {
		d.cut(hdrDOCSIS)
		return
	}
	control := v.b[0]
	n := 6
	if control&1 != 0 { // an extended header of the length in byte 1
		n += int(v.b[1])
	}
	if control>>6 != 0 {
		d.miss(missHeader, uint32(hdrDOCSIS))
		return
	}
	d.within(hdrDOCSIS, v, n, d.ethernet)
}

// symantec reads the capture header of Symantec Enterprise Firewall version 2.
func (d *Decoder) symantec(v view) {
	if len(v.b) < 44 {
		d.cut(hdrSymantec)
		return
	}
	d.ethertype(be16(v.b[6:]), v.skip(44))
}

// juniper reads the cookie that Junos puts before captured frames.
func (d *Decoder) juniper(lt uint16, v view) {
	b := v.b
	const (
		flagNoL2       = 0x02
		flagExtensions = 0x80
	)
	if len(b) < 4 {
		d.cut(hdrJuniper)
		return
	}
	// Without the magic number the frame begins at once.
	n, flags := 0, byte(0)
	if b[0] == 'M' && b[1] == 'G' && b[2] == 'C' {
		n, flags = 4, b[3]
	}
	if flags&flagExtensions != 0 {
		if len(b) < 6 {
			d.cut(hdrJuniper)
			return
		}
		n = 6 + int(be16(b[4:]))
	}
	if len(b) < n {
		d.cut(hdrJuniper)
		return
	}
	v = v.skip(n)
	if flags&flagNoL2 != 0 {
		// A protocol number in little-endian order stands before.
		if len(v.b) < 4 || le32(v.b) > 0xffff {
			d.malformed(hdrJuniper)
			return
		}
		d.ipAny(v.skip(4))
		return
	}
	switch lt {
	case linkJuniperEther:
		d.ethernet(v)
	case linkJuniperPPP:
		d.within(hdrJuniper, v, 2, d.ppp)
	case linkJuniperATM1:
		d.within(hdrJuniper, v, 4, d.llc)
	case linkJuniperGGSN:
		d.within(hdrJuniper, v, 4, d.ipAny)
	case linkJuniperHDLC:
		d.ciscoHDLC(v)
	case linkJuniperFR:
		d.frameRelay(v)
	case linkJuniperPPPoE:
		d.ethernet(v)
	default:
		d.miss(missLinkType, uint32(lt))
	}
}
