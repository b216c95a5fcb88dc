package packets

import "encoding/binary"

// Transport returns the transport header with its checksum and the payload.
func (p *Packet) Transport() []byte { return p.appendTransport(nil) }

// IP returns the packet from the IP header on.
func (p *Packet) IP() []byte { return p.AppendIP(nil) }

// Ethernet returns the packet in an Ethernet frame without a check sequence
// and without padding.
func (p *Packet) Ethernet() []byte { return p.AppendEthernet(nil) }

// AppendEthernet is Ethernet into memory of the caller.
func (p *Packet) AppendEthernet(b []byte) []byte {
	b = append(b, p.dstMAC[:]...)
	b = append(b, p.srcMAC[:]...)
	for _, t := range p.tags {
		b = binary.BigEndian.AppendUint32(b, t)
	}
	b = binary.BigEndian.AppendUint16(b, p.etherType())
	return p.AppendIP(b)
}

// Cooked returns the packet with a Linux cooked header, version 1
// (LINKTYPE_LINUX_SLL). kind is 0 for a packet to this host, 4 for one sent by it.
func (p *Packet) Cooked(kind uint16) []byte {
	b := binary.BigEndian.AppendUint16(nil, kind)
	b = binary.BigEndian.AppendUint16(b, 1) // ARPHRD_ETHER
	b = binary.BigEndian.AppendUint16(b, 6)
	b = append(b, p.srcMAC[:]...)
	b = append(b, 0, 0)
	b = binary.BigEndian.AppendUint16(b, p.etherType())
	return p.AppendIP(b)
}

// Cooked2 returns the packet with a Linux cooked header, version 2
// (LINKTYPE_LINUX_SLL2).
func (p *Packet) Cooked2(kind uint8, ifindex uint32) []byte {
	b := binary.BigEndian.AppendUint16(nil, p.etherType())
	b = append(b, 0, 0)
	b = binary.BigEndian.AppendUint32(b, ifindex)
	b = binary.BigEndian.AppendUint16(b, 1)
	b = append(b, kind, 6)
	b = append(b, p.srcMAC[:]...)
	b = append(b, 0, 0)
	return p.AppendIP(b)
}

// Null returns the packet with a BSD loopback header (LINKTYPE_NULL) as a
// little-endian host with FreeBSD's address families writes it.
func (p *Packet) Null() []byte {
	family := uint32(2)
	if p.src.Is6() {
		family = 28
	}
	return p.AppendIP(binary.LittleEndian.AppendUint32(nil, family))
}

// AppendIP is IP into memory of the caller.
func (p *Packet) AppendIP(b []byte) []byte {
	if p.src.Is4() {
		return p.appendIPv4(b)
	}
	return p.appendIPv6(b)
}

// Fragments returns the packet cut into IP fragments whose data is at most
// size bytes each; size is rounded down to a multiple of 8.
func (p *Packet) Fragments(size int, id uint32) []*Packet {
	size &^= 7
	if size == 0 {
		panic("packets: fragments need at least 8 bytes")
	}
	whole := p.Transport()
	var out []*Packet
	for off := 0; off < len(whole); off += size {
		end := min(off+size, len(whole))
		f := newPacket(p.src, p.dst, p.proto)
		f.ttl, f.srcMAC, f.dstMAC, f.tags = p.ttl, p.srcMAC, p.dstMAC, p.tags
		f.fragment, f.fragOffset, f.more = true, off, end < len(whole)
		f.ipID, f.fragmentID = uint16(id), id
		f.payload = whole[off:end]
		out = append(out, f)
	}
	return out
}

func (p *Packet) etherType() uint16 {
	if p.src.Is4() {
		return 0x0800
	}
	return 0x86dd
}

func (p *Packet) appendIPv4(b []byte) []byte {
	start := len(b)
	words := 5 + (len(p.ipOptions)+3)/4
	frag := uint16(p.fragOffset / 8)
	if p.more {
		frag |= 0x2000
	}
	if p.df {
		frag |= 0x4000
	}
	b = append(b, 0x40|uint8(words), p.tos, 0, 0)
	b = binary.BigEndian.AppendUint16(b, p.ipID)
	b = binary.BigEndian.AppendUint16(b, frag)
	b = append(b, p.ttl, p.proto, 0, 0)
	src, dst := p.src.As4(), p.dst.As4()
	b = append(b, src[:]...)
	b = append(b, dst[:]...)
	b = append(b, p.ipOptions...)
	for len(b) < start+4*words {
		b = append(b, 0)
	}
	header := len(b)
	b = p.appendTransport(b)
	total := len(b) - start
	if p.totalLength >= 0 {
		total = p.totalLength
	}
	binary.BigEndian.PutUint16(b[start+2:], uint16(total))
	binary.BigEndian.PutUint16(b[start+10:], ^fold(sum(0, b[start:header])))
	return b
}

func (p *Packet) appendIPv6(b []byte) []byte {
	start := len(b)
	b = binary.BigEndian.AppendUint32(b, 6<<28|uint32(p.tos)<<20|p.flowLabel)
	b = append(b, 0, 0, 0, p.ttl)
	src, dst := p.src.As16(), p.dst.As16()
	b = append(b, src[:]...)
	b = append(b, dst[:]...)
	next := start + 6
	for _, e := range p.extensions {
		b[next] = e.proto
		next = len(b)
		b = append(b, 0)
		b = append(b, e.body...)
	}
	if p.fragment {
		b[next] = 44
		next = len(b)
		off := uint16(p.fragOffset)
		if p.more {
			off |= 1
		}
		b = append(b, 0, 0)
		b = binary.BigEndian.AppendUint16(b, off)
		b = binary.BigEndian.AppendUint32(b, p.fragmentID)
	}
	b[next] = p.proto
	b = p.appendTransport(b)
	length := len(b) - start - 40
	if p.totalLength >= 0 {
		length = p.totalLength
	}
	binary.BigEndian.PutUint16(b[start+4:], uint16(length))
	return b
}

// appendTransport appends header and payload. A fragment's payload already
// holds the header.
func (p *Packet) appendTransport(b []byte) []byte {
	start := len(b)
	check := -1
	switch {
	case p.fragment:
	case p.proto == ProtoTCP:
		words := 5 + (len(p.options)+3)/4
		b = binary.BigEndian.AppendUint16(b, p.srcPort)
		b = binary.BigEndian.AppendUint16(b, p.dstPort)
		b = binary.BigEndian.AppendUint32(b, p.seq)
		b = binary.BigEndian.AppendUint32(b, p.ack)
		offset := words
		if p.dataOffset >= 0 {
			offset = p.dataOffset
		}
		b = binary.BigEndian.AppendUint16(b, uint16(offset)<<12|p.flags&0xfff)
		b = binary.BigEndian.AppendUint16(b, p.window)
		check = len(b)
		b = append(b, 0, 0)
		b = binary.BigEndian.AppendUint16(b, p.urgent)
		b = append(b, p.options...)
		for len(b) < start+4*words {
			b = append(b, 0)
		}
	case p.proto == ProtoUDP:
		b = binary.BigEndian.AppendUint16(b, p.srcPort)
		b = binary.BigEndian.AppendUint16(b, p.dstPort)
		b = binary.BigEndian.AppendUint16(b, uint16(8+len(p.payload)))
		check = len(b)
		b = append(b, 0, 0)
	case p.proto == ProtoICMP || p.proto == ProtoICMPv6:
		b = append(b, p.icmpType, p.icmpCode)
		check = len(b)
		b = append(b, 0, 0)
		b = binary.BigEndian.AppendUint32(b, p.icmpRest)
	}
	b = append(b, p.payload...)
	if check < 0 {
		return b
	}
	c := ^fold(p.pseudoHeader(len(b)-start) + sum(0, b[start:]))
	if p.badChecksum {
		c ^= 0x5555
	}
	if c == 0 && p.proto == ProtoUDP {
		c = 0xffff // RFC 768: zero means no checksum
	}
	binary.BigEndian.PutUint16(b[check:], c)
	return b
}

func (p *Packet) pseudoHeader(length int) uint64 {
	if p.proto == ProtoICMP {
		return 0
	}
	n := uint64(p.proto) + uint64(length)
	if p.src.Is4() {
		s, d := p.src.As4(), p.dst.As4()
		return sum(sum(n, s[:]), d[:])
	}
	s, d := p.src.As16(), p.dst.As16()
	return sum(sum(n, s[:]), d[:])
}

// sum adds b to a ones' complement sum (RFC 1071), eight bytes at a time.
func sum(n uint64, b []byte) uint64 {
	for len(b) >= 8 {
		v := binary.BigEndian.Uint64(b)
		n += v>>48 + v>>32&0xffff + v>>16&0xffff + v&0xffff
		b = b[8:]
	}
	for len(b) >= 2 {
		n += uint64(b[0])<<8 | uint64(b[1])
		b = b[2:]
	}
	if len(b) == 1 {
		n += uint64(b[0]) << 8
	}
	return n
}

func fold(n uint64) uint16 {
	for n > 0xffff {
		n = n>>16 + n&0xffff
	}
	return uint16(n)
}
