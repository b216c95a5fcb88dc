package decode

// Ethernet types (IEEE registry).
const (
	typeIPv4       = 0x0800
	typeARP        = 0x0806
	typeRoofnet    = 0x0641
	typeTRILL      = 0x22f3
	typeTEB        = 0x6558 // transparent Ethernet bridging
	typeFrameRelay = 0x6559
	typeRARP       = 0x8035
	typeVLAN       = 0x8100
	typeIPv6       = 0x86dd
	typePPP        = 0x880b
	typeMPLS       = 0x8847
	typeMPLSMulti  = 0x8848
	typePPPoE      = 0x8864
	typeLLC        = 0x8870 // LLC frames longer than 1500 bytes
	typeQinQ       = 0x88a8
	typeLWAPP      = 0x88bb
	typeLWAPP2     = 0xbbbb
	typeMACsec     = 0x88e5
	typePBB        = 0x88e7
	typeFabricPath = 0x8903
	typeCMD        = 0x8909 // Cisco metadata
	typeVNTag      = 0x8926
	typeHSR        = 0x892f
	typeETag       = 0x893f // 802.1BR
	typeNSH        = 0x894f
	typeQinQOld    = 0x9100
	typeBATMAN     = 0x4305
	typeRTag       = 0xf1c1 // 802.1CB
	typeCentrino   = 0x2452 // 802.11 monitor frames of old Intel drivers
)

const (
	minEthertype = 1536
	maxLength    = 1500
)

func (d *Decoder) ethernet(v view) {
	if len(v.b) < 14 {
		d.cut(hdrEthernet)
		return
	}
	t := be16(v.b[12:])
	switch {
	case t == typeIPv4:
		d.ipv4(v.skip(14))
		return
	case t == typeFabricPath:
		// A FabricPath header looks like an Ethernet header of this type and
		// is followed by a frame that keeps its check sequence.
		if v.n >= 16+14+4 && d.enter() {
			inner := v.skip(16)
			d.ethernet(inner.limit(inner.n - 4))
			return
		}
	case t <= maxLength && (v.b[0] == 0x01 || v.b[0] == 0x0c) && v.b[1] == 0 && v.b[2] == 0x0c && v.b[3] == 0 && v.b[4] == 0:
		// Cisco ISL: 26 bytes, then a frame with its check sequence.
		if inner := v.limit(14 + int(t)).skip(26); d.enter() {
			d.ethernet(inner.limit(inner.n - 4))
		}
		return
	}
	d.lengthOrType(t, v.skip(14))
}

// lengthOrType reads on after the length/type field of an 802.3 frame or a tag.
func (d *Decoder) lengthOrType(t uint16, v view) {
	switch {
	case t >= minEthertype:
		d.ethertype(t, v)
	case t == 0 || t > maxLength:
		d.miss(missEthertype, uint32(t))
	default:
		d.llc(v.limit(int(t)))
	}
}

func (d *Decoder) ethertype(t uint16, v view) {
	switch t {
	case typeIPv4:
		d.ipv4(v)
		return
	case typeIPv6:
		d.ipv6(v)
		return
	}
	if !d.enter() {
		return
	}
	switch t {
	case typeVLAN, typeQinQ, typeQinQOld:
		d.vlan(v)
	case typeARP:
		d.arp(v)
	case typeMPLS, typeMPLSMulti:
		d.mpls(v)
	case typePPPoE:
		d.pppoe(v)
	case typeTEB:
		d.ethernet(v)
	case typeLLC:
		d.llc(v)
	case typePBB:
		d.within(hdrPBB, v, 4, d.ethernet)
	case typeVNTag:
		d.tagged(hdrVNTag, v, 4)
	case typeETag:
		d.tagged(hdrVNTag, v, 6)
	case typeRTag:
		d.tagged(hdrHSR, v, 4)
	case typeHSR:
		d.tagged(hdrHSR, v, 4)
	case typeCMD:
		d.tagged(hdrCMD, v, 6)
	case typeMACsec:
		d.macsec(v)
	case typeTRILL:
		d.trill(v)
	case typeNSH:
		d.nsh(v)
	case typeBATMAN:
		d.batman(v)
	case typeLWAPP, typeLWAPP2:
		d.lwapp(v)
	case typeCentrino:
		d.wlan(v, wlanFrame{})
	default:
		d.miss(missEthertype, uint32(t))
	}
}

// within skips a header of n bytes and reads on with next.
func (d *Decoder) within(h header, v view, n int, next func(view)) {
	if len(v.b) < n {
		d.cut(h)
		return
	}
	next(v.skip(n))
}

// tagged skips a tag of n bytes whose end is followed by a length/type field.
func (d *Decoder) tagged(h header, v view, n int) {
	if len(v.b) < n+2 {
		d.cut(h)
		return
	}
	d.lengthOrType(be16(v.b[n:]), v.skip(n+2))
}

func (d *Decoder) vlan(v view) {
	if len(v.b) < 4 {
		d.cut(hdrVLAN)
		return
	}
	d.linkVLAN = be16(v.b) & 0xfff
	d.lengthOrType(be16(v.b[2:]), v.skip(4))
}

// macsec reads frames that are authenticated and not encrypted (802.1AE §9).
func (d *Decoder) macsec(v view) {
	if len(v.b) < 6 {
		d.miss(missEthertype, typeMACsec)
		return
	}
	const (
		flagSC        = 0x20
		flagEncrypted = 0x08
		flagChanged   = 0x04
		icvLen        = 16
	)
	n := 6
	if v.b[0]&flagSC != 0 {
		n += 8
	}
	if v.b[0]&(flagEncrypted|flagChanged) != 0 || len(v.b) < n+2 || v.n < n+2+icvLen {
		d.miss(missEthertype, typeMACsec)
		return
	}
	inner := v.limit(v.n - icvLen).skip(n)
	if len(inner.b) < 2 {
		d.miss(missEthertype, typeMACsec)
		return
	}
	d.lengthOrType(be16(inner.b), inner.skip(2))
}

func (d *Decoder) trill(v view) {
	if len(v.b) < 6 {
		d.cut(hdrTRILL)
		return
	}
	options := int(be16(v.b)>>6&0x1f) * 4
	d.within(hdrTRILL, v, 6+options, d.ethernet)
}

// nsh reads a network service header (RFC 8300).
func (d *Decoder) nsh(v view) {
	for d.enter() {
		if len(v.b) < 8 {
			d.cut(hdrNSH)
			return
		}
		n := int(v.b[1]&0x3f) * 4
		if n < 8 {
			d.malformed(hdrNSH)
			return
		}
		next := v.b[3]
		if len(v.b) < n {
			d.cut(hdrNSH)
			return
		}
		v = v.skip(n)
		switch next {
		case 1:
			d.ipv4(v)
		case 2:
			d.ipv6(v)
		case 3:
			d.ethernet(v)
		case 4:
			continue
		case 5:
			d.mpls(v)
		default:
			d.miss(missHeader, uint32(hdrNSH))
		}
		return
	}
}

// batman reads the unicast and broadcast packets of B.A.T.M.A.N. advanced,
// protocol version 15.
func (d *Decoder) batman(v view) {
	if len(v.b) < 2 {
		d.cut(hdrBATMAN)
		return
	}
	const version15 = 15
	n := 0
	switch kind := v.b[0]; {
	case v.b[1] != version15:
	case kind == 0x01:
		n = 14 // broadcast
	case kind == 0x40:
		n = 10 // unicast
	case kind == 0x42:
		n = 18 // unicast with four addresses
	}
	if n == 0 {
		d.miss(missHeader, uint32(hdrBATMAN))
		return
	}
	d.within(hdrBATMAN, v, n, d.ethernet)
}
