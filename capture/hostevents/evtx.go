package hostevents

import (
	"bufio"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"math"
	"time"
)

// The .evtx format as libyal's "Windows XML Event Log (EVTX)" describes it: a
// file header of 4096 bytes, then chunks of 64 KiB, each complete in itself.
const (
	evtxHeader     = 4096
	chunkSize      = 64 << 10
	chunkHeader    = 512
	recordHeader   = 24
	recordMinimum  = recordHeader + 4 // the size stands at the end again
	recordMagic    = 0x00002a2a
	flagDirty      = 1
	filetimeToUnix = 116444736000000000 // 1601 to 1970 in units of 100 ns
)

var (
	evtxMagic  = []byte("ElfFile\x00")
	chunkMagic = [8]byte([]byte("ElfChnk\x00"))
)

// evtx reads a Windows event log file.
func (l *Log) evtx(r *bufio.Reader) error {
	var head [evtxHeader]byte
	if n, err := io.ReadFull(r, head[:]); err != nil {
		l.broken(int64(n), "the file header is cut")
		return nil
	}
	if major := binary.LittleEndian.Uint16(head[38:]); major != 3 {
		l.broken(38, "version %d of the format, not 3", major)
		return nil
	}
	size := int64(binary.LittleEndian.Uint16(head[40:]))
	if size < evtxHeader {
		l.broken(40, "a file header of %d bytes", size)
		return nil
	}
	// A log that is in use, or was copied so, has an old header.
	dirty := binary.LittleEndian.Uint32(head[120:])&flagDirty != 0
	if sum := crc32.ChecksumIEEE(head[:120]); sum != binary.LittleEndian.Uint32(head[124:]) && !dirty {
		l.broken(124, "the file header's checksum is wrong")
	}
	if _, err := r.Discard(int(size - evtxHeader)); err != nil {
		l.broken(evtxHeader, "the file header is cut")
		return nil
	}
	b := &binXML{chunk: make([]byte, chunkSize)}
	for at := size; ; at += chunkSize {
		n, err := io.ReadFull(r, b.chunk)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, io.ErrUnexpectedEOF):
			l.broken(at+int64(n), "the last chunk is cut")
			clear(b.chunk[n:])
		case err != nil:
			return err
		}
		l.chunk(b, at)
		if err != nil || l.full {
			return nil
		}
	}
}

// chunk reads one chunk, which begins at an offset of the file. What was never
// written is zero.
func (l *Log) chunk(b *binXML, at int64) {
	c := b.chunk
	if [8]byte(c[:8]) == ([8]byte{}) {
		return
	}
	if [8]byte(c[:8]) != chunkMagic {
		l.broken(at, "no chunk begins here")
		return
	}
	sum := crc32.Update(crc32.ChecksumIEEE(c[:120]), crc32.IEEETable, c[128:chunkHeader])
	if sum != binary.LittleEndian.Uint32(c[124:]) {
		l.broken(at+124, "the chunk header's checksum is wrong")
	}
	end := int(min(binary.LittleEndian.Uint32(c[48:]), chunkSize))
	if end < chunkHeader {
		l.broken(at+48, "the chunk's records end at %d", end)
		return
	}
	if crc32.ChecksumIEEE(c[chunkHeader:end]) != binary.LittleEndian.Uint32(c[52:]) {
		l.broken(at+52, "the checksum of the chunk's records is wrong")
	}
	for pos := chunkHeader; pos+recordMinimum <= end; {
		if binary.LittleEndian.Uint32(c[pos:]) != recordMagic {
			l.broken(at+int64(pos), "no record begins here")
			return
		}
		size := binary.LittleEndian.Uint32(c[pos+4:])
		if size < recordMinimum || size > uint32(end-pos) {
			l.broken(at+int64(pos)+4, "a record of %d bytes", size)
			return
		}
		r := eventReader{emit: func(e *event) {
			if e.time == 0 {
				e.time = filetime(binary.LittleEndian.Uint64(c[pos+16:]))
			}
			l.event(e)
		}}
		if err := b.record(&r, pos+recordHeader, pos+int(size)-4); err != nil {
			l.broken(at+int64(pos), "%v", err)
		}
		pos += int(size)
		if l.full {
			return
		}
	}
}

// filetime returns a FILETIME in Unix nanoseconds, zero where that cannot hold
// it.
func filetime(v uint64) int64 {
	if v < filetimeToUnix || v-filetimeToUnix > math.MaxInt64/100 {
		return 0
	}
	return int64(v-filetimeToUnix) * 100
}

// timeText writes a time as event XML does.
func timeText(ns int64) string {
	if ns == 0 {
		return ""
	}
	return time.Unix(0, ns).UTC().Format("2006-01-02T15:04:05.0000000Z")
}
