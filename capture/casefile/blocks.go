package casefile

import (
	"bytes"
	"encoding/binary"
)

// The pcapng blocks that matter when whole ones are counted (the file is
// little-endian).
const (
	blockSection   = 0x0a0d0d0a
	blockInterface = 1
	blockPacket    = 6
	blockJournal   = 9
	minBlock       = 12
)

// saved says what a file holds.
type saved struct {
	// frames counts the blocks that take a frame number.
	frames int64
	// until is the time of the latest packet or record, in Unix nanoseconds;
	// zero for none.
	until int64
	// interfaces counts the interfaces described.
	interfaces int
}

// next returns the length of the first block of b, zero where b ends before
// the block does.
func next(b []byte) int {
	if len(b) < minBlock {
		return 0
	}
	n := int(binary.LittleEndian.Uint32(b[4:]))
	if n < minBlock || n > len(b) {
		return 0
	}
	return n
}

// whole returns the length of the blocks of b that lie within its first n
// bytes as a whole.
func whole(b []byte, n int) int {
	at := 0
	for {
		step := next(b[at:])
		if step == 0 || at+step > n {
			return at
		}
		at += step
	}
}

// add counts the blocks of b.
func (s *saved) add(b []byte) {
	for n := next(b); n > 0; n = next(b) {
		typ, at := blockTime(b[:n])
		switch typ {
		case blockInterface:
			s.interfaces++
		case blockPacket, blockJournal:
			s.frames++
			s.until = max(s.until, at)
		}
		b = b[n:]
	}
}

// blockTime returns the type of the block that b begins with, and its time in
// Unix nanoseconds, zero where it has none.
func blockTime(b []byte) (typ uint32, at int64) {
	typ = binary.LittleEndian.Uint32(b)
	switch {
	case typ == blockJournal:
		at = journalTime(b[8:])
	case typ == blockPacket && len(b) >= 20:
		at = int64(uint64(binary.LittleEndian.Uint32(b[12:]))<<32 | uint64(binary.LittleEndian.Uint32(b[16:])))
	}
	return typ, at
}

// journalTime reads the time that a journal block begins with.
func journalTime(b []byte) int64 {
	b, ok := bytes.CutPrefix(b, []byte("__REALTIME_TIMESTAMP="))
	if !ok {
		return 0
	}
	us := int64(0)
	for len(b) > 0 && b[0] >= '0' && b[0] <= '9' && us < 1<<50 {
		us = us*10 + int64(b[0]-'0')
		b = b[1:]
	}
	return us * 1000
}
