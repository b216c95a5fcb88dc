package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"goproxytrace/fleet/cluster"
	"goproxytrace/fleet/ingest"
	"goproxytrace/fleet/rows"
	"goproxytrace/fleet/storage"
)

// withWorkers runs a request with worker processes and returns what it told.
func withWorkers(t *testing.T, r Request, workers, atOnce int, env ...string) (*Summary, []string) {
	t.Helper()
	c := cluster.New(command(t, "prism"), command(t, "worker", env...), workers)
	defer c.Stop()
	var told []string
	s := ran(t, r, Runners{
		Endpoint: c.Endpoint, Workers: c.Workers, AtOnce: atOnce,
		Tell: func(s string) { told = append(told, s) },
	})
	return s, told
}

// notAnalysed returns the places of the files that a summary names as set aside.
func notAnalysed(t *testing.T, s *Summary) (list []int) {
	t.Helper()
	for _, p := range s.Problems {
		if p.Status != rows.StatusNotAnalysed {
			continue
		}
		list = append(list, p.Index)
		if !strings.Contains(p.Reason, "the process that analysed it died") || p.Offset != nil {
			t.Errorf("file %d: %q", p.Index, p.Reason)
		}
	}
	return list
}

// Two files of a shard kill each worker that analyses them: they are set aside, and
// all others are analysed, their neighbours in the shard and those that other
// workers, or the same one, had under way too.
func TestKillersAreSetAside(t *testing.T) {
	key, files := putKey(t), pcaps(t)
	whole := filepath.Join(t.TempDir(), "whole")
	analyzed(t, Request{Paths: files, Out: whole, KeyPath: key})
	const first, second = 5, 21 // shard 5 of 16
	four := filepath.Join(t.TempDir(), "four")
	s, told := withWorkers(t, Request{Paths: files, Out: four, KeyPath: key}, 4, 2, fmt.Sprintf("%s=c%d,c%d", killers, first, second))
	t.Logf("told: %q", told)
	if got := notAnalysed(t, s); !slices.Equal(got, []int{first, second}) {
		t.Errorf("files %d were set aside", got)
	}
	if f := s.Files; f.NotAnalysed != 2 || f.OK != int64(len(files)-2) || f.Matched != int64(len(files)) || f.Damaged+f.Unreadable+f.Duplicate != 0 {
		t.Errorf("%+v", f)
	}
	// Two deaths alone with each, and the one that made the shard a suspect.
	if n := len(told); n != 2*deathsAlone+1 {
		t.Errorf("%d tries failed", n)
	}
	statuses := make(map[string]int)
	for _, f := range read[rows.File](t, four, rows.Files) {
		statuses[f.Status]++
		if f.Status == rows.StatusNotAnalysed && (f.Reason != asideReason || f.Offset != nil || f.Connections != 0 || f.Documents != 0) {
			t.Errorf("the row of a file that was set aside is %+v", f)
		}
	}
	if statuses[rows.StatusNotAnalysed] != 2 || statuses[rows.StatusOK] != len(files)-2 {
		t.Errorf("the table files has %v", statuses)
	}
	got, want := results(t, four), results(t, whole)
	n := 0
	for name, sum := range want {
		if strings.Contains(name, "part-c") && !strings.Contains(name, "part-c000005-") {
			if n++; got[name] != sum {
				t.Errorf("%s differs from the one of a run without accidents", name)
			}
		}
	}
	if n < 15*4 {
		t.Errorf("only %d parts were compared", n)
	}

	one := filepath.Join(t.TempDir(), "one")
	withWorkers(t, Request{Paths: files, Out: one, KeyPath: key}, 1, 1, fmt.Sprintf("%s=c%d,c%d", killers, first, second))
	same(t, "one worker", one, four)
}

// A file may kill who looks at its beginning, who reads its cases, or who makes rows
// of its reports.
func TestKillersOfAllKinds(t *testing.T) {
	dir, key, files := t.TempDir(), putKey(t), pcaps(t)[:4]
	report := func(name string, of int) string {
		return put(t, filepath.Join(dir, name), reportOn(t, pcaps(t)[of], key, false))
	}
	paths := append(slices.Clone(files), report("a.json", 10), report("b.json", 11), report("c.json", 12))
	slices.Sort(paths)
	place := func(name string) int {
		return slices.IndexFunc(paths, func(p string) bool { return filepath.Base(p) == name })
	}
	absolutes(t, paths)
	slices.Sort(paths)
	sniffed, cases, rowsOf := place(filepath.Base(files[1])), place("a.json"), place("c.json")
	out := filepath.Join(t.TempDir(), "out")
	s, told := withWorkers(t, Request{Paths: paths, Out: out, KeyPath: key}, 2, 1, fmt.Sprintf("%s=s%d,n%d,r%d", killers, sniffed, cases, rowsOf))
	t.Logf("told: %q", told)
	want := []int{sniffed, cases, rowsOf}
	slices.Sort(want)
	if got := notAnalysed(t, s); !slices.Equal(got, want) {
		t.Errorf("files %d were set aside, want %d", got, want)
	}
	if f := s.Files; f.NotAnalysed != 3 || f.OK != 4 || s.Cases != 4 {
		t.Errorf("%+v, %d cases", f, s.Cases)
	}
}

func absolutes(t *testing.T, paths []string) {
	t.Helper()
	for i := range paths {
		var err error
		if paths[i], err = filepath.Abs(paths[i]); err != nil {
			t.Fatal(err)
		}
	}
}

// A worker that is killed from outside, twice while it analyses the same file, the
// second time alone, accuses nobody.
func TestKilledFromOutside(t *testing.T) {
	key, files := putKey(t), pcaps(t)
	whole := filepath.Join(t.TempDir(), "whole")
	analyzed(t, Request{Paths: files, Out: whole, KeyPath: key})
	dir := t.TempDir()
	stop := make(chan struct{})
	killed := make(chan int, mostWaiting)
	go func() {
		defer close(killed)
		for n := range mostWaiting {
			path := filepath.Join(dir, fmt.Sprint("waits-", n))
			for {
				if raw, err := os.ReadFile(path); err == nil && len(raw) > 0 {
					pid, _ := strconv.Atoi(string(raw))
					if p, err := os.FindProcess(pid); err == nil && p.Kill() == nil {
						killed <- pid
					}
					break
				}
				select {
				case <-stop:
					return
				case <-time.After(10 * time.Millisecond):
				}
			}
		}
	}()
	out := filepath.Join(dir, "out")
	s, told := withWorkers(t, Request{Paths: files, Out: out, KeyPath: key}, 4, 2, waitFor+"="+dir+":21")
	close(stop)
	n := 0
	for range killed {
		n++
	}
	t.Logf("told: %q", told)
	if n != mostWaiting || len(told) != mostWaiting {
		t.Errorf("%d workers were killed, %d tries failed", n, len(told))
	}
	if got := notAnalysed(t, s); len(got) > 0 || s.Files.OK != int64(len(files)) {
		t.Errorf("files %d were set aside: %+v", got, s.Files)
	}
	same(t, "killed from outside", out, whole)
}

// planned is a run that is prepared and not begun.
func planned(t *testing.T, out string) *Plan {
	t.Helper()
	// An object store of memory keeps what the test has left when it ran before.
	p, err := Prepare(context.Background(), Request{Paths: pcaps(t)[:4], Out: out, KeyPath: putKey(t), Ingest: ingest.Options{Version: "v1"}, Overwrite: true})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func begun(t *testing.T, p *Plan, unit string) *attempt {
	t.Helper()
	a, err := p.begin(context.Background(), unit, 2)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func meets(t *testing.T, a *attempt, indexes ...int) {
	t.Helper()
	for _, i := range indexes {
		if err := a.reads(context.Background(), i); err != nil {
			t.Fatal(err)
		}
	}
}

// dies leaves what the death of a process does: its note, and no locks.
func (a *attempt) dies() {
	a.stopBeat()
	countingAttempts.Lock()
	delete(underWay, a)
	countingAttempts.Unlock()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ended = true
	a.release()
}

// TestNotes goes through what deaths, errors and interrupts leave, on a local disk
// and where there are no locks.
func TestNotes(t *testing.T) {
	for _, out := range []string{filepath.Join(t.TempDir(), "out"), "memfs://notes/one"} {
		t.Run(map[bool]string{true: "local", false: "objects"}[storage.IsLocal(out)], func(t *testing.T) {
			// Silence is waited for as a number of looks, not by the clock.
			silently(t)
			ctx := context.Background()
			p := planned(t, out)
			const unit = "c000000"

			a := begun(t, p, unit)
			if a.note.Alone {
				t.Fatal("the first attempt is alone")
			}
			meets(t, a, 0, 4, 8, -1)
			a.end(ctx, true)
			if a = begun(t, p, unit); a.note.Alone {
				t.Error("an attempt is alone after one that ended")
			}
			meets(t, a, 0)
			a.end(ctx, false)
			if a = begun(t, p, unit); a.note.Alone {
				t.Error("an attempt is alone after one that failed")
			}

			// The first death makes a suspect, and is counted for no file.
			meets(t, a, 0, 4)
			a.dies()
			if a = begun(t, p, unit); !a.note.Alone || len(a.note.Deaths) > 0 {
				t.Fatalf("after a death: %+v", a.note)
			}
			// What is read is cleared; what is under way is counted.
			meets(t, a, 0, 4)
			a.dies()
			a = begun(t, p, unit)
			if a.note.Deaths[4] != 1 || len(a.note.Deaths) != 1 || a.aside(4) {
				t.Fatalf("after a death alone: %+v", a.note)
			}
			// An interrupt is no death, and nobody is cleared by it.
			meets(t, a, 0, 4)
			a.end(ctx, false)
			a = begun(t, p, unit)
			if !a.note.Alone || a.note.Deaths[4] != 1 || len(a.note.Deaths) != 1 {
				t.Fatalf("after an interrupt: %+v", a.note)
			}
			// Deaths of a neighbour and of what comes after the last file are none of its.
			meets(t, a, 0, 4, 8)
			a.dies()
			a = begun(t, p, unit)
			if a.note.Deaths[8] != 1 || len(a.note.Deaths) != 1 {
				t.Fatalf("after a death with another file: %+v", a.note)
			}
			meets(t, a, 0, 4, 8, -1)
			a.dies()
			a = begun(t, p, unit)
			if len(a.note.Deaths) != 0 || !a.note.Alone {
				t.Fatalf("after a death with no file: %+v", a.note)
			}
			for range deathsAlone {
				meets(t, a, 0, 4)
				a.dies()
				a = begun(t, p, unit)
			}
			if !a.aside(4) || a.aside(0) || a.aside(8) || len(a.note.Deaths) != 1 {
				t.Fatalf("after %d deaths alone: %+v", deathsAlone, a.note)
			}
			if got, err := p.progress(ctx); err != nil || got.Aside != 1 || got.Suspects != 1 {
				t.Errorf("progress is %+v, %v", got, err)
			}
			// It stays aside, also where the unit is read once more.
			meets(t, a, 0, 8, -1)
			a.end(ctx, true)
			if a = begun(t, p, unit); !a.aside(4) || a.note.Alone {
				t.Errorf("afterwards: %+v", a.note)
			}
			a.end(ctx, true)
			if got, err := p.progress(ctx); err != nil || got.Aside != 1 || got.Suspects != 0 {
				t.Errorf("progress is %+v, %v", got, err)
			}

			// A note that was cut makes a suspect and no more.
			if err := storage.Write(ctx, p.notePath("c000001"), []byte(`{"attempt":"x","op`)); err != nil {
				t.Fatal(err)
			}
			if a = begun(t, p, "c000001"); !a.note.Alone || len(a.note.Deaths) > 0 {
				t.Errorf("after a note that was cut: %+v", a.note)
			}
			a.end(ctx, true)
		})
	}
}

// silently lets no time pass between looks at a note.
func silently(t *testing.T) {
	before := pause
	t.Cleanup(func() { pause = before })
	pause = func(ctx context.Context, d time.Duration) error {
		if ctx.Err() == nil {
			return nil
		}
		return ctx.Err()
	}
}

// An attempt that lives is waited for, by its lock.
func TestTheLivingAreWaitedFor(t *testing.T) {
	ctx := context.Background()
	p := planned(t, filepath.Join(t.TempDir(), "out"))
	a := begun(t, p, "c000000")
	meets(t, a, 0)
	a.dies()
	a = begun(t, p, "c000000") // alone
	meets(t, a, 0)
	type answer struct {
		a   *attempt
		err error
	}
	answers := make(chan answer, 3)
	for _, unit := range []string{"c000000", "c000000", "c000001"} {
		go func() {
			b, err := p.begin(ctx, unit, 3) // places of another process
			answers <- answer{b, err}
		}()
	}
	short, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	if _, err := p.begin(short, "c000002", 4); err == nil {
		t.Error("another unit was begun beside one that is to be alone")
	}
	if n := len(answers); n > 0 {
		t.Errorf("%d units were begun beside one that is to be alone", n)
	}
	meets(t, a, -1)
	a.end(ctx, true)
	for range 3 {
		got := <-answers
		if got.err != nil {
			t.Fatal(got.err)
		}
		if len(got.a.note.Deaths) > 0 || got.a.note.Alone {
			t.Errorf("%s: %+v", got.a.unit, got.a.note)
		}
		got.a.end(ctx, true)
	}
}

// Where there are no locks, an attempt that gives signs of life is waited for.
func TestSignsOfLife(t *testing.T) {
	ctx := context.Background()
	p := planned(t, "memfs://notes/two")
	before := pause
	defer func() { pause = before }()
	never := func(ctx context.Context, _ time.Duration) error { <-ctx.Done(); return ctx.Err() }
	pause = never
	a := begun(t, p, "c000000")
	meets(t, a, 0)
	a.dies()
	a = begun(t, p, "c000000")
	meets(t, a, 0)
	a.stopBeat() // its beats are those below
	a.stopBeat = func() {}
	looks := 0
	pause = func(context.Context, time.Duration) error {
		looks++
		a.mu.Lock()
		defer a.mu.Unlock()
		switch {
		case looks <= 5*mostQuiet:
			if looks%(mostQuiet-1) == 0 {
				a.note.Beat++
				return a.save(ctx)
			}
		case !a.ended:
			a.mu.Unlock()
			a.end(ctx, false)
			a.mu.Lock()
		}
		return nil
	}
	n, err := (&attempt{plan: p}).takeUnlocked(ctx, p.notePath("c000000"))
	if err != nil || n.Open || looks <= 5*mostQuiet {
		t.Errorf("after %d looks: %+v, %v", looks, n, err)
	}

	// One that ends late does not close the note of who has followed.
	pause = never
	late := begun(t, p, "c000001")
	next, err := p.begin(ctx, "c000001", 3) // places of another process
	if err != nil {
		t.Fatal(err)
	}
	late.end(ctx, true)
	if n, err := readNote(ctx, p.notePath("c000001")); err != nil || !n.Open || n.Attempt != next.note.Attempt {
		t.Errorf("%+v, %v", n, err)
	}
	next.end(ctx, true)
}

// What a process withdraws from, it has not died of.
func TestWithdraw(t *testing.T) {
	p := planned(t, filepath.Join(t.TempDir(), "out"))
	a := begun(t, p, "c000000")
	meets(t, a, 0)
	a.dies()
	ctx, cancel := context.WithCancel(context.Background())
	a, err := p.begin(ctx, "c000000", 2)
	if err != nil {
		t.Fatal(err)
	}
	meets(t, a, 0)
	cancel()
	withdraw(p.Out)
	if _, err := p.begin(ctx, "c000001", 2); err == nil {
		t.Error("a unit was begun afterwards")
	}
	a.end(ctx, false) // its own end comes later
	if a = begun(t, p, "c000000"); len(a.note.Deaths) > 0 {
		t.Errorf("%+v", a.note)
	}
	a.end(context.Background(), true)
}

// In an object store, a run that is gone on with knows what the one before has set
// aside.
func TestSetAsideInAnObjectStore(t *testing.T) {
	ctx := context.Background()
	const out = "memfs://aside/one"
	r := Request{Paths: pcaps(t)[:4], Out: out, KeyPath: putKey(t), Ingest: ingest.Options{Version: "v1"}, Overwrite: true}
	p, err := Prepare(ctx, r)
	if err != nil {
		t.Fatal(err)
	}
	silently(t)
	a := begun(t, p, "c000002")
	for range deathsAlone + 1 {
		meets(t, a, 2)
		a.dies()
		a = begun(t, p, "c000002")
	}
	a.end(ctx, false)
	pause = func(ctx context.Context, _ time.Duration) error { <-ctx.Done(); return ctx.Err() }
	r.Resume, r.Overwrite = true, false
	s := ran(t, r, Runners{})
	if got := notAnalysed(t, s); !slices.Equal(got, []int{2}) || s.Files.OK != 3 {
		t.Errorf("files %d were set aside: %+v", got, s.Files)
	}
}

// A run ends where tries come no further: sooner where nobody is to be suspected,
// and where all files are.
func TestHowOftenIsTried(t *testing.T) {
	silently(t)
	for _, c := range []struct {
		name  string
		each  func(t *testing.T, p *Plan, try int)
		tries int
		want  string
	}{
		{"nothing is found out", func(*testing.T, *Plan, int) {}, 1 + fruitless, fmt.Sprintf("%d tries in a row came no further: no job server", fruitless)},
		{"there is a suspect", func(t *testing.T, p *Plan, _ int) {
			noted(t, p, "c000000", note{Open: true, File: -1})
		}, 1 + patient, fmt.Sprintf("%d tries in a row came no further: no job server", patient)},
		{"all are set aside", func(t *testing.T, p *Plan, try int) {
			noted(t, p, fmt.Sprintf("c%06d", try), note{File: -1, Deaths: map[int]int{try: deathsAlone}})
		}, 1 + mostAside, fmt.Sprintf("%d files were set aside because workers died while they analysed them", mostAside)},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, tries := planned(t, filepath.Join(t.TempDir(), "out")), 0
			err := p.Run(context.Background(), Runners{Endpoint: func(context.Context) (string, error) {
				tries++
				c.each(t, p, tries)
				return "", errors.New("no job server")
			}})
			if err == nil || !strings.Contains(err.Error(), c.want) || tries != c.tries {
				t.Errorf("after %d tries, want %d: %v", tries, c.tries, err)
			}
		})
	}
}

func noted(t *testing.T, p *Plan, unit string, n note) {
	t.Helper()
	raw, err := json.Marshal(n)
	if err != nil {
		t.Fatal(err)
	}
	if err := storage.Write(context.Background(), p.notePath(unit), raw); err != nil {
		t.Fatal(err)
	}
}
