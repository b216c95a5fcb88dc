package pcapfile

import (
	"encoding/binary"
	"math/bits"
)

// order is the byte order of a file or section; the zero value is
// little-endian. A boolean instead of a binary.ByteOrder keeps the loads
// inlined in the record loops.
type order bool

const bigEndian order = true

func (o order) u16(b []byte) uint16 {
	v := binary.LittleEndian.Uint16(b)
	if o {
		v = bits.ReverseBytes16(v)
	}
	return v
}

func (o order) u32(b []byte) uint32 {
	v := binary.LittleEndian.Uint32(b)
	if o {
		v = bits.ReverseBytes32(v)
	}
	return v
}

func (o order) u64(b []byte) uint64 {
	v := binary.LittleEndian.Uint64(b)
	if o {
		v = bits.ReverseBytes64(v)
	}
	return v
}

// append16, append32 and append64 are the writing counterparts.
func (o order) append16(b []byte, v uint16) []byte {
	if o {
		v = bits.ReverseBytes16(v)
	}
	return binary.LittleEndian.AppendUint16(b, v)
}

func (o order) append32(b []byte, v uint32) []byte {
	if o {
		v = bits.ReverseBytes32(v)
	}
	return binary.LittleEndian.AppendUint32(b, v)
}

func (o order) append64(b []byte, v uint64) []byte {
	if o {
		v = bits.ReverseBytes64(v)
	}
	return binary.LittleEndian.AppendUint64(b, v)
}

func pad4(n int) int { return (n + 3) &^ 3 }

func (o order) put16(b []byte, v uint16) {
	if o {
		v = bits.ReverseBytes16(v)
	}
	binary.LittleEndian.PutUint16(b, v)
}

func (o order) put32(b []byte, v uint32) {
	if o {
		v = bits.ReverseBytes32(v)
	}
	binary.LittleEndian.PutUint32(b, v)
}
