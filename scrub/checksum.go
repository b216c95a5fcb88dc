package scrub

import "encoding/binary"

// sum adds up b in 16-bit words (RFC 1071); a last odd byte counts as if a
// zero followed it.
func sum(b []byte) uint32 {
	var n uint64
	for len(b) >= 2 {
		n += uint64(binary.BigEndian.Uint16(b))
		b = b[2:]
	}
	if len(b) == 1 {
		n += uint64(b[0]) << 8
	}
	return fold(n)
}

func fold(n uint64) uint32 {
	for n > 0xffff {
		n = n>>16 + n&0xffff
	}
	return uint32(n)
}

// adjust changes a checksum as its bytes changed (RFC 1624, equation 3): what
// was right is right again, what was wrong is wrong by as much. Zero stands for
// one that was left to the hardware, or for none, and stays.
func adjust(stored uint16, before, after uint32) uint16 {
	if stored == 0 || before == after {
		return stored
	}
	n := fold(uint64(^stored) + uint64(^uint16(before)) + uint64(after))
	if c := ^uint16(n); c != 0 {
		return c
	}
	return 0xffff // the other form of the same sum
}
