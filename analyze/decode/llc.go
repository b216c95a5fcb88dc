package decode

import (
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// layerSet holds the gopacket layers that decode headers off the hot path; they
// are reused so that decoding allocates nothing.
type layerSet struct {
	llc     layers.LLC
	snap    layers.SNAP
	arp     layers.ARP
	gre     layers.GRE
	vxlan   layers.VXLAN
	erspan  layers.ERSPANII
	etherip layers.EtherIP
}

// Organizationally unique identifiers of SNAP headers.
const (
	ouiEther   = 0x000000
	ouiCisco90 = 0x0000f8
	ouiBridged = 0x0080c2
)

// llc reads an 802.2 header (IEEE 802.2, RFC 1042).
func (d *Decoder) llc(v view) {
	if !d.enter() {
		return
	}
	if len(v.b) >= 2 && v.b[0] == 0xff && v.b[1] == 0xff {
		d.miss(missSAP, 0xff) // IPX straight on 802.3
		return
	}
	l := &d.layers.llc
	if err := l.DecodeFromBytes(v.b, gopacket.NilDecodeFeedback); err != nil {
		d.cut(hdrLLC)
		return
	}
	n := len(l.Contents)
	dsap, ssap := v.b[0], v.b[1]
	control := v.b[2]
	if control&3 != 3 && n < 4 || control&3 == 3 && n > 3 {
		// Only unnumbered frames have a one-byte control field.
		if n = 4; control&3 == 3 {
			n = 3
		}
		if len(v.b) < n {
			d.cut(hdrLLC)
			return
		}
	}
	information := control&1 == 0 || control&0xef == 0x03
	v = v.skip(n)
	switch {
	case !information:
		d.miss(missSAP, uint32(dsap))
	case dsap == 0xaa && ssap == 0xaa:
		d.snap(v, 2)
	case dsap == 0x06:
		d.ipv4(v)
	default:
		d.miss(missSAP, uint32(dsap))
	}
}

// snap reads a SNAP header; bridged frames come after pad bytes of padding.
func (d *Decoder) snap(v view, pad int) {
	s := &d.layers.snap
	if err := s.DecodeFromBytes(v.b, gopacket.NilDecodeFeedback); err != nil {
		d.cut(hdrSNAP)
		return
	}
	oui := uint32(v.b[0])<<16 | uint32(v.b[1])<<8 | uint32(v.b[2])
	pid := uint16(s.Type)
	v = v.skip(len(s.Contents))
	switch oui {
	case ouiEther, ouiCisco90:
		d.ethertype(pid, v)
		return
	case ouiBridged:
		switch pid {
		case 1, 7:
			d.ethernet(v.skip(pad))
			return
		case 3, 9:
			d.tokenRing(v.skip(pad))
			return
		case 4, 10:
			d.fddi(v.skip(pad + 1))
			return
		}
	}
	d.countMiss(missKey{kind: missSNAP, number: uint32(pid), vendor: oui})
}

func (d *Decoder) tokenRing(v view) {
	if len(v.b) < 14 {
		d.cut(hdrTokenRing)
		return
	}
	if v.b[1]>>6 != 1 {
		d.miss(missHeader, uint32(hdrTokenRing)) // a MAC frame
		return
	}
	n := 14
	if v.b[8]&0x80 != 0 && len(v.b) > 14 {
		n += int(v.b[14] & 0x1f) // source routing
	}
	d.within(hdrTokenRing, v, n, d.llc)
}

func (d *Decoder) fddi(v view) {
	if len(v.b) < 13 {
		d.cut(hdrFDDI)
		return
	}
	switch v.b[0] & 0xf0 {
	case 0x50: // asynchronous LLC
		d.llc(v.skip(13))
	default:
		d.miss(missHeader, uint32(hdrFDDI))
	}
}
