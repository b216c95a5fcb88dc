package analyze

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"goproxytrace/capture"
	"goproxytrace/capture/pcapfile"
	"goproxytrace/internal/corpus"
)

const (
	// damageMemory bounds the heap for each damaged file that is being read,
	// with as much garbage as memory in use.
	damageMemory = 256 * mib
	// damageTime is far beyond what any of these files takes: it only tells
	// a hang from slow work.
	damageTime = 2 * time.Minute
	// lateTLS is how many of the last lines may differ in their TLS columns:
	// a message is told of on the frame that completes it, and what waits
	// behind a hole is read at the end.
	lateTLS = 32
)

// damageRounds is how often each file is cut and changed.
func damageRounds() int {
	if testing.Short() {
		return 3
	}
	return 50
}

// TestDamagedCorpus cuts and changes public captures.
func TestDamagedCorpus(t *testing.T) {
	dir := corpus.Dir(t)
	names := corpus.Captures(t, dir)
	grown := peakMemory(func() {
		var next atomic.Int64
		var wg sync.WaitGroup
		for range runtime.GOMAXPROCS(0) {
			wg.Go(func() {
				for i := next.Add(1) - 1; i < int64(len(names)); i = next.Add(1) - 1 {
					damageFile(t, names[i], filepath.Join(dir, "captures", filepath.FromSlash(names[i])))
				}
			})
		}
		wg.Wait()
	})
	t.Logf("%d files, %d times each: at most %d MiB of memory", len(names), damageRounds(), grown/mib)
	if grown > damageMemory*int64(runtime.GOMAXPROCS(0)) {
		t.Errorf("%d MiB of memory", grown/mib)
	}
}

// TestDamagedFixtures does the same with the project's own captures, whose
// containers are known well enough to say exactly what must be left.
func TestDamagedFixtures(t *testing.T) {
	for _, path := range ownCaptures(t) {
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		ends := blockEnds(t, whole)
		damageFile(t, filepath.Base(path), path)
		full := strings.SplitAfter(framesOf(t, reopen(t, whole)), "\n")
		rng := seeded(path)
		for range damageRounds() {
			cut := 28 + rng.IntN(len(whole)-28)
			got, damage := damagedFrames(t, path, whole[:cut])
			if atEnd := ends[cut]; atEnd != (damage == nil) {
				t.Errorf("%s cut at %d, a block's end: %v; damage %v", path, cut, atEnd, damage)
			}
			lines := strings.SplitAfter(got, "\n")
			for i := range len(lines) - 1 - lateTLS {
				if lines[i] != full[i] {
					t.Fatalf("%s cut at %d: line %d is %q, of the whole file %q", path, cut, i+1, lines[i], full[i])
				}
			}
		}
	}
}

// blockEnds returns the offsets behind each block of a pcapng file.
func blockEnds(t *testing.T, b []byte) map[int]bool {
	t.Helper()
	ends := make(map[int]bool)
	for at := 0; at < len(b); {
		n := int(binary.LittleEndian.Uint32(b[at+4:]))
		if n < 12 || at+n > len(b) {
			t.Fatalf("block of %d bytes at %d", n, at)
		}
		at += n
		ends[at] = true
	}
	return ends
}

// seeded returns a generator that is the same for a name in every run.
func seeded(name string) *rand.Rand {
	h := fnv.New64a()
	_, _ = h.Write([]byte(filepath.Base(name)))
	return rand.New(rand.NewPCG(1, h.Sum64()))
}

// damageFile analyses a file cut at random places and with random bytes changed.
func damageFile(t *testing.T, name, path string) {
	t.Helper()
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Error(err)
		return
	}
	rng := seeded(name)
	full, _ := damagedFrames(t, name, whole)
	prefix := sequenceColumns(full)
	for round := range damageRounds() {
		if len(whole) == 0 {
			break
		}
		cut := rng.IntN(len(whole))
		if round%2 == 0 {
			got, _ := damagedFrames(t, name, whole[:cut])
			if got != "" && !strings.HasPrefix(prefix, sequenceColumns(got)) {
				t.Errorf("%s cut at %d: what is told of the frames before the cut differs", name, cut)
			}
			continue
		}
		damagedRun(t, name, whole[:cut])
		changed := bytes.Clone(whole)
		for range 1 + rng.IntN(16) {
			changed[rng.IntN(len(changed))] ^= byte(1 + rng.IntN(255))
		}
		if round%4 == 1 {
			damagedRun(t, name, changed)
		} else {
			damagedFrames(t, name, changed)
		}
	}
}

// damagedReader opens damaged bytes; nil where they are no capture any more.
func damagedReader(t *testing.T, name string, b []byte) *pcapfile.Reader {
	t.Helper()
	r, err := pcapfile.NewReader(bytes.NewReader(b), int64(len(b)))
	var damage *capture.DamageError
	if errors.Is(err, capture.ErrNotCapture) || errors.As(err, &damage) {
		return nil
	}
	if err != nil {
		t.Errorf("%s, %d bytes: opening: %v", name, len(b), err)
		return nil
	}
	return r
}

// damagedRun holds what Run promises of damaged input.
func damagedRun(t *testing.T, name string, b []byte) {
	t.Helper()
	src := damagedReader(t, name, b)
	if src == nil {
		return
	}
	defer src.Close()
	ctx, cancel := context.WithTimeout(context.Background(), damageTime)
	defer cancel()
	r, err := Run(ctx, src, Options{})
	if err != nil {
		t.Errorf("%s, %d bytes: %v", name, len(b), err)
		return
	}
	defer r.Connections.Close()
	n := 0
	for c, err := range r.Connections.All() {
		if err != nil || c == nil || c.Verdict.Class == "" {
			t.Errorf("%s, %d bytes: connection %d: %+v, %v", name, len(b), n, c, err)
			return
		}
		n++
	}
	if n != r.Connections.Len() {
		t.Errorf("%s, %d bytes: %d connections, %d announced", name, len(b), n, r.Connections.Len())
	}
	if r.Verdict.Class == "" {
		t.Errorf("%s, %d bytes: no verdict", name, len(b))
	}
	if d := r.Damage; d != nil {
		compressed := strings.Contains(r.Capture.Format, "+") // offsets are those of what is inside
		if d.Offset < 0 || !compressed && d.Offset > int64(len(b)) || d.Packet != r.Capture.Packets+1 || d.Reason == "" || r.Capture.TruncatedAt != d.Offset {
			t.Errorf("%s, %d bytes with %d packets: damage %+v, truncated at %d", name, len(b), r.Capture.Packets, d, r.Capture.TruncatedAt)
		}
	}
}

// damagedFrames returns what WriteFrames makes of b, "" where it is no
// capture, and the damage it found.
func damagedFrames(t *testing.T, name string, b []byte) (string, *capture.DamageError) {
	t.Helper()
	src := damagedReader(t, name, b)
	if src == nil {
		return "", nil
	}
	defer src.Close()
	ctx, cancel := context.WithTimeout(context.Background(), damageTime)
	defer cancel()
	var out bytes.Buffer
	err := WriteFrames(ctx, src, &out, Options{})
	var damage *capture.DamageError
	if err != nil && !errors.As(err, &damage) {
		t.Errorf("%s, %d bytes: frames: %v", name, len(b), err)
	}
	return out.String(), damage
}

// sequenceColumns keeps frame, stream and flags of each line.
func sequenceColumns(s string) string {
	var b strings.Builder
	for line := range strings.Lines(s) {
		end := 0
		for range 3 {
			n := strings.IndexByte(line[end:], '\t')
			if n < 0 {
				break
			}
			end += n + 1
		}
		b.WriteString(line[:end])
		b.WriteByte('\n')
	}
	return b.String()
}

// TestDamageKeepsConnections holds that a cut takes nothing from the
// connections that ended before it, and says so in the verdicts' favour.
func TestDamageKeepsConnections(t *testing.T) {
	w := newWire()
	for i := range 5 {
		w.talk("192.0.2.10:4000"+string(rune('0'+i)), "198.51.100.1:443").connect().tls("proxy.example", 3000).close(0)
	}
	file := asPcapng(t, w)
	want := connections(t, analyse(t, reopen(t, file), lookedFor))
	r := analyse(t, reopen(t, file[:len(file)-60]), lookedFor)
	got := connections(t, r)
	if r.Damage == nil || len(got) != len(want) || len(want) != 5 {
		t.Fatalf("%d connections, want %d; damage %v", len(got), len(want), r.Damage)
	}
	for i := range 4 {
		if got[i].LastFrame != want[i].LastFrame || got[i].Bytes != want[i].Bytes || got[i].TCP.Packets != want[i].TCP.Packets {
			t.Errorf("connection %d is %+v, want %+v", i, got[i], want[i])
		}
	}
	if got[4].LastFrame >= want[4].LastFrame {
		t.Error("the last connection was not cut")
	}
}
