package decode

import "github.com/gopacket/gopacket"

func (d *Decoder) arp(v view) {
	a := &d.layers.arp
	if err := a.DecodeFromBytes(v.b, gopacket.NilDecodeFeedback); err != nil {
		d.cut(hdrARP)
		return
	}
	if a.Protocol != typeIPv4 || len(a.SourceProtAddress) != 4 || len(a.DstProtAddress) != 4 {
		d.miss(missEthertype, typeARP)
		return
	}
	if a.Operation != 1 && a.Operation != 2 {
		d.miss(missEthertype, typeRARP)
		return
	}
	s := d.segment(ProtoARP)
	if s == nil {
		return
	}
	s.ICMPType = uint8(a.Operation)
	s.IPVersion = 0
	mapped(&s.Src, a.SourceProtAddress)
	if a.Operation == 1 {
		mapped(&s.Dst, a.DstProtAddress)
	} else {
		s.Dst = s.Src // who answers owns the address
	}
}
