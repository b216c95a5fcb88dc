package analyze

import (
	"encoding/json"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"goproxytrace/analyze/diagnose"
	"goproxytrace/capture"
)

// randomConnection returns a connection with every kind of field filled at random.
func randomConnection(rng *rand.Rand, id int64) *Connection {
	text := func() string {
		b := make([]rune, rng.IntN(12))
		for i := range b {
			b[i] = []rune("a.ü\x1b\u202e<&>\\\"\n\t\u2028\x00\U0001f4a3")[rng.IntN(15)]
		}
		return string(b)
	}
	duration := func() *float64 {
		if rng.IntN(3) == 0 {
			return nil
		}
		return ms(rng.Int64N(1 << 40))
	}
	frames := func() (l []int64) {
		for range rng.IntN(4) {
			l = append(l, rng.Int64())
		}
		return l
	}
	at := func() time.Time { return capture.Timestamp(rng.Int64N(1 << 62)) }
	c := &Connection{
		ID: id, Client: text(), Server: text(), ServerName: text(), FirstFrame: rng.Int64(), LastFrame: rng.Int64(),
		Start: at(), Duration: rng.Float64() * 1e9, Target: rng.IntN(2) == 0,
		Stages: Stages{DNS: duration(), Connect: duration(), TLS: duration(), TLSStart: duration(), FirstByte: duration(), Transfer: duration(), Quiet: duration()},
		Bytes:  Bytes{rng.Uint64(), rng.Uint64()},
		TCP:    TCP{Packets: rng.Uint64(), Retransmissions: rng.Uint32(), ResetsFromClient: uint16(rng.Uint32()), HandshakeRTT: duration(), SACK: rng.IntN(2) == 0},
		Verdict: diagnose.Verdict{
			Class: diagnose.Class(text()), Place: []diagnose.Place{diagnose.Host}, Level: diagnose.Proven,
			Values:   []diagnose.Value{diagnose.Text("host", text()), diagnose.Dur("after", rng.Int64())},
			Evidence: []diagnose.Evidence{{ID: text(), Frames: frames()}},
		},
	}
	if rng.IntN(2) == 0 {
		scale := int8(rng.IntN(15))
		c.TCP.ClientScale = &scale
		c.Process = &Process{PID: rng.Uint32(), Name: text(), Source: text(), Confidence: "exact"}
	}
	if rng.IntN(2) == 0 {
		c.TLS = &TLS{
			Version: text(), ClientHelloFrames: frames(), Extensions: []uint16{uint16(rng.Uint32())},
			Alerts:       []Alert{{From: "server", Number: uint8(rng.Uint32()), Frame: rng.Int64()}},
			Certificates: []Certificate{{Subject: text(), NotBefore: at()}, {Names: []string{text()}}},
		}
	}
	if rng.IntN(2) == 0 {
		c.Proxy = &Proxy{Target: text(), Status: rng.IntN(600)}
		c.ICMP = []ICMP{{From: text(), Type: 3, Code: 13, MTU: rng.Uint32()}}
	}
	return c
}

// TestStoreIsLossless holds that a connection comes back as it was put in,
// whether it stayed in memory or went to the disk.
func TestStoreIsLossless(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 3))
	s := NewStore()
	defer s.Close()
	const n = inMemory + 3000
	ids := rng.Perm(3 * n)[:n] // not in order, with holes
	want := make(map[int64]*Connection, n)
	for _, id := range ids {
		c := randomConnection(rng, int64(id))
		if id%1000 == 7 { // longer than what is read at once
			c.Verdict.Notes = []string{strings.Repeat("long", 100_000)}
		}
		want[c.ID] = c
		s.Add(c)
	}
	s.settle()
	if s.file == nil || s.err != nil || s.size == 0 || len(s.buf) == 0 {
		t.Fatalf("the file is not in use: %v, %d bytes written, %d waiting, error %v", s.file != nil, s.size, len(s.buf), s.err)
	}
	if len(s.memory) != inMemory {
		t.Errorf("%d connections in memory, want %d", len(s.memory), inMemory)
	}
	slices.Sort(ids)
	for round := range 2 { // reading changes nothing
		i := 0
		for c, err := range s.All() {
			if err != nil {
				t.Fatal(err)
			}
			if c.ID != int64(ids[i]) {
				t.Fatalf("round %d: connection %d is number %d, want %d", round, i, c.ID, ids[i])
			}
			if w := want[c.ID]; !reflect.DeepEqual(c, w) {
				t.Fatalf("connection %d differs:\n%+v\n%+v", c.ID, c, w)
			}
			i++
		}
		if i != n || s.Len() != n {
			t.Errorf("%d connections, Len %d, want %d", i, s.Len(), n)
		}
	}
	i, encoded := 0, 0
	for h, err := range s.Held() {
		if err != nil {
			t.Fatal(err)
		}
		if (h.Connection == nil) == (h.JSON == nil) {
			t.Fatalf("connection %d is held twice or not at all", ids[i])
		}
		if h.JSON != nil {
			encoded++
			if b, err := json.Marshal(want[int64(ids[i])]); err != nil || string(b) != string(h.JSON) {
				t.Fatalf("connection %d: %s, %v; want %s", ids[i], h.JSON, err, b)
			}
		}
		c, err := h.Decode()
		if err != nil || !reflect.DeepEqual(c, want[int64(ids[i])]) {
			t.Fatalf("connection %d differs: %v", ids[i], err)
		}
		i++
	}
	if i != n || encoded != n-inMemory {
		t.Errorf("%d connections, %d of them encoded", i, encoded)
	}
}

// TestStoreStops holds that iteration ends where the caller ends it.
func TestStoreStops(t *testing.T) {
	s := NewStore()
	defer s.Close()
	for i := range int64(inMemory + 10) {
		s.Add(&Connection{ID: i})
	}
	for _, stop := range []int{1, inMemory, inMemory + 5} {
		n := 0
		for range s.All() {
			if n++; n == stop {
				break
			}
		}
		m := 0
		for range s.Held() {
			if m++; m == stop {
				break
			}
		}
		if n != stop || m != stop {
			t.Errorf("stopped after %d and %d, want %d", n, m, stop)
		}
	}
}

// setTemp makes dir the directory of temporary files.
func setTemp(t *testing.T, dir string) {
	t.Helper()
	for _, name := range []string{"TMPDIR", "TMP", "TEMP"} {
		t.Setenv(name, dir)
	}
}

// TestStoreWithoutDisk holds that nothing is lost where no file can be made.
func TestStoreWithoutDisk(t *testing.T) {
	setTemp(t, filepath.Join(t.TempDir(), "absent"))
	s := NewStore()
	defer s.Close()
	const n = inMemory + 500
	for i := range int64(n) {
		s.Add(&Connection{ID: i})
	}
	s.settle()
	if !errors.Is(s.err, fs.ErrNotExist) {
		t.Fatalf("error %v: the disk was there", s.err)
	}
	next := int64(0)
	for c, err := range s.All() {
		if err != nil || c.ID != next {
			t.Fatalf("connection %v, error %v; want %d", c, err, next)
		}
		next++
	}
	if next != n || s.Len() != n {
		t.Errorf("%d connections, Len %d, want %d", next, s.Len(), n)
	}
}

// TestStoreDiskFails holds that nothing is lost where the file can no longer
// be written to: what waited to be written is still there too.
func TestStoreDiskFails(t *testing.T) {
	setTemp(t, t.TempDir())
	s := NewStore()
	defer s.Close()
	rng := rand.New(rand.NewPCG(5, 5))
	id := int64(0)
	var want []*Connection
	add := func() {
		c := randomConnection(rng, id)
		id++
		want = append(want, c)
		s.Add(c)
		s.settle()
	}
	for s.size == 0 {
		add()
	}
	// The same file, read only: what was written stays readable.
	name := filepath.Join(t.TempDir(), "readonly")
	content := make([]byte, s.size)
	if _, err := s.file.ReadAt(content, 0); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
	readOnly, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	_ = s.Close()
	s.file = readOnly
	for s.err == nil {
		add()
	}
	for range 10 {
		add()
	}
	i := 0
	for c, err := range s.All() {
		if err != nil || !reflect.DeepEqual(c, want[i]) {
			t.Fatalf("connection %d differs, error %v", i, err)
		}
		i++
	}
	if i != len(want) || s.Len() != len(want) {
		t.Errorf("%d connections, Len %d, want %d", i, s.Len(), len(want))
	}
}

// TestStoreClose holds that no file is left behind, and that a closed store
// says that it cannot read.
func TestStoreClose(t *testing.T) {
	dir := t.TempDir()
	setTemp(t, dir)
	s := NewStore()
	const n = 3 * inMemory
	for i := range int64(n) {
		s.Add(&Connection{ID: i, ServerName: strings.Repeat("x", 100)})
	}
	if s.size == 0 {
		t.Fatal("the file is not in use")
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*")); runtime.GOOS != "windows" && len(left) > 0 {
		t.Errorf("while open there is %q: a killed process would leave it", left)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("closing twice: %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
	var last error
	for _, err := range s.All() {
		last = err
	}
	if last == nil {
		t.Error("a closed store read its file")
	}
}

// TestStoreEmpty holds that a store without connections yields none.
func TestStoreEmpty(t *testing.T) {
	s := NewStore()
	for range s.All() {
		t.Error("a connection out of nowhere")
	}
	if err := s.Close(); err != nil || s.Len() != 0 {
		t.Errorf("length %d, error %v", s.Len(), err)
	}
}
