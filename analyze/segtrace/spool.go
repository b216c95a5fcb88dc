package segtrace

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

// Bounds on a Spool.
const (
	// inMemory is how many bytes stay in memory before a file is made.
	inMemory = 4 << 20
	// fullTo is the size up to which every segment is kept: about fifteen
	// million. Beyond it only remarkable ones are.
	fullTo = 1 << 30
	// mostBytes is where keeping ends.
	mostBytes = 2 << 30
)

// Spool holds records. The zero Spool is ready for use; it may be written to
// and read from by one goroutine at a time.
type Spool struct {
	buf  []byte // what is not in the file yet
	file *os.File
	size int64 // bytes in the file
	err  error // of the file: nothing more is kept
	full int64 // fullTo, unless a test sets it
	most int64
}

// NewSpool returns an empty Spool.
func NewSpool() *Spool { return &Spool{full: fullTo, most: mostBytes} }

// Kinds of records. Each begins with its length in bytes, its kind and the
// connection's ID.
const (
	kindSegment = iota + 1
	kindMessage
	kindICMP
	kindRoles
)

// header is the length of what every record begins with.
const header = 1 + 1 + 8

func begin(b []byte, kind uint8, id int64) []byte {
	b = append(b, 0, kind)
	return binary.LittleEndian.AppendUint64(b, uint64(id))
}

// room reports whether another record is kept.
func (s *Spool) room(remarkable bool) bool {
	n := s.size + int64(len(s.buf))
	return s.err == nil && (n < s.full || remarkable && n < s.most)
}

// end sets the length of the record that begins at start.
func (s *Spool) end(start int) {
	s.buf[start] = uint8(len(s.buf) - start)
	if len(s.buf) < inMemory {
		return
	}
	if s.file == nil {
		f, err := os.CreateTemp("", "goproxytrace-*.trace")
		if err != nil {
			s.err = err
			return
		}
		_ = os.Remove(f.Name()) // fails on Windows, where Close removes it
		s.file = f
	}
	if _, err := s.file.WriteAt(s.buf, s.size); err != nil {
		s.err = fmt.Errorf("keeping what the segments were: %w", err)
		return
	}
	s.size += int64(len(s.buf))
	s.buf = s.buf[:0]
}

const (
	bitClient = 1 << iota // direction 1, until the roles are known
	bitIPID
	bitCopy
)

// Segment keeps a segment of direction dir of a connection.
func (s *Spool) Segment(id int64, dir uint8, v *Segment) {
	if !s.room(v.Remarkable()) {
		return
	}
	start := len(s.buf)
	b := begin(s.buf, kindSegment, id)
	le := binary.LittleEndian
	b = le.AppendUint64(b, uint64(v.Frame))
	b = le.AppendUint64(b, uint64(v.Time))
	b = le.AppendUint32(b, v.Seq)
	b = le.AppendUint32(b, v.Ack)
	b = le.AppendUint32(b, v.Len)
	b = le.AppendUint32(b, v.Window)
	b = le.AppendUint64(b, uint64(v.RTT))
	b = le.AppendUint32(b, uint32(v.Findings))
	b = le.AppendUint16(b, v.Flags)
	b = le.AppendUint16(b, v.IPID)
	bits := dir & 1
	if v.HasIPID {
		bits |= bitIPID
	}
	if v.Copy {
		bits |= bitCopy
	}
	b = append(b, v.TTL, bits)
	for i := range min(int(v.SACKCount), len(v.SACK)) {
		b = le.AppendUint32(b, v.SACK[i][0])
		b = le.AppendUint32(b, v.SACK[i][1])
	}
	s.buf = b
	s.end(start)
}

// segmentLen is the length of a segment's record without SACK blocks.
const segmentLen = header + 8 + 8 + 4*4 + 8 + 4 + 2 + 2 + 1 + 1

func readSegment(r []byte, client uint8) (v Segment) {
	le := binary.LittleEndian
	b := r[header:]
	v.Frame, v.Time = int64(le.Uint64(b)), int64(le.Uint64(b[8:]))
	v.Seq, v.Ack, v.Len, v.Window = le.Uint32(b[16:]), le.Uint32(b[20:]), le.Uint32(b[24:]), le.Uint32(b[28:])
	v.RTT = int64(le.Uint64(b[32:]))
	v.Findings = flags(le.Uint32(b[40:]))
	v.Flags, v.IPID = le.Uint16(b[44:]), le.Uint16(b[46:])
	v.TTL = b[48]
	bits := b[49]
	v.FromClient, v.HasIPID, v.Copy = bits&1 == client, bits&bitIPID != 0, bits&bitCopy != 0
	for b = b[50:]; len(b) >= 8; b = b[8:] {
		v.SACK[v.SACKCount] = [2]uint32{le.Uint32(b), le.Uint32(b[4:])}
		v.SACKCount++
	}
	return v
}

// Message keeps a TLS message of direction dir.
func (s *Spool) Message(id int64, dir uint8, v *Message) {
	if !s.room(v.readable()) {
		return
	}
	start := len(s.buf)
	b := begin(s.buf, kindMessage, id)
	le := binary.LittleEndian
	b = le.AppendUint64(b, uint64(v.Frame))
	b = le.AppendUint64(b, uint64(v.Time))
	b = le.AppendUint32(b, v.Seq)
	b = le.AppendUint32(b, v.End)
	s.buf = append(b, uint8(v.Kind), v.Type, dir&1)
	s.end(start)
}

func readMessage(r []byte, client uint8) Message {
	le := binary.LittleEndian
	b := r[header:]
	return Message{
		Frame: int64(le.Uint64(b)), Time: int64(le.Uint64(b[8:])), Seq: le.Uint32(b[16:]), End: le.Uint32(b[20:]),
		Kind: kind(b[24]), Type: b[25], FromClient: b[26] == client,
	}
}

// ICMP keeps an ICMP error about a connection.
func (s *Spool) ICMP(id int64, v ICMP) {
	if !s.room(true) {
		return
	}
	start := len(s.buf)
	b := begin(s.buf, kindICMP, id)
	b = binary.LittleEndian.AppendUint64(b, uint64(v.Frame))
	b = binary.LittleEndian.AppendUint64(b, uint64(v.Time))
	s.buf = append(b, v.TTL)
	s.end(start)
}

// Roles says that the client sends direction client of a connection, of which
// no more will come.
func (s *Spool) Roles(id int64, client uint8) {
	if !s.room(true) {
		return
	}
	start := len(s.buf)
	s.buf = append(begin(s.buf, kindRoles, id), client&1)
	s.end(start)
}

// Err says why nothing more is kept, nil where everything is.
func (s *Spool) Err() error { return s.err }

// Full reports whether the bound on the size was reached.
func (s *Spool) Full() bool { return s.size+int64(len(s.buf)) >= s.full }

// records calls fn with each record in the order of writing.
func (s *Spool) records(fn func(kind uint8, id int64, r []byte)) error {
	split := func(b []byte) []byte {
		for len(b) > 0 && int(b[0]) <= len(b) {
			n := int(b[0])
			if n < header {
				return nil
			}
			fn(b[1], int64(binary.LittleEndian.Uint64(b[2:])), b[:n])
			b = b[n:]
		}
		return b
	}
	if s.file != nil {
		chunk := make([]byte, 0, 256<<10)
		for at := int64(0); at < s.size; {
			n, err := s.file.ReadAt(chunk[len(chunk):min(int64(cap(chunk)), int64(len(chunk))+s.size-at)], at)
			if err != nil && !errors.Is(err, io.EOF) {
				return fmt.Errorf("reading what the segments were: %w", err)
			}
			if n == 0 {
				return fmt.Errorf("reading what the segments were: %w", io.ErrUnexpectedEOF)
			}
			at += int64(n)
			rest := split(chunk[:len(chunk)+n])
			chunk = append(chunk[:0], rest...)
		}
	}
	split(s.buf)
	return nil
}

// Close removes the temporary file, if there is one.
func (s *Spool) Close() error {
	if s == nil || s.file == nil {
		return nil
	}
	name := s.file.Name()
	err := s.file.Close()
	_ = os.Remove(name) // already gone where open files can be removed
	s.file = nil
	return err
}
