package decode

import "encoding/binary"

// ChecksumValid verifies the TCP or UDP checksum with its pseudo header (RFC
// 9293 §3.1, RFC 768, RFC 8200 §8.1). known is false where it cannot be told:
// the segment was cut or is a fragment, the sender left a UDP checksum out, or
// the field holds just the pseudo header's sum, which is what a stack leaves
// for the network card to complete (checksum offload).
func (s *Segment) ChecksumValid() (ok, known bool) {
	switch s.checksum() {
	case checksumRight:
		return true, true
	case checksumWrong:
		return false, true
	}
	return false, false
}

// ChecksumUnfilled reports whether the field holds just the pseudo header's
// sum: the network card, which is yet to see the segment, completes it.
func (s *Segment) ChecksumUnfilled() bool { return s.checksum() == checksumUnfilled }

type checksumState uint8

const (
	checksumUnknown checksumState = iota
	checksumRight
	checksumWrong
	checksumUnfilled
)

func (s *Segment) checksum() checksumState {
	var proto uint8
	var length int
	var at int
	switch s.Proto {
	case ProtoTCP:
		proto, length, at = protoTCP, int(s.HeaderLen)+int(s.Len), 16
	case ProtoUDP:
		proto, length, at = protoUDP, 8+int(s.Len), 6
	default:
		return checksumUnknown
	}
	if s.Fragment || s.Short || length < at+2 || length != len(s.Transport) || s.IPVersion == 0 {
		return checksumUnknown
	}
	field := be16(s.Transport[at:])
	if proto == protoUDP && field == 0 {
		return checksumUnknown
	}
	src, dst := s.Src[:], s.Dst[:]
	if s.IPVersion == 4 {
		src, dst = s.Src[12:], s.Dst[12:]
	}
	pseudo := sum16(src, 0)
	pseudo = sum16(dst, pseudo)
	pseudo += uint64(proto) + uint64(length)
	if fold(sum16(s.Transport, pseudo)) == 0xffff {
		return checksumRight
	}
	if field == fold(pseudo) {
		return checksumUnfilled
	}
	return checksumWrong
}

// sum16 adds the big-endian 16-bit words of b to sum.
func sum16(b []byte, sum uint64) uint64 {
	for len(b) >= 8 {
		w := binary.BigEndian.Uint64(b)
		sum += w>>48 + w>>32&0xffff + w>>16&0xffff + w&0xffff
		b = b[8:]
	}
	for len(b) >= 2 {
		sum += uint64(be16(b))
		b = b[2:]
	}
	if len(b) == 1 {
		sum += uint64(b[0]) << 8
	}
	return sum
}

func fold(sum uint64) uint16 {
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return uint16(sum)
}
