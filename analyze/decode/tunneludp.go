package decode

import "github.com/gopacket/gopacket"

// UDP ports that Wireshark 4.0 gives to tunnels by default.
const (
	portL2TP      = 1701
	portGTPC      = 2123
	portGTPU      = 2152
	portAMT       = 2268
	portGTPPrime  = 3386
	portTeredo    = 3544
	portLISP      = 4341
	portVXLAN     = 4789
	portVXLANGPE  = 4790
	portCAPWAP    = 5247
	portGeneve    = 6081
	portSFlow     = 6343
	portMPLS      = 6635
	portLWAPP     = 12222
	portLWAPPCtrl = 12223
	portTZSP      = 37008
)

// tunnelPorts finds ports of interest with one load on the hot path.
var tunnelPorts = func() (set [1 << 16 / 64]uint64) {
	for _, p := range []uint16{
		portL2TP, portGTPC, portGTPU, portAMT, portGTPPrime, portTeredo, portLISP, portVXLAN, portVXLANGPE,
		portCAPWAP, portGeneve, portSFlow, portMPLS, portLWAPP, portLWAPPCtrl, portTZSP,
	} {
		set[p/64] |= 1 << (p % 64)
	}
	return set
}()

func tunnelPort(p uint16) bool { return tunnelPorts[p/64]>>(p%64)&1 != 0 }

// wellKnown says whether a protocol of its own owns a port, so that a tunnel
// port at the other end is only an ephemeral one.
func wellKnown(p uint16) bool {
	switch p {
	case 53, 67, 68, 69, 88, 111, 123, 137, 138, 161, 162, 389, 427, 443, 500, 514, 520, 546, 547, 623, 1645, 1646, 1719, 1812, 1813, 1900, 3478, 4500, 5060, 5353, 5355:
		return true
	}
	return false
}

// udpTunnel reads on where one of the ports is a tunnel's. The lower port is
// asked first, as Wireshark does.
func (d *Decoder) udpTunnel(src, dst uint16, v view) {
	low, high := min(src, dst), max(src, dst)
	switch {
	case tunnelPort(low):
		if d.enter() {
			d.tunnel(low, v)
		}
	case tunnelPort(high) && !wellKnown(low):
		if d.enter() {
			d.tunnel(high, v)
		}
	}
}

func (d *Decoder) tunnel(port uint16, v view) {
	switch port {
	case portVXLAN:
		x := &d.layers.vxlan
		if err := x.DecodeFromBytes(v.b, gopacket.NilDecodeFeedback); err != nil {
			d.cut(hdrVXLAN)
			return
		}
		d.ethernet(v.skip(len(x.Contents)))
	case portVXLANGPE:
		d.vxlanGPE(v)
	case portGeneve:
		d.geneve(v)
	case portGTPU, portGTPC, portGTPPrime:
		d.gtp(v)
	case portL2TP:
		d.l2tp(v)
	case portTeredo:
		d.teredo(v)
	case portCAPWAP:
		d.capwap(v)
	case portSFlow:
		d.sflow(v)
	case portMPLS:
		d.mpls(v)
	case portLISP:
		// RFC 9300 §5.3; the generic protocol extension is another format.
		if len(v.b) >= 8 && v.b[0]&0x04 == 0 {
			d.ipAny(v.skip(8))
		} else {
			d.miss(missHeader, uint32(hdrLISP))
		}
	case portTZSP:
		d.tzsp(v)
	case portLWAPP, portLWAPPCtrl:
		d.lwapp(v)
	case portAMT:
		if len(v.b) > 2 && v.b[0] == 6 { // multicast data, RFC 7450 §5.1.6
			d.ipAny(v.skip(2))
		} else {
			d.miss(missHeader, uint32(hdrAMT))
		}
	}
}

func (d *Decoder) vxlanGPE(v view) {
	if len(v.b) < 8 {
		d.cut(hdrVXLAN)
		return
	}
	if v.b[0]&0x04 == 0 {
		d.miss(missHeader, uint32(hdrVXLAN)) // no next protocol given
		return
	}
	next := v.b[3]
	v = v.skip(8)
	switch next {
	case 1:
		d.ipv4(v)
	case 2:
		d.ipv6(v)
	case 3:
		d.ethernet(v)
	case 4:
		d.nsh(v)
	case 5:
		d.mpls(v)
	default:
		d.miss(missHeader, uint32(hdrVXLAN))
	}
}

// geneve is read here because gopacket's layer allocates for every option.
func (d *Decoder) geneve(v view) {
	if len(v.b) < 8 {
		d.cut(hdrGeneve)
		return
	}
	n := 8 + int(v.b[0]&0x3f)*4
	if len(v.b) < n {
		d.cut(hdrGeneve)
		return
	}
	d.ethertype(be16(v.b[2:]), v.skip(n))
}

// gtp reads a G-PDU of GTP version 1 (3GPP TS 29.281) or 0 (TS 09.60). gopacket
// refuses messages that the capture cut and allocates for extension headers.
func (d *Decoder) gtp(v view) {
	const tpdu = 255
	if len(v.b) < 8 || v.b[1] != tpdu {
		return // signalling
	}
	n := 8
	switch v.b[0] >> 5 {
	case 0:
		n = 20
	case 1:
		v = v.limit(8 + int(be16(v.b[2:])))
		if v.b[0]&0x07 == 0 {
			break
		}
		if len(v.b) < 12 {
			d.cut(hdrGTP)
			return
		}
		n = 12
		next := v.b[11]
		if v.b[0]&0x04 == 0 {
			next = 0
		}
		for next != 0 {
			if len(v.b) <= n {
				d.cut(hdrGTP)
				return
			}
			l := int(v.b[n]) * 4
			if l == 0 {
				d.malformed(hdrGTP)
				return
			}
			if len(v.b) < n+l {
				d.cut(hdrGTP)
				return
			}
			n += l
			next = v.b[n-1]
		}
	default:
		return
	}
	v = v.skip(n)
	if len(v.b) == 0 {
		return
	}
	switch first := v.b[0]; {
	case first >= 0x45 && first <= 0x4e:
		d.ipv4(v)
	case first>>4 == 6:
		d.ipv6(v)
	case plausibleFrame(v):
		d.ethernet(v)
	default:
		d.miss(missHeader, uint32(hdrGTP))
	}
}

// l2tp reads a data message of version 2 (RFC 2661 §3.1). Data messages of
// version 3 need the cookie size that only the control connection says.
func (d *Decoder) l2tp(v view) {
	if len(v.b) < 6 {
		d.cut(hdrL2TP)
		return
	}
	flags := be16(v.b)
	if flags&0x8000 != 0 {
		return // control message
	}
	if flags&0x000f != 2 {
		d.miss(missHeader, uint32(hdrL2TP))
		return
	}
	n := 2
	if flags&0x4000 != 0 {
		v = v.limit(int(be16(v.b[2:])))
		n += 2
	}
	n += 4
	if flags&0x0800 != 0 {
		n += 4
	}
	if flags&0x0200 != 0 {
		if len(v.b) < n+2 {
			d.cut(hdrL2TP)
			return
		}
		n += 2 + int(be16(v.b[n:]))
	}
	d.within(hdrL2TP, v, n, d.pppHDLC)
}

// teredo reads RFC 4380 §5.1.1 encapsulation.
func (d *Decoder) teredo(v view) {
	if len(v.b) >= 4 && be16(v.b) == 1 {
		v = v.skip(4 + int(v.b[2]) + int(v.b[3]) + 9)
	}
	if len(v.b) >= 8 && be16(v.b) == 0 {
		v = v.skip(8)
	}
	if len(v.b) == 0 {
		d.cut(hdrTeredo)
		return
	}
	d.ipv6(v)
}

// capwap reads a data-channel packet (RFC 5415 §4.3).
func (d *Decoder) capwap(v view) {
	if len(v.b) < 8 {
		d.cut(hdrCAPWAP)
		return
	}
	const (
		native    = 0x01
		fragment  = 0x80
		keepalive = 0x08
	)
	if v.b[0]&0x0f == 1 {
		d.miss(missEncrypted, uint32(hdrCAPWAP))
		return
	}
	if v.b[3]&keepalive != 0 {
		return
	}
	if v.b[3]&fragment != 0 {
		d.miss(missHeader, uint32(hdrCAPWAP))
		return
	}
	n := int(v.b[1]>>3) * 4
	wbid := v.b[2] >> 1 & 0x1f
	if n < 8 || len(v.b) < n {
		d.cut(hdrCAPWAP)
		return
	}
	isNative := v.b[2]&native != 0
	v = v.skip(n)
	switch {
	case !isNative:
		d.ethernet(v)
	case wbid == 1:
		// Access points send the frame control field swapped, which is
		// also how Wireshark reads it.
		d.wlan(v, wlanFrame{swapped: true})
	default:
		d.miss(missHeader, uint32(hdrCAPWAP))
	}
}

// lwapp reads a data packet of RFC 5412 §3.
func (d *Decoder) lwapp(v view) {
	if len(v.b) < 6 {
		d.cut(hdrLWAPP)
		return
	}
	if v.b[0]&0x04 != 0 {
		return // control
	}
	d.wlan(v.skip(6), wlanFrame{swapped: true})
}

// tzsp reads a TaZmen sniffer packet.
func (d *Decoder) tzsp(v view) {
	if len(v.b) < 4 || v.b[1] != 0 {
		return // not a received packet
	}
	kind := be16(v.b[2:])
	v = v.skip(4)
	for len(v.b) > 0 {
		tag := v.b[0]
		if tag == 0 { // padding
			v = v.skip(1)
			continue
		}
		if tag == 1 { // end
			switch v = v.skip(1); kind {
			case 1:
				d.ethernet(v)
			case 0x12:
				d.wlan(v, wlanFrame{})
			default:
				d.miss(missHeader, uint32(hdrTZSP))
			}
			return
		}
		if len(v.b) < 2 {
			break
		}
		v = v.skip(2 + int(v.b[1]))
	}
	d.cut(hdrTZSP)
}

// sflow reads the sampled headers of an sFlow version 5 datagram; each has a
// length of its own, so damage in one leaves the others.
func (d *Decoder) sflow(v view) {
	b := v.b
	if len(b) < 8 || be32(b) != 5 {
		d.miss(missHeader, uint32(hdrSFlow))
		return
	}
	n := 8 + 4
	if be32(b[4:]) == 2 {
		n = 8 + 16
	}
	n += 16
	if len(b) < n {
		d.cut(hdrSFlow)
		return
	}
	count := be32(b[n-4:])
	b = b[n:]
	for ; count > 0 && len(b) >= 8; count-- {
		format, length := be32(b), int(be32(b[4:]))
		body := b[8:]
		if length < 0 || length > len(body) {
			length = len(body)
		}
		b = body[length:]
		body = body[:length]
		switch format {
		case 1:
			d.flowSample(body, 28)
		case 3:
			d.flowSample(body, 40)
		}
	}
}

// flowSample reads the records of one sample whose fixed part, up to the
// number of records, has n bytes.
func (d *Decoder) flowSample(b []byte, n int) {
	if len(b) < n+4 {
		return
	}
	records := be32(b[n:])
	b = b[n+4:]
	for ; records > 0 && len(b) >= 8; records-- {
		format, length := be32(b), int(be32(b[4:]))
		b = b[8:]
		if length < 0 || length > len(b) {
			length = len(b)
		}
		if rec := b[:length]; format == 1 && len(rec) >= 16 {
			captured := int(min(be32(rec[12:]), uint32(len(rec)-16)))
			frame := view{rec[16 : 16+captured], max(captured, int(min(be32(rec[4:]), 1<<24)))}
			d.sample(be32(rec), frame)
		}
		b = b[length:]
	}
}

// sample reads one sampled header. Nothing is known of its payload's length, and
// it was not on this wire: its segments are given as fragments.
func (d *Decoder) sample(protocol uint32, v view) {
	if !d.enter() {
		return
	}
	d.sampled = true
	defer func() { d.sampled = false }()
	switch protocol {
	case 1:
		d.ethernet(v)
	case 3:
		d.tokenRing(v)
	case 4:
		d.fddi(v)
	case 5:
		d.frameRelay(v)
	case 7:
		d.pppHDLC(v)
	case 11:
		d.ipv4(v)
	case 12:
		d.ipv6(v)
	case 13:
		d.mpls(v)
	case 15:
		d.wlan(v, wlanFrame{})
	default:
		d.miss(missHeader, uint32(hdrSFlow))
	}
}
