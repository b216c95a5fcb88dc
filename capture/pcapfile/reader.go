package pcapfile

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"goproxytrace/capture"
)

const (
	// chunkSize is how much of the stream one batch holds as a rule.
	chunkSize = 1 << 19
	// maxRecord bounds the bytes of a record or block that has to be held
	// in memory as a whole.
	maxRecord = 16 << 20
	// maxBatchPackets bounds the packets of a batch: a chunk of empty
	// records would otherwise need five times its size.
	maxBatchPackets = 16 << 10
)

// Reader reads a capture file. It implements capture.Source and
// capture.Progress.
type Reader struct {
	file  *os.File
	raw   counter
	total int64
	in    *stream
	// live is true for a pipe: records are handed out as they come.
	live bool

	format parser
	info   capture.Info

	// carry holds bytes that were read but not used by the last batch.
	carry []byte
	// want is how many bytes the parser needs to get on, at least 1.
	want int
	// offset is the position in the uncompressed stream of the first byte
	// not yet used.
	offset int64
	// skip counts bytes still to be passed over (a block nobody reads).
	skip int64
	// partial names the record that the parser needs more bytes of.
	partial string
	// inErr is the error that ended the input; io.EOF for a proper end.
	inErr error
	// err is what Read returns from now on.
	err error
	// interned holds recently seen comments.
	interned interner
}

// parser is one container format.
type parser interface {
	// parse appends the packets of buf to b and returns how many bytes it
	// used and how many it needs from there to get on; Reader.partial then
	// says of what. It may set Reader.skip to have bytes passed over, and
	// calls Reader.damage where the data makes no sense.
	parse(r *Reader, b *capture.Batch, buf []byte) (used, want int)
	// pending returns the offset of a record of which some bytes were used
	// already, or -1.
	pending() int64
}

// Open opens a capture file. A file that is no capture gives an error that
// wraps capture.ErrNotCapture; a file that is damaged opens, and Read says so.
func Open(path string) (*Reader, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	st, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, err
	}
	if st.IsDir() {
		f.Close()
		return nil, fmt.Errorf("%s: %w: it is a directory", path, capture.ErrNotCapture)
	}
	var size int64
	if st.Mode().IsRegular() {
		size = max(st.Size(), 1)
	}
	r, err := NewReader(f, size)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	r.file = f
	return r, nil
}

// NewReader reads a capture from src. size is the number of bytes of a file,
// for progress; zero says that src is a pipe: packets are then handed out as
// soon as they arrive. NewReader waits for the magic number.
func NewReader(src io.Reader, size int64) (*Reader, error) {
	r := &Reader{total: max(size, 0), live: size <= 0, want: 1}
	r.raw.r = src
	br := bufio.NewReaderSize(&r.raw, peekSize)
	in, err := openStream(br)
	if err != nil {
		return nil, err
	}
	r.in = in
	if err := r.detect(); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// detect reads the magic number and chooses the format.
func (r *Reader) detect() error {
	head := make([]byte, 0, 512)
	need := 4
	for len(head) < need {
		n, err := r.in.r.Read(head[len(head):cap(head)])
		head = head[:len(head)+n]
		if len(head) >= 4 && isSectionHeader(head) {
			need = 12
		}
		if err != nil {
			r.inErr = err
			break
		}
	}
	r.carry = head
	switch {
	case len(head) < 4 && r.inErr != nil && !errors.Is(r.inErr, io.EOF):
		if r.in.compression == "" {
			return r.inErr
		}
		// A compressed stream that breaks before anything came out.
		r.format = &pcapParser{}
		r.info.Format = "pcap"
	case isPcap(head):
		r.format = &pcapParser{}
		r.info.Format = "pcap"
	case isSectionHeader(head) && (len(head) < 12 || byteOrderKnown(head[8:])):
		r.format = newPcapngParser()
		r.info.Format = "pcapng"
	default:
		return notCapture(head, r.in.compression)
	}
	if r.in.compression != "" {
		r.info.Format += "+" + r.in.compression
	}
	return nil
}

// Read implements capture.Source.
func (r *Reader) Read(b *capture.Batch) error {
	b.Packets = b.Packets[:0]
	if r.err != nil {
		return r.err
	}
	buf := r.buffer(b)
	n := copy(buf, r.carry)
	r.carry = r.carry[:0]
	for {
		buf, n = r.fill(buf, n)
		used := r.consume(b, buf[:n])
		rest := buf[used:n]
		switch {
		case r.err != nil:
			rest = nil
		case r.inErr != nil && (r.skip > 0 || len(rest) < r.want):
			r.err = r.endError(len(rest))
			rest = nil
		}
		if len(b.Packets) > 0 {
			r.carry = append(r.carry, rest...)
			if cap(r.carry) > 2*chunkSize && len(r.carry) <= chunkSize {
				r.carry = slices.Clip(slices.Clone(r.carry))
			}
			b.Buf = buf
			return nil
		}
		if r.err != nil {
			b.Buf = buf
			return r.err
		}
		n = copy(buf, rest)
	}
}

// consume passes buf to the parser, and over what is to be skipped, until a
// batch is full or more bytes are needed.
func (r *Reader) consume(b *capture.Batch, buf []byte) (used int) {
	for r.err == nil {
		if r.skip > 0 {
			n := min(r.skip, int64(len(buf)-used))
			r.skip -= n
			r.offset += n
			used += int(n)
		}
		if r.skip > 0 || used == len(buf) {
			r.want = 1
			break
		}
		n, want := r.format.parse(r, b, buf[used:])
		used += n
		r.offset += int64(n)
		r.want = want
		if r.skip == 0 {
			break
		}
	}
	return used
}

// buffer returns the batch's memory, renewed where it is too small for the
// bytes carried over or much larger than needed.
func (r *Reader) buffer(b *capture.Batch) []byte {
	need := max(chunkSize, len(r.carry))
	if c := cap(b.Buf); c < need || c > 4*chunkSize && need <= chunkSize {
		return make([]byte, need)
	}
	return b.Buf[:cap(b.Buf)]
}

// fill reads into buf after its first n bytes: a full buffer from a file, at
// least the bytes wanted from a pipe. The buffer grows only when it is full
// and the record needs more, so that a length that lies allocates at most
// twice what was really there.
func (r *Reader) fill(buf []byte, n int) ([]byte, int) {
	idle := 0
	for r.inErr == nil {
		if r.live && n >= max(r.want, 1) {
			break
		}
		if n == len(buf) {
			if n >= r.want {
				break
			}
			grown := make([]byte, min(2*len(buf), max(r.want, len(buf)+1)))
			copy(grown, buf)
			buf = grown
		}
		m, err := r.in.r.Read(buf[n:])
		n += m
		if m > 0 {
			idle = 0
		} else if idle++; err == nil && idle > 100 {
			err = io.ErrNoProgress
		}
		if err != nil {
			r.inErr = err
		}
	}
	return buf, n
}

// endError turns the end of the input into Read's error: io.EOF at a record
// boundary of a complete stream.
func (r *Reader) endError(rest int) error {
	clean := rest == 0 && r.skip == 0 && r.format.pending() < 0
	at := 0
	if start := r.format.pending(); start >= 0 {
		at = int(start - r.offset)
	}
	switch {
	case errors.Is(r.inErr, io.EOF) && clean:
		return io.EOF
	case errors.Is(r.inErr, errTrailing) && clean:
		r.note("the file goes on with bytes that are not compressed; they were ignored")
		return io.EOF
	case errors.Is(r.inErr, io.EOF), errors.Is(r.inErr, errTrailing):
		return r.damageError(at, "the file ends in the middle of %s", r.partial)
	case r.in.compression != "" && errors.Is(r.inErr, io.ErrUnexpectedEOF):
		return r.damageError(at, "the %s stream is cut", r.in.compression)
	case r.in.compression != "":
		return r.damageError(at, "the %s stream is damaged: %v", r.in.compression, r.inErr)
	}
	return fmt.Errorf("reading at file offset %d: %w", r.offset+int64(rest), r.inErr)
}

// damage ends the reading at the record that begins at position at of the
// bytes given to parse.
func (r *Reader) damage(at int, format string, args ...any) {
	r.err = r.damageError(at, format, args...)
}

func (r *Reader) damageError(at int, format string, args ...any) *capture.DamageError {
	reason := fmt.Sprintf(format, args...)
	if r.in.compression != "" {
		reason += " (the offset counts bytes after " + r.in.compression + " decompression)"
	}
	return &capture.DamageError{
		Offset: r.offset + int64(at),
		Packet: r.info.Packets + r.info.Events + 1,
		Reason: reason,
	}
}

// maxNotes bounds Info.Notes.
const maxNotes = 64

func (r *Reader) note(format string, args ...any) {
	s := fmt.Sprintf(format, args...)
	if len(r.info.Notes) >= maxNotes || slices.Contains(r.info.Notes, s) {
		return
	}
	r.info.Notes = append(r.info.Notes, s)
}

// Info implements capture.Source.
func (r *Reader) Info() *capture.Info { return &r.info }

// Progress implements capture.Progress. Both figures count the bytes of the
// file itself, compressed or not.
func (r *Reader) Progress() (read, total int64) { return r.raw.n.Load(), r.total }

// Close implements capture.Source. It does not close a reader that was given
// to NewReader.
func (r *Reader) Close() error {
	if r.in != nil && r.in.close != nil {
		r.in.close()
		r.in.close = nil
	}
	if r.file != nil {
		f := r.file
		r.file = nil
		return f.Close()
	}
	return nil
}
