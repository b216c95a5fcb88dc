package pcapfile

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"unicode/utf8"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"goproxytrace/capture"
)

// peekSize is the read-ahead in front of the decompressors and of the format
// detection; larger reads bypass it.
const peekSize = 64 << 10

// maxWindow bounds the zstd window, and with it the decoder's memory. zstd
// itself writes more than 8 MiB only when asked to (--long, --ultra).
const maxWindow = 32 << 20

// counter counts what was read from the file itself, for progress.
type counter struct {
	r io.Reader
	n atomic.Int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n.Add(int64(n))
	return n, err
}

// stream is the input after decompression.
type stream struct {
	r io.Reader
	// compression is "", "gzip" or "zstd".
	compression string
	close       func()
}

// openStream finds out by magic number whether raw is compressed.
func openStream(raw *bufio.Reader) (*stream, error) {
	head, err := raw.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	switch {
	case len(head) >= 2 && head[0] == 0x1f && head[1] == 0x8b:
		return &stream{r: &gzipReader{src: raw}, compression: "gzip"}, nil
	case isZstd(head):
		dec, err := zstd.NewReader(raw,
			zstd.WithDecoderConcurrency(1),
			zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, fmt.Errorf("zstd: %w", err)
		}
		return &stream{r: dec, compression: "zstd", close: dec.Close}, nil
	}
	return &stream{r: raw}, nil
}

// Decompress returns what r holds, decompressed where it begins as gzip or zstd
// does. Closing it does not close r.
func Decompress(r io.Reader) (io.ReadCloser, error) {
	s, err := openStream(bufio.NewReaderSize(r, peekSize))
	if err != nil {
		return nil, err
	}
	return decompressed{s}, nil
}

type decompressed struct{ *stream }

func (d decompressed) Read(p []byte) (int, error) { return d.r.Read(p) }

func (d decompressed) Close() error {
	if d.stream.close != nil {
		d.stream.close()
	}
	return nil
}

func isZstd(head []byte) bool {
	if len(head) < 4 {
		return false
	}
	m := binary.LittleEndian.Uint32(head)
	// A zstd frame, or a skippable frame before it (RFC 8878, 3.1.2).
	return m == 0xfd2fb528 || m&^0xf == 0x184d2a50
}

// errTrailing says that bytes which are no gzip member follow the last one.
// gzip itself ignores them, with a warning.
var errTrailing = errors.New("bytes after the end of the compressed data")

// gzipReader opens the gzip header at the first Read, so that a cut header
// is an error of the stream and not of its opening.
type gzipReader struct {
	src *bufio.Reader
	z   *gzip.Reader
	any bool
}

func (g *gzipReader) Read(p []byte) (int, error) {
	if g.z == nil {
		z, err := gzip.NewReader(g.src)
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return 0, err
		}
		z.Multistream(false)
		g.z = z
	}
	for {
		n, err := g.z.Read(p)
		if n > 0 || !errors.Is(err, io.EOF) {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return n, err
		}
		// The end of one member: another one, nothing, or something else.
		head, _ := g.src.Peek(2)
		switch {
		case len(head) == 0:
			return 0, io.EOF
		case len(head) < 2 || head[0] != 0x1f || head[1] != 0x8b:
			return 0, errTrailing
		}
		if err := g.z.Reset(g.src); err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return 0, err
		}
		g.z.Multistream(false)
	}
}

// foreign holds the beginnings of files that are often mistaken for captures.
var foreign = []struct{ magic, name string }{
	{"snoop\x00\x00\x00", "a snoop capture"},
	{"btsnoop\x00", "a btsnoop Bluetooth capture"},
	{"RTSS", "a Microsoft Network Monitor 1.x capture"},
	{"GMBU", "a Microsoft Network Monitor 2.x capture"},
	{"TRSNIFF data    \x1a", "a DOS Sniffer capture"},
	{"XCP\x00", "a NetXRay or Windows Sniffer capture"},
	{"iptrace 1.0", "an AIX iptrace capture"},
	{"iptrace 2.0", "an AIX iptrace capture"},
	{"\x54\x52\x00\x64\x00", "an HP-UX nettl trace"},
	{"\x04\x22\x4d\x18", "lz4-compressed data"},
	{"\xfd7zXZ\x00", "xz-compressed data"},
	{"BZh", "bzip2-compressed data"},
	{"PK\x03\x04", "a zip archive"},
	{"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"},
	{"\x7fELF", "an ELF program"},
	{"MZ", "a Windows program"},
	{"<!DOCTYPE", "an HTML page"},
	{"<html", "an HTML page"},
	{"version https://git-lfs", "a Git LFS pointer"},
}

// notCapture explains what an input without a known magic number looks like.
func notCapture(head []byte, compression string) error {
	what := describe(head)
	if compression != "" {
		what = compression + " data that holds " + what
	}
	return fmt.Errorf("%w: it looks like %s", capture.ErrNotCapture, what)
}

func describe(head []byte) string {
	if len(head) == 0 {
		return "an empty file"
	}
	for _, f := range foreign {
		if bytes.HasPrefix(head, []byte(f.magic)) {
			return f.name
		}
	}
	switch {
	case looksLikeETL(head):
		return "a Windows event trace (ETL; etl2pcapng or pktmon etl2pcap converts it)"
	case looksLikeERF(head):
		return "an ERF capture"
	case looksLikeText(head):
		return "text"
	}
	n := min(len(head), 8)
	return fmt.Sprintf("data that begins with the bytes % x", head[:n])
}

// looksLikeETL checks the WMI_BUFFER_HEADER at the start of an event trace
// log: its size, two offsets within it, and the buffer type "header" (4).
func looksLikeETL(b []byte) bool {
	if len(b) < 0x38 {
		return false
	}
	size := binary.LittleEndian.Uint32(b)
	return size >= 1<<10 && size <= 1<<24 && size%1024 == 0 &&
		binary.LittleEndian.Uint32(b[4:]) <= size &&
		binary.LittleEndian.Uint32(b[8:]) <= size &&
		binary.LittleEndian.Uint16(b[0x36:]) == 4
}

// looksLikeERF checks the first record header of an ERF file: a known type,
// a record length that holds the header, a wire length that is plausible.
func looksLikeERF(b []byte) bool {
	if len(b) < 16 {
		return false
	}
	typ := b[8] & 0x7f
	rlen := int(binary.BigEndian.Uint16(b[10:]))
	wlen := int(binary.BigEndian.Uint16(b[14:]))
	sec := binary.LittleEndian.Uint32(b[4:])
	return typ >= 1 && typ <= 48 && rlen >= 16 && rlen%8 == 0 &&
		wlen > 0 && wlen < 16384 && sec > 600_000_000 && sec < 3_000_000_000
}

func looksLikeText(b []byte) bool {
	// The last character may be cut.
	for cut := 0; cut < utf8.UTFMax && len(b) > 1 && !utf8.Valid(b); cut++ {
		b = b[:len(b)-1]
	}
	if !utf8.Valid(b) {
		return false
	}
	for _, c := range b {
		if c < 0x20 && c != '\n' && c != '\r' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}
