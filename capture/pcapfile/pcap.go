package pcapfile

import (
	"math"

	"goproxytrace/capture"
)

// Magic numbers of pcap files, as a little-endian file of that order has them.
const (
	magicMicro    = 0xa1b2c3d4
	magicNano     = 0xa1b23c4d
	magicModified = 0xa1b2cd34
	magicIxiaHW   = 0x1c0001ac // nanoseconds, 4 more bytes of file header
	magicIxiaSW   = 0x1c0001ab // microseconds, 4 more bytes of file header
)

const (
	pcapHeaderLen = 24
	// maxFrame is the longest captured frame that Wireshark accepts, except
	// for the link types in maxFrameOf.
	maxFrame = 256 << 10
)

// Link types with a meaning for the container itself.
const (
	linkEthernet capture.LinkType = 1
	linkDBus     capture.LinkType = 231
	linkUSBPcap  capture.LinkType = 249
	linkEBHSCR   capture.LinkType = 279
)

func maxFrameOf(lt capture.LinkType) uint32 {
	switch lt {
	case linkDBus, linkUSBPcap:
		return maxRecord - 1<<10
	case linkEBHSCR:
		return 8 << 20
	}
	return maxFrame
}

// pcapVariant is one of the record layouts that share pcap's magic numbers.
type pcapVariant uint8

const (
	variantStandard pcapVariant = iota
	// variantModified has interface index, protocol and packet type after
	// the four standard fields: libpcap patches of 1999-04-17 (standard
	// magic) and 1999-10-29 (modified magic).
	variantModified
	// variantSMP is the patch of 1999-09-15, with 4 bytes more.
	variantSMP
	variantNokia
	variantAIX
)

var variantHeaderLen = [...]int{
	variantStandard: 16,
	variantModified: 24,
	variantSMP:      28,
	variantNokia:    20,
	variantAIX:      16,
}

var variantNote = [...]string{
	variantStandard: "",
	variantModified: "pcap records in the modified layout of 1999 (24-byte headers)",
	variantSMP:      "pcap records in the modified layout of September 1999 (28-byte headers)",
	variantNokia:    "pcap records in Nokia's layout",
	variantAIX:      "pcap as AIX writes it (interface types for link types, nanoseconds)",
}

type lengthOrder uint8

const (
	lengthsStandard lengthOrder = iota
	// lengthsSwapped: before version 2.3 the original length came first.
	lengthsSwapped
	// lengthsUnsure: some writers of version 2.3 did not swap.
	lengthsUnsure
)

func (l lengthOrder) apply(incl, orig uint32) (uint32, uint32) {
	if l == lengthsSwapped || l == lengthsUnsure && incl > orig {
		return orig, incl
	}
	return incl, orig
}

type pcapParser struct {
	ready    bool
	order    order
	variant  pcapVariant
	lengths  lengthOrder
	linkType capture.LinkType
	fcsLen   int8
	snapLen  uint32
	maxFrame uint32
	// mult is the nanoseconds in a unit of the time stamp's fraction. The
	// product is taken in 32 bits, signed, as Wireshark does: where the
	// fraction is no fraction, the time is the one that Wireshark analyses.
	mult uint32
}

func isPcap(head []byte) bool {
	if len(head) < 4 {
		return false
	}
	_, _, ok := pcapMagic(head)
	return ok
}

func pcapMagic(head []byte) (magic uint32, o order, ok bool) {
	for _, o := range [...]order{false, bigEndian} {
		switch m := o.u32(head); m {
		case magicMicro, magicNano, magicModified, magicIxiaHW, magicIxiaSW:
			return m, o, true
		}
	}
	return 0, false, false
}

func (p *pcapParser) pending() int64 { return -1 }

// header reads the file header; ok is false where more bytes are needed
// (want) or the header makes no sense.
func (p *pcapParser) header(r *Reader, buf []byte) (used, want int, ok bool) {
	r.partial = "the file header"
	if len(buf) < 4 {
		return 0, pcapHeaderLen, false
	}
	magic, o, _ := pcapMagic(buf)
	size := pcapHeaderLen
	if magic == magicIxiaHW || magic == magicIxiaSW {
		size += 4
	}
	if len(buf) < size {
		return 0, size, false
	}
	p.order = o
	major, minor := o.u16(buf[4:]), o.u16(buf[6:])
	p.snapLen = o.u32(buf[16:])
	network := o.u32(buf[20:])
	if major < 2 {
		r.damage(0, "pcap version %d.%d is not known", major, minor)
		return 0, 1, false
	}
	p.mult = 1000
	if magic == magicNano || magic == magicIxiaHW {
		p.mult = 1
	}
	guess := magic == magicMicro || magic == magicModified
	switch {
	case major == 2 && minor < 3, major == 543: // 543.0 is DG/UX's tcpdump
		p.lengths = lengthsSwapped
	case major == 2 && minor == 3:
		p.lengths = lengthsUnsure
	}
	// The layouts to be guessed were written with version 2.4 only.
	if p.lengths != lengthsStandard {
		guess = guess && magic == magicModified
	}
	if magic == magicMicro && major == 2 && minor == 2 {
		if lt, aix := aixLinkType(network); aix {
			network = lt
			p.variant, p.mult = variantAIX, 1
		}
	}
	p.linkType = capture.LinkType(network)
	p.maxFrame = maxFrameOf(p.linkType)
	p.fcsLen = -1
	// Bits 28-31 hold the FCS length in units of 16 bits where bit 26 is set.
	if network&(1<<26) != 0 {
		p.fcsLen = int8(network >> 28 * 2)
	}
	if network&0x03ff0000 != 0 {
		r.note("reserved bits of the pcap link type are set (%#x)", network)
	}
	if guess {
		if r.live && magic == magicModified && r.inErr == nil && len(buf) < modifiedLookahead {
			return 0, modifiedLookahead, false
		}
		p.guessVariant(r, magic, buf[size:])
	}
	if n := variantNote[p.variant]; n != "" {
		r.note("%s", n)
	}
	r.info.Sections = 1
	r.info.Interfaces = []capture.Interface{{LinkType: p.linkType, SnapLen: p.snapLen}}
	p.ready = true
	return size, 1, true
}

// aixLinkType translates the RFC 1573 interface types in AIX's files of
// version 2.2.
func aixLinkType(network uint32) (uint32, bool) {
	switch network {
	case 6:
		return uint32(linkEthernet), true
	case 9:
		return 6, true // token ring
	case 15:
		return 10, true // FDDI
	case 24:
		return 0, true // loopback
	}
	return 0, false
}

const linkFDDI capture.LinkType = 10

func (p *pcapParser) parse(r *Reader, b *capture.Batch, buf []byte) (used, want int) {
	off := 0
	if !p.ready {
		n, want, ok := p.header(r, buf)
		if !ok {
			return n, want
		}
		off = n
	}
	r.partial = "a packet"
	var (
		hdr     = variantHeaderLen[p.variant]
		o       = p.order
		number  = r.info.Packets
		bytes   = r.info.Bytes
		packets = b.Packets
		pk      = capture.Packet{FCSLen: p.fcsLen, LinkType: p.linkType, HasTime: true}
	)
	want = 1
	longest := uint32(0)
	badFractions := 0
	for len(packets) < maxBatchPackets {
		rest := buf[off:]
		if len(rest) < hdr {
			want = hdr
			break
		}
		incl, orig := o.u32(rest[8:]), o.u32(rest[12:])
		if p.lengths != lengthsStandard {
			incl, orig = p.lengths.apply(incl, orig)
		}
		if incl > p.maxFrame {
			longest = incl
			break
		}
		end := hdr + int(incl)
		if len(rest) < end {
			want = end
			break
		}
		number++
		pk.Number = number
		frac := o.u32(rest[4:]) * p.mult
		if frac >= nsPerSecond {
			badFractions++
		}
		pk.Time = int64(o.u32(rest))*nsPerSecond + int64(int32(frac))
		pk.Data = rest[hdr:end:end]
		pk.Length = wireLength(orig)
		if p.variant != variantStandard {
			p.variantFields(&pk, rest)
		}
		bytes += int64(incl)
		packets = append(packets, pk)
		off += end
	}
	r.info.Interfaces[0].Packets = number
	r.info.Packets, r.info.Bytes = number, bytes
	b.Packets = packets
	if badFractions > 0 {
		r.note("there are times whose fraction is a second or more; they are not to be trusted")
	}
	if longest > 0 {
		r.damage(off, "a packet of %d bytes, which is more than the possible %d", longest, p.maxFrame)
	}
	return off, want
}

// wireLength keeps a length on the wire in the range of an int everywhere.
func wireLength(n uint32) int {
	return int(min(n, math.MaxInt32))
}

// variantFields handles what the rarer layouts do to a packet.
func (p *pcapParser) variantFields(pk *capture.Packet, rec []byte) {
	switch p.variant {
	case variantModified, variantSMP:
		// The packet type is Linux's: 4 is outgoing, 0 to 3 came in.
		switch t := rec[22]; {
		case t == 4:
			pk.Direction = capture.Outbound
		case t < 4:
			pk.Direction = capture.Inbound
		default:
			pk.Direction = capture.DirectionUnknown
		}
	case variantAIX:
		// AIX puts 3 bytes of padding before FDDI frames and counts them.
		if p.linkType == linkFDDI && len(pk.Data) >= 3 {
			pk.Data = pk.Data[3:]
			pk.Length = max(pk.Length-3, 0)
		}
	}
}
