package decode

// wlanFrame says what is known about an 802.11 frame from outside.
type wlanFrame struct {
	swapped bool // the two bytes of frame control are swapped
	padded  bool // the header is padded to a multiple of 4
	fcs     bool // ends with a frame check sequence
}

// The 802.11 header is read here: gopacket's layer always cuts four bytes of
// check sequence off, whether the capture has them or not.

func (d *Decoder) wlan(v view, f wlanFrame) {
	if !d.enter() {
		return
	}
	if len(v.b) < 24 {
		if len(v.b) >= 2 && v.b[0]&0x0c != 0x08 {
			d.miss(missHeader, uint32(hdrWLAN)) // short control frames
			return
		}
		d.cut(hdrWLAN)
		return
	}
	fc0, fc1 := v.b[0], v.b[1]
	if f.swapped {
		fc0, fc1 = fc1, fc0
	}
	const (
		typeMask  = 0x0c
		typeData  = 0x08
		noData    = 0x40
		qos       = 0x80
		toDS      = 0x01
		fromDS    = 0x02
		moreFrag  = 0x04
		protected = 0x40
		order     = 0x80
	)
	if fc0&typeMask != typeData {
		d.miss(missHeader, uint32(hdrWLAN))
		return
	}
	if fc0&noData != 0 {
		return
	}
	n := 24
	if fc1&toDS != 0 && fc1&fromDS != 0 {
		n += 6
	}
	amsdu, mesh := false, false
	if fc0&qos != 0 {
		if len(v.b) < n+2 {
			d.cut(hdrWLAN)
			return
		}
		amsdu = v.b[n]&0x80 != 0
		mesh = v.b[n+1]&0x01 != 0 && fc1&toDS != 0 && fc1&fromDS != 0
		n += 2
		if fc1&order != 0 {
			n += 4
		}
	}
	if mesh && len(v.b) > n && !amsdu {
		n += 6 + int(v.b[n]&3)*6 // mesh control, IEEE 802.11 §9.2.4.8.3
	}
	if f.padded {
		n = (n + 3) &^ 3
	}
	if len(v.b) < n {
		d.cut(hdrWLAN)
		return
	}
	if fc1&protected != 0 {
		d.miss(missHeader, uint32(hdrWEP))
		return
	}
	if !d.wholeWLAN(v.b, fc1&moreFrag != 0) {
		d.miss(missHeader, uint32(hdrWLANFragment))
		return
	}
	if f.fcs && v.n >= n+4 {
		v = v.limit(v.n - 4)
	}
	addresses := v.b[4:22]
	v = v.skip(n)
	if amsdu {
		d.aggregated(v)
		return
	}
	d.wlanBody(v, addresses)
}

// wlanBody reads the body of a data frame: LLC, or a bridged Ethernet frame,
// told by the addresses of the 802.11 header in it.
func (d *Decoder) wlanBody(v view, addresses []byte) {
	if len(v.b) >= 14 && be16(v.b) != 0xaaaa {
		for a := addresses; len(a) >= 6; a = a[6:] {
			if [6]byte(v.b[:6]) == [6]byte(a) || [6]byte(v.b[6:12]) == [6]byte(a) {
				d.ethernet(v)
				return
			}
		}
	}
	d.llc(v)
}

// wholeWLAN says whether a frame is all of its packet. A frame that is the last
// fragment by its header is whole too when no earlier one was seen: some access
// points number frames that they reassembled themselves.
func (d *Decoder) wholeWLAN(b []byte, more bool) bool {
	control := le16(b[22:])
	if !more && control&0x0f == 0 {
		return true
	}
	key := wlanKey{[6]byte(b[10:]), control >> 4}
	for i, k := range d.wlanSeen {
		if k == key {
			if !more {
				d.wlanSeen[i] = wlanKey{}
			}
			return false
		}
	}
	if !more {
		return true
	}
	d.wlanSeen[d.wlanNext] = key
	d.wlanNext = (d.wlanNext + 1) % len(d.wlanSeen)
	return false
}

// wlanKey names a fragmented packet: transmitter and sequence number.
type wlanKey struct {
	transmitter [6]byte
	sequence    uint16
}

// aggregated reads the subframes of an A-MSDU (IEEE 802.11 §9.3.2.2).
func (d *Decoder) aggregated(v view) {
	for range maxSegments {
		if v.n < 14 {
			return
		}
		if len(v.b) < 14 {
			d.cut(hdrWLAN)
			return
		}
		length := int(be16(v.b[12:]))
		d.llc(v.skip(14).limit(length))
		v = v.skip((14 + length + 3) &^ 3)
	}
}

// radiotap skips the header described at radiotap.org, of which only the
// flags matter: they tell padding and check sequence.
func (d *Decoder) radiotap(v view) {
	b := v.b
	if len(b) < 8 {
		d.cut(hdrRadiotap)
		return
	}
	n := int(le16(b[2:]))
	if n < 8 || len(b) < n {
		d.cut(hdrRadiotap)
		return
	}
	var f wlanFrame
	const (
		hasTSFT  = 1 << 0
		hasFlags = 1 << 1
		more     = 1 << 31
	)
	present := le32(b[4:])
	at := 8
	for word := present; word&more != 0 && at+4 <= n; at += 4 {
		word = le32(b[at:])
	}
	if present&hasFlags != 0 {
		if present&hasTSFT != 0 {
			at = (at+7)&^7 + 8
		}
		if at < n {
			f.fcs = b[at]&0x10 != 0
			f.padded = b[at]&0x20 != 0
		}
	}
	d.wlan(v.skip(n), f)
}

// prism skips the header of Prism cards, or the AVS header that some drivers
// give under the same link type.
func (d *Decoder) prism(v view) {
	b := v.b
	if len(b) < 8 {
		d.cut(hdrPrism)
		return
	}
	if be32(b)&0xfffff000 == 0x80211000 {
		d.avs(v)
		return
	}
	if le16(b)&0x0c != 0 && le32(b) != 0x44 && be32(b) != 0x44 && le32(b) != 0x41 && be32(b) != 0x41 {
		d.wlan(v, wlanFrame{})
		return
	}
	n := int(le32(b[4:]))
	if n < 8 || n > 1<<16 {
		n = int(be32(b[4:]))
	}
	if n < 8 || n > len(b) {
		d.cut(hdrPrism)
		return
	}
	d.wlan(v.skip(n), wlanFrame{})
}

func (d *Decoder) avs(v view) {
	if len(v.b) < 8 {
		d.cut(hdrAVS)
		return
	}
	n := int(be32(v.b[4:]))
	if n < 8 || n > len(v.b) {
		d.cut(hdrAVS)
		return
	}
	d.wlan(v.skip(n), wlanFrame{})
}

// ppi skips a per-packet information header (CACE PPI 1.0.1); the link type of
// what follows is in it.
func (d *Decoder) ppi(v view) {
	b := v.b
	if len(b) < 8 {
		d.cut(hdrPPI)
		return
	}
	n := int(le16(b[2:]))
	if n < 8 || len(b) < n {
		d.cut(hdrPPI)
		return
	}
	dlt := le32(b[4:])
	var f wlanFrame
	// The 802.11-Common field (type 2) has flags at offset 8; bit 0 says
	// that the frame ends with its check sequence.
	for o := b[8:n]; len(o) >= 4; {
		l := int(le16(o[2:]))
		if len(o) < 4+l {
			break
		}
		if le16(o) == 2 && l >= 10 {
			f.fcs = o[4+8]&1 != 0
		}
		o = o[4+l:]
	}
	v = v.skip(n)
	if dlt == linkWLAN {
		d.wlan(v, f)
		return
	}
	if dlt == linkPPI || dlt > 0xffff || !d.enter() {
		d.miss(missLinkType, dlt)
		return
	}
	d.linkFrame(uint16(dlt), v)
}
