package pcapfile

import (
	"fmt"

	"goproxytrace/capture"
)

// Block types of the pcapng specification, and those that others added.
const (
	blockSection    = 0x0a0d0d0a
	blockInterface  = 0x00000001
	blockPacket     = 0x00000002 // obsolete
	blockSimple     = 0x00000003
	blockNames      = 0x00000004
	blockStatistics = 0x00000005
	blockEnhanced   = 0x00000006
	blockJournal    = 0x00000009
	blockSecrets    = 0x0000000a
	blockSysdigV1   = 0x00000204
	blockSysdigV2   = 0x00000216
	blockSysdigV2L  = 0x00000221
	blockCustom     = 0x00000bad
	blockCustomKeep = 0x40000bad // not to be copied
	blockProcess    = 0x80000001 // Apple: process information
)

const (
	byteOrderMagic = 0x1a2b3c4d
	// minBlock is a block without a body: type, length, length.
	minBlock = 12
	// maxBlock is the longest block that Wireshark goes on after: 128 MiB of
	// packet, 128 KiB of options.
	maxBlock = 128<<20 + 128<<10 + 32
	// maxEvent is the longest journal or custom block whose content is
	// handed out; longer ones are numbered and passed over.
	maxEvent = 1 << 20
	// maxSectionInterfaces bounds the interfaces of a section.
	maxSectionInterfaces = 64 << 10
	// maxInterfaces bounds Info.Interfaces over all sections.
	maxInterfaces = 16 << 10
)

// ngInterface is what the packets of a section need to know about one of
// its interfaces.
type ngInterface struct {
	clock    clock
	snapLen  uint32
	maxFrame uint32
	// index is the place in Info.Interfaces, -1 where that is full.
	index    int32
	linkType capture.LinkType
	fcsLen   int8
	// timeless marks a resolution that does not fit 64 bits; Wireshark
	// shows such packets at time zero.
	timeless bool
}

type pcapngParser struct {
	order  order
	ifaces []ngInterface
	// procs are the PIDs of the section's Apple process blocks, by index.
	procs []uint32
	// A block that is passed over: where it began (-1 for none), and its
	// length, which its last 4 bytes repeat.
	skipStart int64
	skipTotal uint32
	skipName  string
	// Text kept so far in tables that grow with the file, in bytes.
	nameBytes, eventBytes, processBytes, interfaceBytes int
	unknownTypes                                        int
	// first is the time of the first packet, Unix ns; zero before it.
	first int64
}

func newPcapngParser() *pcapngParser { return &pcapngParser{skipStart: -1} }

func isSectionHeader(head []byte) bool {
	return len(head) >= 4 && order(false).u32(head) == blockSection
}

func byteOrderKnown(b []byte) bool {
	_, ok := sectionOrder(b)
	return ok
}

func sectionOrder(b []byte) (order, bool) {
	switch order(false).u32(b) {
	case byteOrderMagic:
		return false, true
	case 0x4d3c2b1a:
		return bigEndian, true
	}
	return false, false
}

func (p *pcapngParser) pending() int64 { return p.skipStart }

func (p *pcapngParser) parse(r *Reader, b *capture.Batch, buf []byte) (used, want int) {
	off := 0
	for r.err == nil && len(b.Packets) < maxBatchPackets {
		rest := buf[off:]
		if p.skipStart >= 0 {
			r.partial = p.skipName
			if len(rest) < 4 {
				return off, 4
			}
			p.skippedTrailer(r, rest)
			off += 4
			continue
		}
		r.partial = "a block header"
		if len(rest) < 8 {
			return off, 8
		}
		typ := p.order.u32(rest)
		if isSectionHeader(rest) {
			if len(rest) < 12 {
				return off, 12
			}
			o, ok := sectionOrder(rest[8:])
			if !ok {
				r.damage(off, "a section header with the unknown byte-order magic % x", rest[8:12])
				break
			}
			p.order, typ = o, blockSection
		}
		// Some writers leave the padding out of the length; Wireshark
		// rounds it up in both places.
		total64 := (uint64(p.order.u32(rest[4:])) + 3) &^ 3
		name, least := blockKind(typ)
		if total64 < uint64(least) {
			r.damage(off, "a block length of %d; %s needs at least %d bytes", total64, p.blockName(typ, name), least)
			break
		}
		if total64 > maxBlock {
			r.damage(off, "a block length of %d, which is more than the possible %d", total64, maxBlock)
			break
		}
		total := int(total64)
		if len(rest) < total {
			r.partial = p.blockName(typ, name)
			switch {
			case passedOver(typ):
				if len(rest) < least-4 {
					return off, least - 4
				}
				p.passOver(r, off, rest, typ, total)
				return off + 8, 1
			case isEvent(typ) && total > maxEvent:
				if len(rest) < 16 {
					return off, 16
				}
				p.longEvent(r, b, rest, typ, total)
				p.startSkip(r, off, total, r.partial)
				return off + 8, 1
			case total > maxRecord:
				r.damage(off, "%s of %d bytes; at most %d are read", r.partial, total, maxRecord)
				return off, 1
			}
			return off, total
		}
		block := rest[:total:total]
		if second := (uint64(p.order.u32(block[total-4:])) + 3) &^ 3; second != total64 {
			r.damage(off, "the block lengths %d at the beginning and %d at the end of %s differ", total64, second, p.blockName(typ, name))
			break
		}
		if fault := p.block(r, b, typ, name, block); fault != "" {
			r.damage(off, "%s", fault)
			break
		}
		off += total
	}
	return off, 1
}

// block handles one complete block; it returns what is wrong with it.
func (p *pcapngParser) block(r *Reader, b *capture.Batch, typ uint32, name string, block []byte) string {
	body := block[8 : len(block)-4]
	switch typ {
	case blockEnhanced:
		return p.enhancedPacket(r, b, body)
	case blockSimple:
		return p.simplePacket(r, b, body)
	case blockPacket:
		return p.obsoletePacket(r, b, body)
	case blockSection:
		return p.section(r, body)
	case blockInterface:
		return p.iface(r, body)
	}
	p.count(r, typ, name)
	switch typ {
	case blockNames:
		return p.names(r, body)
	case blockStatistics:
		return p.statistics(r, body)
	case blockSecrets:
		return p.secrets(r, body)
	case blockJournal:
		return p.journal(r, b, body)
	case blockCustom, blockCustomKeep:
		return p.custom(r, b, body)
	case blockSysdigV1, blockSysdigV2, blockSysdigV2L:
		return p.sysdig(r, b, body)
	case blockProcess:
		p.appleProcess(r, body)
	}
	return ""
}

// blockKind names a block type and says how long it is at least.
func blockKind(typ uint32) (name string, least int) {
	switch typ {
	case blockSection:
		return "section header", 28
	case blockInterface:
		return "interface description", 20
	case blockPacket, blockEnhanced:
		return "packet", 32
	case blockSimple:
		return "simple packet", 16
	case blockNames:
		return "name resolution", 16
	case blockStatistics:
		return "interface statistics", 24
	case blockJournal:
		return "journal", 35
	case blockSecrets:
		return "decryption secrets", 20
	case blockCustom, blockCustomKeep:
		return "custom", 16
	case blockSysdigV1, blockSysdigV2, blockSysdigV2L:
		return "sysdig event", 36
	case blockProcess:
		return "process", minBlock
	case 7:
		return "IRIG timestamp", minBlock
	case 8:
		return "ARINC 429", minBlock
	case 0x101:
		return "Hone machine info", minBlock
	case 0x102:
		return "Hone connection event", minBlock
	}
	if typ >= 0x201 && typ <= 0x223 {
		return "sysdig state", minBlock
	}
	return "", minBlock
}

func (p *pcapngParser) blockName(typ uint32, name string) string {
	if name == "" {
		return fmt.Sprintf("a block of unknown type %#08x", typ)
	}
	return "a block of type " + name
}

// count adds to Info.Blocks; the number of unknown types told apart is
// bounded.
func (p *pcapngParser) count(r *Reader, typ uint32, name string) {
	if r.info.Blocks == nil {
		r.info.Blocks = make(map[string]int64)
	}
	if name == "" {
		name = fmt.Sprintf("unknown %#08x", typ)
		if _, known := r.info.Blocks[name]; !known {
			if p.unknownTypes >= 64 {
				name = "other unknown"
			} else {
				p.unknownTypes++
			}
		}
	}
	r.info.Blocks[name]++
}

// passedOver says whether a block of the type is read without being held in
// memory as a whole.
func passedOver(typ uint32) bool {
	name, _ := blockKind(typ)
	switch typ {
	case blockSecrets, 7, 8, 0x101, 0x102:
		return true
	case blockSysdigV1, blockSysdigV2, blockSysdigV2L:
		return false
	}
	return name == "" || typ >= 0x201 && typ <= 0x223
}

func isEvent(typ uint32) bool {
	switch typ {
	case blockJournal, blockCustom, blockCustomKeep, blockSysdigV1, blockSysdigV2, blockSysdigV2L:
		return true
	}
	return false
}

func (p *pcapngParser) passOver(r *Reader, off int, rest []byte, typ uint32, total int) {
	name, _ := blockKind(typ)
	p.count(r, typ, name)
	if typ == blockSecrets {
		if fault := p.secretsHeader(r, rest[8:], total); fault != "" {
			r.damage(off, "%s", fault)
			return
		}
	}
	p.startSkip(r, off, total, p.blockName(typ, name))
}

// startSkip has everything passed over up to the length that ends the block;
// its first 8 bytes count as used.
func (p *pcapngParser) startSkip(r *Reader, off, total int, name string) {
	p.skipStart = r.offset + int64(off)
	p.skipTotal = uint32(total)
	p.skipName = name
	r.skip = int64(total - minBlock)
}

func (p *pcapngParser) skippedTrailer(r *Reader, rest []byte) {
	start := p.skipStart
	p.skipStart = -1
	if second := (uint64(p.order.u32(rest)) + 3) &^ 3; second != uint64(p.skipTotal) {
		r.damage(int(start-r.offset), "the block lengths %d at the beginning and %d at the end of %s differ", p.skipTotal, second, p.skipName)
	}
}
