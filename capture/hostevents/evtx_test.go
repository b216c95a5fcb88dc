package hostevents

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"goproxytrace/capture/hostlog"
)

const at = int64(1442893611662750400) // 2015-09-22T03:46:51.6627504Z

var sameAddr = cmpopts.EquateComparable(netip.AddrPort{})

// logOf is a log of n blocked connections in each of some chunks.
func logOf(chunks, n int) *evtxFile {
	w := &evtxFile{}
	for range chunks {
		for i := range n {
			w.blockedConnection(at+int64(i)*1e9, 4556, "10.0.0.10", "49218", "203.0.113.9", "443")
		}
		w.finish()
	}
	return w
}

func wantBlocked(i int) *hostlog.Block {
	return &hostlog.Block{
		Time: at + int64(i)*1e9, Action: hostlog.Blocked, PID: 4556, Path: `\device\harddiskvolume3\go\bin\go.exe`,
		Local: netip.MustParseAddrPort("10.0.0.10:49218"), Remote: netip.MustParseAddrPort("203.0.113.9:443"),
		Origin: "Security 5157", Rule: "filter 68893", Layer: "ALE_AUTH_CONNECT_V4",
	}
}

func blocksIn(records []hostlog.Record) (out []*hostlog.Block) {
	for _, r := range records {
		if b, ok := r.(*hostlog.Block); ok {
			out = append(out, b)
		}
	}
	return out
}

func TestEvtx(t *testing.T) {
	file := logOf(2, 3).bytes()
	if out := os.Getenv("EVTX_OUT"); out != "" {
		if err := os.WriteFile(out, file, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var l Log
	if err := l.Add(bytes.NewReader(file)); err != nil {
		t.Fatal(err)
	}
	got := blocksIn(l.Records())
	if len(got) != 6 {
		t.Fatalf("%d records of blocked connections, want 6", len(got))
	}
	if diff := cmp.Diff(wantBlocked(2), got[5], sameAddr); diff != "" {
		t.Error(diff)
	}
}

// TestEvtxDamage wants everything that lies outside the damage, and its place.
func TestEvtxDamage(t *testing.T) {
	const first = evtxHeader + chunkHeader
	le := binary.LittleEndian
	for name, c := range map[string]struct {
		damage func(b []byte) []byte
		offset int64
		blocks int
	}{
		"cut in the file header":  {func(b []byte) []byte { return b[:100] }, 100, 0},
		"cut in the second chunk": {func(b []byte) []byte { return b[:evtxHeader+chunkSize+200] }, evtxHeader + chunkSize + 200, 3},
		"a record's size":         {func(b []byte) []byte { le.PutUint32(b[first+4:], 1<<31); seal(b[evtxHeader:][:chunkSize]); return b }, first + 4, 3},
		"a record's beginning":    {func(b []byte) []byte { b[first] = 0; seal(b[evtxHeader:][:chunkSize]); return b }, first, 3},
		"a chunk's beginning":     {func(b []byte) []byte { b[evtxHeader] = 'x'; return b }, evtxHeader, 3},
		"a checksum": {func(b []byte) []byte {
			b[evtxHeader+52]++
			seal(b[evtxHeader:][:chunkSize])
			b[evtxHeader+52]++
			return b
		}, evtxHeader + 124, 6},
		"another version": {func(b []byte) []byte { b[38] = 9; return b }, 38, 0},
		// A template that stands outside the chunk spoils the record it begins
		// in, and those after it that use it.
		"a template's place": {func(b []byte) []byte {
			le.PutUint32(b[first+recordHeader+4+6:], 1<<30)
			seal(b[evtxHeader:][:chunkSize])
			return b
		}, first, 3},
	} {
		var l Log
		err := l.Add(bytes.NewReader(c.damage(logOf(2, 3).bytes())))
		var damage *DamageError
		if !errors.As(err, &damage) || damage.Offset != c.offset {
			t.Errorf("%s: error %v, want damage at %d", name, err, c.offset)
		}
		if n := len(blocksIn(l.Records())); n < c.blocks {
			t.Errorf("%s: %d blocked connections, want %d", name, n, c.blocks)
		}
	}
	// The innocent look-alike: chunks that were never written, and the header of
	// a log in use.
	b := logOf(1, 3).bytes()
	b = append(b, make([]byte, 2*chunkSize)...)
	b[120] |= flagDirty
	var l Log
	if err := l.Add(bytes.NewReader(b)); err != nil || len(blocksIn(l.Records())) != 3 {
		t.Errorf("empty chunks: %v, %d records", err, len(l.Records()))
	}
}

// TestEvtxLoops wants an end to templates that contain themselves.
func TestEvtxLoops(t *testing.T) {
	w := &evtxFile{}
	w.begin()
	begin := len(w.c)
	w.u32(recordMagic)
	w.u32(0)
	w.u64(1)
	w.u64(toFiletime(at))
	// The value of the template is an instance of the same template.
	var inner func(depth int)
	root := part{name: "Event", text: "%0", typ: typeBinXML}
	inner = func(depth int) {
		if depth < 100 {
			w.instance("loop", root, []cell{{typ: typeBinXML, write: func() { inner(depth + 1) }}})
		}
	}
	inner(0)
	w.u8(tokenEOF)
	size := uint32(len(w.c) - begin + 4)
	binary.LittleEndian.PutUint32(w.c[begin+4:], size)
	w.u32(size)
	var l Log
	if err := l.Add(bytes.NewReader(w.bytes())); err == nil || !strings.Contains(err.Error(), "nested more than") {
		t.Errorf("error %v", err)
	}
}

func TestValueText(t *testing.T) {
	for _, c := range []struct {
		typ  uint8
		in   []byte
		want string
	}{
		{typeHex64, []byte{0xcc, 0x11, 0, 0, 0, 0, 0, 0}, "0x11cc"},
		{typeInt32, []byte{0xff, 0xff, 0xff, 0xff}, "-1"},
		{typeBool, []byte{1, 0, 0, 0}, "true"},
		{typeGUID, []byte{0x25, 0x96, 0x84, 0x54, 0x78, 0x54, 0x94, 0x49, 0xa5, 0xba, 0x3e, 0x3b, 0x03, 0x28, 0xc3, 0x0d}, "{54849625-5478-4994-A5BA-3E3B0328C30D}"},
		{typeSID, []byte{1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0}, "S-1-5-18"},
		{typeSID, []byte{1, 200, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0}, ""},
		{typeUint32, []byte{1, 2}, ""},
		{typeString | typeArray, []byte{'a', 0, 0, 0, 'b', 0, 0, 0}, "a\nb"},
		{typeUint16 | typeArray, []byte{1, 0, 2, 0}, "1\n2"},
		{typeFileTime, binary.LittleEndian.AppendUint64(nil, toFiletime(at)), "2015-09-22T03:46:51.6627504Z"},
		{0x7f, []byte{1}, ""},
	} {
		if got := valueText(c.typ, c.in); got != c.want {
			t.Errorf("type %#x of % x: %q, want %q", c.typ, c.in, got, c.want)
		}
	}
}

func FuzzEvtx(f *testing.F) {
	whole := logOf(1, 2).bytes()
	f.Add(whole[evtxHeader:][:4096])
	f.Add(whole[evtxHeader:][:chunkHeader+40])
	f.Fuzz(func(t *testing.T, chunk []byte) {
		// Checksums are made right, so that the fuzzer reaches what is behind.
		c := make([]byte, chunkSize)
		copy(c, chunk)
		copy(c, chunkMagic[:])
		if end := binary.LittleEndian.Uint32(c[48:]); end < chunkHeader || end > chunkSize {
			binary.LittleEndian.PutUint32(c[48:], chunkSize)
		}
		seal(c)
		var l Log
		_ = l.Add(bytes.NewReader(append(bytes.Clone(whole[:evtxHeader]), c...)))
		for _, r := range l.Records() {
			if _, err := hostlog.Parse(hostlog.Fields(r)); err != nil {
				t.Fatalf("%#v: %v", r, err)
			}
		}
	})
}
