package decode

import (
	"fmt"
	"sort"
)

// UnreadCount says how often something was met that the decoder does not read.
type UnreadCount struct {
	// Name is what was met: "802.1AE MACsec", "IPv4 protocol 50 (ESP)".
	Name string
	// Count is the number of occurrences, at least 1.
	Count int64
	// First is the number of the first frame it was met in.
	First int64
}

type missKind uint8

// Kinds of things not read. Kinds that take a number name it in the comment.
const (
	missPanic        missKind = iota
	missNested                // too many headers or segments in a frame
	missLinkType              // LINKTYPE_ value
	missEthertype             // Ethernet type
	missIPProto               // protocol number, after IPv4
	missIP6Proto              // next header, after IPv6
	missSAP                   // LLC DSAP
	missSNAP                  // protocol id of a SNAP header that is no Ethernet type
	missPPP                   // PPP protocol
	missNull                  // address family of a BSD loopback header
	missGRE                   // GRE protocol
	missARPHRD                // hardware type of a cooked capture
	missMPLS                  // MPLS payload that is none of IP, Ethernet
	missCut                   // header number, capture ends inside
	missMalformed             // header number
	missFragment              // IP fragment kept for reassembly or without its first
	missFragmentLost          // fragments dropped: table full
	missEncrypted             // payload that needs a key: header number
	missHeader                // header number, known and not read
)

// header numbers the headers that messages name.
type header uint32

const (
	hdrEthernet header = iota
	hdrVLAN
	hdrLLC
	hdrSNAP
	hdrPPPoE
	hdrPPP
	hdrSLL
	hdrSLL2
	hdrNull
	hdrRaw
	hdrPKTAP
	hdrNFLOG
	hdrHDLC
	hdrFDDI
	hdrTokenRing
	hdrMPLS
	hdrIPv4
	hdrIPv6
	hdrTCP
	hdrUDP
	hdrICMP
	hdrICMPv6
	hdrARP
	hdrGRE
	hdrVXLAN
	hdrGeneve
	hdrGTP
	hdrL2TP
	hdrTeredo
	hdrCAPWAP
	hdrWLAN
	hdrRadiotap
	hdrPrism
	hdrAVS
	hdrPPI
	hdrARCnet
	hdrInfiniBand
	hdrFrameRelay
	hdrERF
	hdrJuniper
	hdrDOCSIS
	hdrEtherIP
	hdrPBB
	hdrNSH
	hdrBATMAN
	hdrVNTag
	hdrCMD
	hdrDSA
	hdrERSPAN
	hdrSFlow
	hdrAH
	hdrPFLog
	hdrLISP
	hdrTZSP
	hdrATM
	hdrWEP
	hdrTRILL
	hdrAMT
	hdrLWAPP
	hdrWLANFragment
	hdrHSR
	hdrENC
	hdrIPoFW
	hdrSymantec
	hdrMax
)

var headerNames = [hdrMax]string{
	hdrEthernet: "Ethernet", hdrVLAN: "VLAN tag", hdrLLC: "LLC", hdrSNAP: "SNAP",
	hdrPPPoE: "PPPoE", hdrPPP: "PPP", hdrSLL: "Linux cooked v1", hdrSLL2: "Linux cooked v2",
	hdrNull: "BSD loopback", hdrRaw: "raw IP", hdrPKTAP: "PKTAP", hdrNFLOG: "NFLOG",
	hdrHDLC: "Cisco HDLC", hdrFDDI: "FDDI", hdrTokenRing: "token ring", hdrMPLS: "MPLS",
	hdrIPv4: "IPv4", hdrIPv6: "IPv6", hdrTCP: "TCP", hdrUDP: "UDP", hdrICMP: "ICMP",
	hdrICMPv6: "ICMPv6", hdrARP: "ARP", hdrGRE: "GRE", hdrVXLAN: "VXLAN", hdrGeneve: "Geneve",
	hdrGTP: "GTP-U", hdrL2TP: "L2TP", hdrTeredo: "Teredo", hdrCAPWAP: "CAPWAP",
	hdrWLAN: "802.11", hdrRadiotap: "radiotap", hdrPrism: "Prism", hdrAVS: "AVS", hdrPPI: "PPI",
	hdrARCnet: "ARCnet", hdrInfiniBand: "InfiniBand", hdrFrameRelay: "Frame Relay",
	hdrERF: "ERF", hdrJuniper: "Juniper", hdrDOCSIS: "DOCSIS",
	hdrEtherIP: "EtherIP", hdrPBB: "802.1ah", hdrNSH: "NSH", hdrBATMAN: "BATMAN",
	hdrVNTag: "VN-Tag", hdrCMD: "Cisco metadata", hdrDSA: "DSA tag",
	hdrERSPAN: "ERSPAN", hdrSFlow: "sFlow", hdrAH: "authentication header",
	hdrPFLog: "PF log", hdrLISP: "LISP", hdrTZSP: "TZSP",
	hdrATM: "ATM", hdrWEP: "802.11 protected data", hdrTRILL: "TRILL",
	hdrAMT:   "AMT",
	hdrLWAPP: "LWAPP", hdrWLANFragment: "802.11 fragment", hdrHSR: "redundancy tag",
	hdrENC: "ENC", hdrIPoFW: "IP over FireWire", hdrSymantec: "Symantec firewall",
}

// missKey names one thing without building its text on the hot path.
type missKey struct {
	kind   missKind
	number uint32
	vendor uint32 // OUI of a SNAP header
}

type missCount struct{ count, first int64 }

// maxUnread bounds the different things counted apart; hostile input could
// otherwise name 65,536 Ethernet types and more.
const maxUnread = 512

type unreadTable struct {
	counts map[missKey]*missCount
	last   missKey // the latest one counted, found again without hashing
	lastN  *missCount
	others missCount
}

func (d *Decoder) miss(kind missKind, number uint32) {
	d.countMiss(missKey{kind: kind, number: number})
}

func (d *Decoder) countMiss(key missKey) {
	t := &d.unread
	if t.lastN == nil || t.last != key {
		c := t.counts[key]
		if c == nil {
			if len(t.counts) >= maxUnread {
				c = &t.others
			} else {
				if t.counts == nil {
					t.counts = make(map[missKey]*missCount)
				}
				c = new(missCount)
				t.counts[key] = c
			}
		}
		t.last, t.lastN = key, c
	}
	if t.lastN.count == 0 {
		t.lastN.first = d.frame
	}
	t.lastN.count++
}

func (d *Decoder) cut(h header)       { d.miss(missCut, uint32(h)) }
func (d *Decoder) malformed(h header) { d.miss(missMalformed, uint32(h)) }

// Unread returns what was met and not read, most frequent first.
func (d *Decoder) Unread() []UnreadCount {
	out := make([]UnreadCount, 0, len(d.unread.counts)+1)
	for k, c := range d.unread.counts {
		out = append(out, UnreadCount{Name: k.name(), Count: c.count, First: c.first})
	}
	if c := d.unread.others; c.count > 0 {
		out = append(out, UnreadCount{Name: "other protocols", Count: c.count, First: c.first})
	}
	sort.Slice(out, func(i, j int) bool {
		a, b := out[i], out[j]
		if a.Count != b.Count {
			return a.Count > b.Count
		}
		return a.Name < b.Name
	})
	return out
}

func named(prefix string, n uint32, format string, names map[uint32]string) string {
	s := prefix + " " + fmt.Sprintf(format, n)
	if name := names[n]; name != "" {
		s += " (" + name + ")"
	}
	return s
}

func (k missKey) name() string {
	switch k.kind {
	case missPanic:
		return "malformed frame"
	case missNested:
		return "too many nested headers"
	case missLinkType:
		return named("link type", k.number, "%d", linkTypeNames)
	case missEthertype:
		if name := ethertypeNames[k.number]; name != "" {
			return name
		}
		return fmt.Sprintf("Ethernet type 0x%04x", k.number)
	case missIPProto:
		return named("IPv4 protocol", k.number, "%d", ipProtoNames)
	case missIP6Proto:
		return named("IPv6 next header", k.number, "%d", ipProtoNames)
	case missSAP:
		return named("LLC SAP", k.number, "0x%02x", sapNames)
	case missSNAP:
		return fmt.Sprintf("SNAP protocol %06x:%04x", k.vendor, k.number)
	case missPPP:
		return named("PPP protocol", k.number, "0x%04x", pppNames)
	case missNull:
		return named("loopback address family", k.number, "%d", nil)
	case missGRE:
		return named("GRE protocol", k.number, "0x%04x", ethertypeNames)
	case missARPHRD:
		return named("cooked capture of hardware type", k.number, "%d", hardwareNames)
	case missMPLS:
		return "MPLS payload that is neither IP nor Ethernet"
	case missCut:
		return headerNames[k.number] + " header cut short by the capture"
	case missMalformed:
		return "malformed " + headerNames[k.number] + " header"
	case missFragment:
		return "IP fragments not reassembled"
	case missFragmentLost:
		return "IP fragments dropped for want of room"
	case missEncrypted:
		return headerNames[k.number] + " (encrypted)"
	case missHeader:
		return headerNames[k.number]
	}
	return "unknown"
}
