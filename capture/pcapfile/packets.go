package pcapfile

import (
	"fmt"

	"goproxytrace/capture"
)

// Packet options.
const (
	optPacketFlags   = 2
	optPacketDrops   = 4
	optPacketID      = 5
	optPacketQueue   = 6
	optPacketVerdict = 7
	optPacketProcess = 8

	optAppleProcess    = 0x8001
	optAppleEffective  = 0x8003
	optAppleDropReason = 0x8007
)

// enhancedPacket reads an enhanced packet block; its body begins with the
// interface, the time in two halves, and the two lengths.
func (p *pcapngParser) enhancedPacket(r *Reader, b *capture.Batch, body []byte) string {
	o := p.order
	id := o.u32(body)
	ts := uint64(o.u32(body[4:]))<<32 | uint64(o.u32(body[8:]))
	return p.packet(r, b, body, id, ts, o.u32(body[12:]), o.u32(body[16:]), 0)
}

// obsoletePacket reads the packet block of the first drafts: 16 bits each for
// the interface and the number of packets dropped before this one.
func (p *pcapngParser) obsoletePacket(r *Reader, b *capture.Batch, body []byte) string {
	o := p.order
	drops := o.u16(body[2:])
	if drops == 0xffff { // not counted
		drops = 0
	}
	ts := uint64(o.u32(body[4:]))<<32 | uint64(o.u32(body[8:]))
	return p.packet(r, b, body, uint32(o.u16(body)), ts, o.u32(body[12:]), o.u32(body[16:]), drops)
}

const packetFixed = 20

func (p *pcapngParser) packet(r *Reader, b *capture.Batch, body []byte, id uint32, ts uint64, incl, orig uint32, drops uint16) string {
	if uint64(incl) > uint64(len(body)-packetFixed) || pad4(int(incl)) > len(body)-packetFixed {
		return fmt.Sprintf("a block of %d bytes is too short for a packet of %d bytes", len(body)+minBlock, incl)
	}
	if uint64(id) >= uint64(len(p.ifaces)) {
		return fmt.Sprintf("a packet of interface %d, but the section describes %d", id, len(p.ifaces))
	}
	in := &p.ifaces[id]
	if incl > in.maxFrame {
		return fmt.Sprintf("a packet of %d bytes, which is more than the possible %d", incl, in.maxFrame)
	}
	end := packetFixed + int(incl)
	pk := capture.Packet{
		Number:    r.info.Packets + r.info.Events + 1,
		Data:      body[packetFixed:end:end],
		Length:    wireLength(orig),
		Interface: in.index,
		LinkType:  in.linkType,
		FCSLen:    in.fcsLen,
		HasTime:   !in.timeless,
	}
	if pk.HasTime {
		var exact bool
		if pk.Time, exact = in.clock.ns(ts); !exact {
			r.note("there are times outside the years 1678 to 2262; they are not to be trusted")
		}
		if p.first == 0 {
			p.first = pk.Time
		}
	}
	count := uint64(drops)
	if rest := body[pad4(end):]; len(rest) > 0 {
		it := options{rest: rest, order: p.order}
		if fault := p.packetOptions(r, &it, &pk, &count); fault != "" {
			return fault
		}
	}
	r.info.Packets++
	r.info.Bytes += int64(incl)
	if in.index >= 0 {
		ifc := &r.info.Interfaces[in.index]
		ifc.Packets++
		ifc.DropCount += count
	}
	b.Packets = append(b.Packets, pk)
	return ""
}

// packetOptions reads what the options say of a packet. The lengths that are
// refused are those that Wireshark refuses.
func (p *pcapngParser) packetOptions(r *Reader, it *options, pk *capture.Packet, drops *uint64) string {
	r.interned.joined = r.interned.joined[:0]
	flagged := false
	for it.next() {
		v := it.value
		if n, fixed := packetOptionLen(it.code); fixed && len(v) != n {
			return fmt.Sprintf("packet option %d of %d bytes instead of %d", it.code, len(v), n)
		}
		switch it.code {
		case optComment:
			r.interned.add(v)
		case optPacketFlags:
			if !flagged {
				flagged = true
				setFlags(pk, p.order.u32(v))
			}
		case optPacketDrops:
			*drops = p.order.u64(v)
		case optPacketVerdict:
			dropped, fault := p.verdict(v)
			if fault != "" {
				return fault
			}
			pk.Dropped = pk.Dropped || dropped
		case optPacketProcess:
			if len(v) == 8 && pk.ProcessID == 0 {
				pk.ProcessID = p.order.u32(v)
			}
		case optAppleProcess:
			if pid := p.appleIndex(v); pid != 0 && pk.ProcessID == 0 {
				pk.ProcessID, pk.OwnerByKernel = pid, true
			}
		case optAppleEffective:
			if pk.EffectivePID == 0 {
				pk.EffectivePID = p.appleIndex(v)
			}
		case optAppleDropReason:
			pk.Dropped = pk.Dropped || len(v) == 4 && p.order.u32(v) != 0
		}
	}
	if it.fault != "" {
		return it.fault
	}
	pk.Comment = r.interned.take()
	return ""
}

func packetOptionLen(code uint16) (n int, fixed bool) {
	switch code {
	case optPacketFlags, optPacketQueue:
		return 4, true
	case optPacketDrops, optPacketID:
		return 8, true
	}
	return 0, false
}

// setFlags reads epb_flags: the direction in the lowest two bits, the FCS
// length in bytes in bits 5 to 8.
func setFlags(pk *capture.Packet, flags uint32) {
	switch flags & 3 {
	case 1:
		pk.Direction = capture.Inbound
	case 2:
		pk.Direction = capture.Outbound
	}
	if n := flags >> 5 & 0xf; n != 0 {
		pk.FCSLen = int8(n)
	}
}

// Verdict types, and the verdicts of Linux's traffic control and XDP that
// mean the packet was thrown away.
const (
	verdictTC     = 1
	verdictXDP    = 2
	tcActShot     = 2
	xdpAborted    = 0
	xdpDrop       = 1
	verdictLength = 9
)

func (p *pcapngParser) verdict(v []byte) (dropped bool, fault string) {
	if len(v) < 1 {
		return false, "a packet verdict without its type byte"
	}
	if t := v[0]; t == verdictTC || t == verdictXDP {
		if len(v) != verdictLength {
			return false, fmt.Sprintf("a packet verdict of %d bytes instead of %d", len(v), verdictLength)
		}
		n := p.order.u64(v[1:])
		return t == verdictTC && n == tcActShot || t == verdictXDP && (n == xdpAborted || n == xdpDrop), ""
	}
	return false, ""
}

// simplePacket reads a simple packet block: the first interface, no time, and
// as many bytes as the snapshot length allows.
func (p *pcapngParser) simplePacket(r *Reader, b *capture.Batch, body []byte) string {
	if len(p.ifaces) == 0 {
		return "a simple packet before the section describes an interface"
	}
	in := &p.ifaces[0]
	orig := p.order.u32(body)
	incl := orig
	if in.snapLen != 0 {
		incl = min(incl, in.snapLen)
	}
	if uint64(incl) > uint64(len(body)-4) || pad4(int(incl)) > len(body)-4 {
		return fmt.Sprintf("a block of %d bytes is too short for a packet of %d bytes", len(body)+minBlock, orig)
	}
	if incl > in.maxFrame {
		return fmt.Sprintf("a packet of %d bytes, which is more than the possible %d", incl, in.maxFrame)
	}
	end := 4 + int(incl)
	r.info.Packets++
	r.info.Bytes += int64(incl)
	if in.index >= 0 {
		r.info.Interfaces[in.index].Packets++
	}
	b.Packets = append(b.Packets, capture.Packet{
		Number:    r.info.Packets + r.info.Events,
		Data:      body[4:end:end],
		Length:    wireLength(orig),
		Interface: in.index,
		LinkType:  in.linkType,
		FCSLen:    in.fcsLen,
	})
	return ""
}
