package pcapfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"

	"goproxytrace/capture"
)

// frame is what both tshark and the Reader say of a numbered record.
type frame struct {
	number  int64
	hasTime bool
	time    int64
	length  int64
	capLen  int64
	// oddTime marks a time beyond what fits nanoseconds in 64 bits.
	oddTime bool
	pk      capture.Packet
}

func requireTshark(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("tshark"); err != nil {
		if os.Getenv("GOPROXYTRACE_CI") == "1" {
			t.Fatal("tshark is not installed, but GOPROXYTRACE_CI=1 asks for the comparison")
		}
		t.Skip("tshark is not installed: no comparison with Wireshark")
	}
}

// corpusFiles lists the captures of the corpus, or skips the test.
func corpusFiles(t *testing.T) []string {
	t.Helper()
	dir := os.Getenv("GOPROXYTRACE_CORPUS")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "corpus")
	}
	var files []string
	err := filepath.WalkDir(filepath.Join(dir, "captures"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			files = append(files, path)
		}
		return err
	})
	if err != nil || len(files) == 0 {
		t.Skip("no corpus of captures: set GOPROXYTRACE_CORPUS to its directory")
	}
	return files
}

// tsharkFrames runs tshark on a file; complaint is what it says of damage.
func tsharkFrames(path string) (frames []frame, complaint string, err error) {
	cmd := exec.Command("tshark", "-n", "-r", path, "-T", "fields", "-E", "separator=|",
		"-e", "frame.number", "-e", "frame.time_epoch", "-e", "frame.len", "-e", "frame.cap_len")
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	runErr := cmd.Run()
	for line := range strings.Lines(errOut.String()) {
		if !strings.HasPrefix(line, "Running as user") && !strings.Contains(line, "WARNING") && strings.TrimSpace(line) != "**" {
			complaint += line
		}
	}
	if runErr != nil && complaint == "" {
		return nil, "", runErr
	}
	pcap := isPcapFile(path)
	number := int64(0)
	for line := range strings.Lines(out.String()) {
		number++
		f := frame{number: number}
		col := strings.Split(strings.TrimSpace(line), "|")
		if len(col) != 4 {
			return nil, "", fmt.Errorf("line %d: %q", number, line)
		}
		if col[0] != "" { // blank where tshark has no dissector for a record
			if n, _ := strconv.ParseInt(col[0], 10, 64); n != number {
				return nil, "", fmt.Errorf("frame %d is numbered %q", number, col[0])
			}
		}
		f.length, _ = strconv.ParseInt(col[2], 10, 64)
		f.capLen, _ = strconv.ParseInt(col[3], 10, 64)
		if col[1] != "" {
			f.hasTime = true
			f.time, f.oddTime = parseEpoch(col[1], pcap)
		}
		frames = append(frames, f)
	}
	return frames, complaint, nil
}

func isPcapFile(path string) bool {
	r, err := Open(path)
	if err != nil {
		return false
	}
	defer r.Close()
	return strings.HasPrefix(r.Info().Format, "pcap") && !strings.HasPrefix(r.Info().Format, "pcapng")
}

// parseEpoch reads tshark's seconds.fraction, which it prints unnormalised;
// the time is odd where it does not fit.
func parseEpoch(s string, pcap bool) (ns int64, odd bool) {
	s, negative := strings.CutPrefix(s, "-")
	sec, frac, _ := strings.Cut(s, ".")
	n, err := strconv.ParseInt(sec, 10, 64)
	sub, _ := strconv.ParseInt(frac, 10, 64)
	if err != nil || n > 9_000_000_000 {
		return 0, true
	}
	switch {
	case negative && pcap:
		// Only the fraction can be negative there.
		return n*nsPerSecond - sub, false
	case negative:
		return -n*nsPerSecond - sub, sub != 0
	}
	return n*nsPerSecond + sub, false
}

// readAll reads a capture to its end.
func readAll(path string) (frames []frame, info *capture.Info, err error) {
	r, err := Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer r.Close()
	return drain(r)
}

func drain(r *Reader) (frames []frame, info *capture.Info, err error) {
	var b capture.Batch
	for {
		if err := r.Read(&b); err != nil {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return frames, r.Info(), err
		}
		for _, pk := range b.Packets {
			pk.Data = bytes.Clone(pk.Data)
			frames = append(frames, frame{
				number: pk.Number, hasTime: pk.HasTime, time: pk.Time,
				length: int64(pk.Length), capLen: int64(len(pk.Data)), pk: pk,
			})
		}
	}
}

// pseudoHeader is how many bytes at the front of a captured frame Wireshark
// takes for a header of the container and leaves out of frame.len. None of
// these links carries what this program looks for but ERF and ATM.
func pseudoHeader(pk *capture.Packet) (n int64, variable bool) {
	switch pk.LinkType {
	case 123, 139, 201:
		return 4, false
	case 204:
		return 1, false
	case 209:
		return 5, false
	case 144, 177:
		return 16, false
	case 197: // ERF: extension headers and padding vary, time is its own
		return 0, true
	case 189, 220: // USB: Linux headers stay
		return 0, false
	}
	return 0, false
}

// damagedEarly says whether the first records of a pcap have faults in the
// layout that we read them in.
func damagedEarly(path string) bool {
	r, err := Open(path)
	if err != nil {
		return false
	}
	defer r.Close()
	p, ok := r.format.(*pcapParser)
	if !ok {
		return false
	}
	data, err := io.ReadAll(io.LimitReader(io.MultiReader(bytes.NewReader(r.carry), r.in.r), chunkSize))
	if _, _, ok := p.header(r, data); !ok {
		return false
	}
	n, _ := p.faults(p.variant, data[pcapHeaderLen:], err != nil || len(data) < chunkSize)
	return n > 0 && p.variant == variantStandard && p.mult == 1000
}

// compareFrames returns what is different, and counts the differences that
// have a known reason.
func compareFrames(path string) (diffs []string, excused map[string]int, err error) {
	want, complaint, err := tsharkFrames(path)
	if err != nil {
		return nil, nil, err
	}
	got, _, readErr := readAll(path)
	excused = make(map[string]int)
	var damage *capture.DamageError
	damaged := errors.As(readErr, &damage)
	switch {
	case strings.Contains(complaint, "isn't a capture file"):
		if !errors.Is(readErr, capture.ErrNotCapture) {
			diffs = append(diffs, fmt.Sprintf("tshark sees no capture, we say %v", readErr))
		}
		return diffs, excused, nil
	case strings.Contains(complaint, "network type") && strings.Contains(complaint, "unknown or unsupported"),
		strings.Contains(complaint, "reserved field not zero"):
		excused["Wireshark refuses the whole file for its link type; we number its packets and name them unread"]++
		return nil, excused, nil
	case errors.Is(readErr, capture.ErrNotCapture):
		diffs = append(diffs, fmt.Sprintf("we see no capture, tshark says %q", complaint))
	case readErr != nil && !damaged:
		diffs = append(diffs, readErr.Error())
	case damaged != (complaint != ""):
		diffs = append(diffs, fmt.Sprintf("damage: tshark %q, we %v", complaint, readErr))
	}
	if len(got) != len(want) {
		diffs = append(diffs, fmt.Sprintf("%d frames, tshark has %d (%q, %v)", len(got), len(want), complaint, readErr))
	}
	for i := range min(len(got), len(want)) {
		g, w := got[i], want[i]
		strip, variable := pseudoHeader(&g.pk)
		if variable {
			excused["ERF records have their own lengths and times"]++
			continue
		}
		lengthOK := g.length-strip == w.length && g.capLen-strip == w.capLen
		timeOK := g.hasTime == w.hasTime && g.time == w.time
		if !timeOK && w.oddTime {
			excused["the time lies outside the years 1678 to 2262"]++
			timeOK = true
		}
		if g.number != w.number || !lengthOK || !timeOK {
			diffs = append(diffs, fmt.Sprintf("frame %d: link type %d kind %d: got time %d (%v) len %d cap %d, tshark %d (%v) len %d cap %d",
				w.number, g.pk.LinkType, g.pk.Kind, g.time, g.hasTime, g.length, g.capLen, w.time, w.hasTime, w.length, w.capLen))
			if len(diffs) > 5 {
				break
			}
		}
	}
	if len(diffs) > 0 && damagedEarly(path) {
		excused["Wireshark 4.0 guesses the record layout of a pcap from lengths alone; damage in the first records misleads it"]++
		diffs = nil
	}
	return diffs, excused, nil
}

// TestCorpusAgainstTshark compares frame numbers, times and lengths of every
// capture of the corpus with what tshark says.
func TestCorpusAgainstTshark(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: tshark takes a minute for the corpus")
	}
	requireTshark(t)
	files := corpusFiles(t)
	var mu sync.Mutex
	reasons := make(map[string]int)
	parallel(files, func(path string) {
		diffs, excused, err := compareFrames(path)
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			t.Errorf("%s: %v", path, err)
		}
		for _, d := range diffs {
			t.Errorf("%s: %s", path, d)
		}
		for reason, n := range excused {
			reasons[reason] += n
		}
	})
	for reason, n := range reasons {
		t.Logf("%d excused: %s", n, reason)
	}
	t.Logf("%d files compared", len(files))
}

// parallel calls f for each item, several at a time.
func parallel[T any](items []T, f func(T)) {
	work := make(chan T)
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for item := range work {
				f(item)
			}
		})
	}
	for _, item := range items {
		work <- item
	}
	close(work)
	wg.Wait()
}
