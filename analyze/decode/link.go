package decode

import "goproxytrace/capture"

// LINKTYPE_ values that are read, from the tcpdump.org registry.
const (
	linkNull        = 0
	linkEthernet    = 1
	linkTokenRing   = 6
	linkARCnetBSD   = 7
	linkPPP         = 9
	linkFDDI        = 10
	linkRaw12       = 12 // DLT_RAW on most systems
	linkRaw14       = 14 // DLT_RAW on OpenBSD
	linkPPPSerial   = 50
	linkPPPoE       = 51
	linkATMLLC      = 100
	linkRaw         = 101
	linkHDLC        = 104
	linkWLAN        = 105
	linkCLIP        = 106
	linkFrameRelay  = 107
	linkLoop        = 108
	linkENC         = 109
	linkSLL         = 113
	linkPFLog       = 117
	linkPrism       = 119
	linkIPFC        = 122
	linkSunATM      = 123
	linkRadiotap    = 127
	linkARCnetLinux = 129
	linkIPoFW       = 138
	linkDOCSIS      = 143
	linkPKTAPUser   = 149
	linkAVS         = 163
	linkPPPD        = 166
	linkPPI         = 192
	linkERF         = 197
	linkPPPDir      = 204
	linkHDLCDir     = 205
	linkFRDir       = 206
	linkIPv4        = 228
	linkIPv6        = 229
	linkNFLOG       = 239
	linkIPoIB       = 242
	linkPKTAP       = 258
	linkSLL2        = 276
	linkDSABrcm     = 281
	linkDSABrcmPre  = 282
	linkDSA         = 284
	linkEDSA        = 285

	linkSymantec     = 99
	linkJuniperMLPPP = 130
	linkJuniperMFR   = 134
	linkJuniperATM2  = 135
	linkJuniperSVCS  = 136
	linkJuniperGGSN  = 133
	linkJuniperATM1  = 137
	linkJuniperPPPoE = 167
	linkJuniperEther = 178
	linkJuniperPPP   = 179
	linkJuniperFR    = 180
	linkJuniperHDLC  = 181
)

func (d *Decoder) link(lt capture.LinkType, v view) {
	switch lt {
	case linkEthernet:
		d.ethernet(v)
	case linkSLL:
		d.sll(v)
	case linkSLL2:
		d.sll2(v)
	case linkRaw, linkRaw12, linkRaw14:
		d.raw(v)
	default:
		d.linkFrame(uint16(lt), v)
	}
}

func (d *Decoder) linkFrame(lt uint16, v view) {
	switch lt {
	case linkEthernet:
		d.ethernet(v)
	case linkRaw, linkRaw12, linkRaw14:
		d.raw(v)
	case linkIPv4:
		d.ipAny(v)
	case linkIPv6:
		d.ipv6(v)
	case linkNull:
		d.null(v)
	case linkLoop:
		d.loop(v)
	case linkSLL:
		d.sll(v)
	case linkSLL2:
		d.sll2(v)
	case linkPPP, linkPPPSerial:
		d.pppHDLC(v)
	case linkPPPD, linkPPPDir:
		d.pppWithDirection(lt, v)
	case linkPPPoE:
		d.pppoe(v)
	case linkHDLC:
		d.ciscoHDLC(v)
	case linkHDLCDir:
		d.within(hdrHDLC, v, 1, d.ciscoHDLC)
	case linkFrameRelay:
		d.frameRelay(v)
	case linkFRDir:
		d.within(hdrFrameRelay, v, 1, d.frameRelay)
	case linkFDDI:
		d.fddi(v)
	case linkTokenRing:
		d.tokenRing(v)
	case linkARCnetBSD:
		d.arcnet(v, 2)
	case linkARCnetLinux:
		d.arcnet(v, 4)
	case linkATMLLC:
		d.llc(v)
	case linkCLIP:
		d.ipAny(v)
	case linkSunATM:
		d.sunATM(v)
	case linkIPFC:
		d.within(hdrLLC, v, 16, d.llc)
	case linkENC:
		d.enc(v)
	case linkPFLog:
		d.pflog(v)
	case linkIPoFW:
		d.tagged(hdrIPoFW, v, 16)
	case linkWLAN:
		d.wlan(v, wlanFrame{})
	case linkRadiotap:
		d.radiotap(v)
	case linkPrism:
		d.prism(v)
	case linkAVS:
		d.avs(v)
	case linkPPI:
		d.ppi(v)
	case linkERF:
		d.erf(v)
	case linkPKTAP, linkPKTAPUser:
		d.pktap(lt, v)
	case linkNFLOG:
		d.nflog(v)
	case linkIPoIB:
		d.within(hdrInfiniBand, v, 40, d.ipoib)
	case linkDOCSIS:
		d.docsis(v)
	case linkDSABrcm, linkDSA:
		d.tagged(hdrDSA, v, 16) // addresses, then four bytes of tag
	case linkEDSA:
		d.tagged(hdrDSA, v, 20)
	case linkDSABrcmPre:
		d.within(hdrDSA, v, 4, d.ethernet)
	case linkSymantec:
		d.symantec(v)
	case linkJuniperEther, linkJuniperPPP, linkJuniperHDLC, linkJuniperFR, linkJuniperPPPoE, linkJuniperATM1, linkJuniperGGSN,
		linkJuniperMLPPP, linkJuniperMFR, linkJuniperATM2, linkJuniperSVCS:
		d.juniper(lt, v)
	default:
		d.miss(missLinkType, uint32(lt))
	}
}

// raw reads an IP packet of either version; Wireshark takes anything that is
// not IPv6 for IPv4, which fails on its version then.
func (d *Decoder) raw(v view) { d.ipAny(v) }

func (d *Decoder) sll(v view) {
	if len(v.b) < 16 {
		d.cut(hdrSLL)
		return
	}
	d.packetType(be16(v.b))
	d.cooked(be16(v.b[2:]), be16(v.b[14:]), v.skip(16))
}

func (d *Decoder) sll2(v view) {
	if len(v.b) < 20 {
		d.cut(hdrSLL2)
		return
	}
	d.packetType(uint16(v.b[10]))
	d.cooked(be16(v.b[8:]), be16(v.b), v.skip(20))
}

// packetType takes the direction from a cooked header's packet type: 4 was
// sent by the capturing host, 0 to 3 came in. The record's own word stands
// where it has one.
func (d *Decoder) packetType(t uint16) {
	switch {
	case capture.Direction(d.direction) != capture.DirectionUnknown:
	case t == 4:
		d.direction = uint8(capture.Outbound)
	case t < 4:
		d.direction = uint8(capture.Inbound)
	}
}

// Hardware types (Linux if_arp.h) whose frames are laid out differently.
const (
	hardwareLoopback = 772
	hardwareGRE      = 778
	hardwareRadiotap = 803
	hardwareNetlink  = 824
)

// cooked reads what follows a Linux cooked header.
func (d *Decoder) cooked(hardware, protocol uint16, v view) {
	d.loopback = d.loopback || hardware == hardwareLoopback
	switch hardware {
	case hardwareGRE:
		d.greProtocol(protocol, true, v)
		return
	case hardwareNetlink:
		d.miss(missARPHRD, uint32(hardware))
		return
	}
	if protocol >= minEthertype {
		d.ethertype(protocol, v)
		return
	}
	if hardware == hardwareRadiotap {
		d.radiotap(v)
		return
	}
	switch protocol {
	case 3:
		d.ethernet(v)
	case 4:
		d.llc(v)
	case 7:
		d.ppp(v)
	default:
		d.miss(missARPHRD, uint32(hardware))
	}
}

// null reads a loopback header in the byte order of the machine that captured,
// which the file does not tell: the value must make sense.
func (d *Decoder) null(v view) {
	if len(v.b) >= 2 && be16(v.b) == 0xff03 {
		d.pppHDLC(v)
		return
	}
	if len(v.b) < 4 {
		d.cut(hdrNull)
		return
	}
	family := le32(v.b)
	if family&0xffff0000 != 0 {
		if family>>24 == 0 && family&0x00ff0000 < 0x00060000 {
			family >>= 16 // a 16-bit family in the first half, as IRIX has
		} else {
			family = be32(v.b) & 0xffff
		}
	} else if family&0xff == 0 && family&0xff00 < 0x0600 {
		family >>= 8
	}
	d.family(family, v.skip(4))
}

func (d *Decoder) loop(v view) {
	if len(v.b) < 4 {
		d.cut(hdrNull)
		return
	}
	// Unlike the null header this one is never an Ethernet type.
	if family := be32(v.b); family <= maxLength {
		d.family(family, v.skip(4))
	} else {
		d.miss(missNull, family)
	}
}

// family reads on after an AF_ value; those of IPv6 differ between systems.
func (d *Decoder) family(family uint32, v view) {
	switch {
	case family == 2:
		d.ipAny(v)
	case family == 24 || family == 28 || family == 30:
		d.ipv6(v)
	case family > maxLength && family <= 0xffff:
		d.ethertype(uint16(family), v)
	default:
		d.miss(missNull, family)
	}
}
