// Package pcapcopy makes captures that differ from another one in nothing but their
// times: as many as a test or a measurement needs.
package pcapcopy

import (
	"encoding/binary"
	"errors"
)

// Blocks of pcapng (draft-ietf-opsawg-pcapng, 4).
const (
	sectionHeader       = 0x0a0d0d0a
	interfaceStatistics = 5
	enhancedPacket      = 6
)

// Shift returns a copy of a little-endian pcapng file in which all times of packets
// and of interface statistics are later by a number of the interfaces' units.
func Shift(b []byte, units uint64) ([]byte, error) {
	out := append([]byte(nil), b...)
	le := binary.LittleEndian
	if len(out) < 12 || le.Uint32(out) != sectionHeader || le.Uint32(out[8:]) != 0x1a2b3c4d {
		return nil, errors.New("it is no little-endian pcapng file")
	}
	for rest := out; len(rest) >= 12; {
		kind, n := le.Uint32(rest), int(le.Uint32(rest[4:]))
		if n < 12 || n > len(rest) {
			break // the file is cut
		}
		if (kind == enhancedPacket || kind == interfaceStatistics) && n >= 24 {
			t := uint64(le.Uint32(rest[12:]))<<32 | uint64(le.Uint32(rest[16:]))
			t += units
			le.PutUint32(rest[12:], uint32(t>>32))
			le.PutUint32(rest[16:], uint32(t))
		}
		rest = rest[n:]
	}
	return out, nil
}
