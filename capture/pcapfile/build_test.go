package pcapfile

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"io"
	"testing"

	"github.com/klauspost/compress/zstd"

	"goproxytrace/capture"
)

// The functions below build captures byte by byte, right or wrong.

func cat(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// words lays out 16-bit (uint16), 32-bit (uint32, int) and 64-bit (uint64)
// values and raw bytes in the given order.
func words(o order, values ...any) []byte {
	var b []byte
	for _, v := range values {
		switch v := v.(type) {
		case uint16:
			b = o.append16(b, v)
		case int:
			b = o.append32(b, uint32(v))
		case uint32:
			b = o.append32(b, v)
		case uint64:
			b = o.append64(b, v)
		case []byte:
			b = append(b, v...)
		case string:
			b = append(b, v...)
		default:
			panic(v)
		}
	}
	return b
}

func padded(b []byte) []byte { return append(bytes.Clone(b), make([]byte, pad4(len(b))-len(b))...) }

func blockOf(o order, typ uint32, body []byte) []byte {
	body = padded(body)
	n := minBlock + len(body)
	return words(o, typ, n, body, n)
}

// lyingBlock has the lengths given, whatever its body.
func lyingBlock(o order, typ uint32, body []byte, first, second uint32) []byte {
	return words(o, typ, first, padded(body), second)
}

func opt(o order, code uint16, value string) []byte {
	return words(o, code, uint16(len(value)), padded([]byte(value)))
}

func shb(o order, opts ...[]byte) []byte {
	return blockOf(o, blockSection, words(o, byteOrderMagic, uint16(1), uint16(0), uint64(1<<64-1), cat(opts...)))
}

func idb(o order, link uint16, snap int, opts ...[]byte) []byte {
	return blockOf(o, blockInterface, words(o, link, uint16(0), snap, cat(opts...)))
}

// at is the time that the built packets carry, in microseconds.
const at = uint64(1_600_000_000_123_456)

var payload = []byte("\x02\x00\x00\x00\x00\x01\x02\x00\x00\x00\x00\x02\x88\xb5payload")

func epbBody(o order, iface int, ts uint64, data []byte, orig int, opts ...[]byte) []byte {
	return words(o, iface, uint32(ts>>32), uint32(ts), len(data), orig, padded(data), cat(opts...))
}

func epb(o order, iface int, ts uint64, data []byte, opts ...[]byte) []byte {
	return blockOf(o, blockEnhanced, epbBody(o, iface, ts, data, len(data), opts...))
}

func spb(o order, data []byte, orig int) []byte {
	return blockOf(o, blockSimple, words(o, orig, data))
}

func pb(o order, iface uint16, drops uint16, ts uint64, data []byte) []byte {
	return blockOf(o, blockPacket, words(o, iface, drops, uint32(ts>>32), uint32(ts), len(data), len(data), data))
}

func pcapHeader(o order, magic uint32, major, minor uint16, snap, network int) []byte {
	return words(o, magic, major, minor, 0, 0, snap, network)
}

func record(o order, sec, frac, incl, orig int, rest ...[]byte) []byte {
	return words(o, sec, frac, incl, orig, cat(rest...))
}

func repeat(b []byte, n int) []byte { return bytes.Repeat(b, n) }

func gzipped(b []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	w.Write(b)
	w.Close()
	return out.Bytes()
}

func zstded(tb testing.TB, b []byte) []byte {
	tb.Helper()
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		tb.Fatal(err)
	}
	defer enc.Close()
	return enc.EncodeAll(b, nil)
}

// plainPcap is an undamaged file of n packets with rising lengths.
func plainPcap(n int) []byte {
	b := pcapHeader(false, magicMicro, 2, 4, 65535, 1)
	for i := range n {
		data := repeat([]byte{byte(i)}, 14+i%50)
		b = append(b, record(false, 1_600_000_000+i, i, len(data), len(data)+i%3, data)...)
	}
	return b
}

// plainPcapng is the same as pcapng, with a comment on each packet.
func plainPcapng(n int) []byte {
	b := cat(shb(false), idb(false, 1, 0, opt(false, optIfName, "eth0")))
	for i := range n {
		data := repeat([]byte{byte(i)}, 14+i%50)
		b = append(b, epb(false, 0, at+uint64(i), data, opt(false, optComment, "PID=7 TID=8"), opt(false, optEnd, ""))...)
	}
	return b
}

// readBytes reads a capture from memory as a file.
func readBytes(data []byte) ([]frame, *capture.Info, error) {
	r, err := NewReader(bytes.NewReader(data), int64(max(len(data), 1)))
	if err != nil {
		return nil, nil, err
	}
	defer r.Close()
	return drain(r)
}

// wantDamage reads data, expects n records and then damage at the offset.
func wantDamage(t *testing.T, data []byte, n int, offset int64) {
	t.Helper()
	frames, _, err := readBytes(data)
	var d *capture.DamageError
	if !errors.As(err, &d) {
		t.Fatalf("error %v, want damage", err)
	}
	if len(frames) != n || d.Packet != int64(n)+1 || d.Offset != offset {
		t.Errorf("%d records, then %v; want %d and offset %d", len(frames), d, n, offset)
	}
}

// chunks is a pipe: each Read returns at most n bytes.
type chunks struct {
	b []byte
	n int
}

func (c *chunks) Read(p []byte) (int, error) {
	if len(c.b) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), c.n)], c.b)
	c.b = c.b[n:]
	return n, nil
}

func le32(b []byte) uint32 { return binary.LittleEndian.Uint32(b) }
