package pipeline

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"goproxytrace/fleet/storage"
)

// Some file may take down whatever process reads it: by its memory, or by a fault
// that no recover sees. Which one it is, nobody can say who is dead; so a process
// notes in the run's directory what it is about to do.
//
// What is noted is a unit of work: the beginnings of one list of files, the cases of
// one file of reports, or a shard. A unit begins with an open note, and ends, also by
// an error or an interrupt, with a closed one. An open note that nobody works on is
// what a death leaves. It accuses nobody yet: the process had other units under way,
// and the unit has many files. The unit is worked on once more, alone, and its note
// then names the file under way. A death that leaves a note of that kind is a death
// alone with that file; a file is cleared when it is read. One that was alone with
// deathsAlone of them is set aside: its row says so, and the run goes on.
//
// Where nothing dies, this costs two small writes for each unit.

// deathsAlone is how many deaths alone with a file set it aside: one may have come
// from outside. With the death that made its unit a suspect they are three.
const deathsAlone = 2

// asideReason is the reason of files that were set aside. It accuses the file of
// nothing, and says the same whatever the workers were.
var asideReason = fmt.Sprintf("set aside: the process that analysed it died, %d times while it did nothing else", deathsAlone)

// note is what is known of a unit that was begun.
type note struct {
	// Attempt tells whose note it is, Open is true until that has ended.
	Attempt string `json:"attempt"`
	Open    bool   `json:"open,omitempty"`
	// Alone is true where the unit is worked on alone; File is then the place of
	// the file under way in the list, -1 for none.
	Alone bool `json:"alone,omitempty"`
	File  int  `json:"file"`
	// Deaths counts deaths alone with a file, by its place in the list.
	Deaths map[int]int `json:"deaths,omitempty"`
	// Beat changes for as long as the process lives, where locks do not tell.
	Beat int `json:"beat,omitempty"`
}

func (p *Plan) notePath(unit string) string {
	return storage.Join(p.Out, runDir, "notes", unit+".json")
}

// alonePath is the file that who works alone has locked for itself, and everybody
// else shares.
func (p *Plan) alonePath() string { return storage.Join(p.Out, runDir, "alone") }

// attempt is a unit that this process works on.
type attempt struct {
	plan *Plan
	unit string
	// leave gives the places of this process back.
	leave func()
	// alone and file are the locked files: alonePath's, and the note itself. They
	// are nil where there are no locks.
	alone, file *os.File
	stopBeat    func()

	mu    sync.Mutex
	note  note
	size  int // of the note in file
	ended bool
}

// underWay are the attempts of this process.
var (
	countingAttempts sync.Mutex
	underWay         = map[*attempt]struct{}{}
)

// begin begins a unit, when there is a place for it in this process: no more than
// atOnce are worked on side by side, and one that is suspect is worked on alone. It
// waits for an attempt at the same unit that lives.
func (p *Plan) begin(ctx context.Context, unit string, atOnce int) (*attempt, error) {
	for alone := false; ; alone = true {
		a := &attempt{plan: p, unit: unit, leave: func() {}, stopBeat: func() {}}
		before, err := a.take(ctx, atOnce, alone)
		if err == nil && (alone || !before.suspect()) {
			err = a.open(ctx, before, alone)
		} else if err == nil {
			a.release()
			continue
		}
		if err != nil {
			a.release()
			return nil, err
		}
		return a, nil
	}
}

// suspect is true of a unit that must be worked on alone.
func (n *note) suspect() bool { return n.Open || n.Alone }

// take takes the places and locks of an attempt, always in the same order: whoever
// has the lock of working alone waits for no place. It returns the note as it is.
func (a *attempt) take(ctx context.Context, atOnce int, alone bool) (before note, err error) {
	if a.leave, err = enter(ctx, atOnce, alone); err != nil {
		a.leave = func() {}
		return before, err
	}
	path := a.plan.notePath(a.unit)
	if !storage.IsLocal(path) {
		return a.takeUnlocked(ctx, path)
	}
	// Whoever is to be alone comes when all processes of this machine that work
	// side by side have paused: suspects are worked on when the rest is done.
	if a.alone, err = locked(ctx, a.plan.alonePath(), !alone); err == nil {
		a.file, err = locked(ctx, path, false)
	}
	if errors.Is(err, errors.ErrUnsupported) {
		return a.takeUnlocked(ctx, path)
	}
	if err != nil {
		return before, err
	}
	raw := make([]byte, maxNote)
	n, _ := a.file.ReadAt(raw, 0)
	a.size = n
	return decodeNote(raw[:n]), nil
}

// takeUnlocked waits where a file's lock would: until the attempt that the note
// tells of has ended, or gives no sign of life.
func (a *attempt) takeUnlocked(ctx context.Context, path string) (before note, err error) {
	if before, err = readNote(ctx, path); err != nil {
		return before, err
	}
	for quiet := 0; before.Open && before.Alone && quiet < mostQuiet; quiet++ {
		if err := pause(ctx, beatEvery); err != nil {
			return before, err
		}
		now, err := readNote(ctx, path)
		if err != nil {
			return before, err
		}
		if now.Attempt != before.Attempt || now.Beat != before.Beat || now.File != before.File {
			quiet = -1
		}
		before = now
	}
	return before, nil
}

const (
	// maxNote bounds a note: deaths of a hundred files or two.
	maxNote = 64 << 10
	// beatEvery is how often a process that works alone says that it lives, where
	// there are no locks; after mostQuiet times of silence it is dead.
	beatEvery = 10 * time.Second
	mostQuiet = 6
)

// pause waits between two looks at a note, or two tries; tests do not.
var pause = func(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// locked waits for a file's lock. Whoever has it is at work on something that must
// not be done twice at once, and ends.
func locked(ctx context.Context, path string, shared bool) (*os.File, error) {
	for {
		f, err := storage.Lock(path, shared)
		if !errors.Is(err, storage.ErrLocked) {
			return f, err
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// readNote reads the note of a unit that may have none.
func readNote(ctx context.Context, path string) (note, error) {
	there, err := storage.Exists(ctx, path)
	if err != nil || !there {
		return note{File: -1}, err
	}
	raw, err := storage.Read(ctx, path, maxNote)
	return decodeNote(raw), err
}

// decodeNote reads a note. One that is none was being written when its process died.
func decodeNote(raw []byte) (n note) {
	if len(raw) == 0 {
		return note{File: -1}
	}
	if err := json.Unmarshal(raw, &n); err != nil {
		return note{Open: true, File: -1}
	}
	return n
}

// open opens the note of an attempt that has its places and locks, and counts the
// death that the note before tells of.
func (a *attempt) open(ctx context.Context, before note, alone bool) error {
	var id [12]byte
	_, _ = rand.Read(id[:]) // never fails
	a.note = note{Attempt: hex.EncodeToString(id[:]), Open: true, Alone: alone, File: -1, Deaths: before.Deaths, Beat: before.Beat + 1}
	if a.note.Deaths == nil {
		a.note.Deaths = make(map[int]int)
	}
	if before.Open && before.Alone && before.File >= 0 {
		a.note.Deaths[before.File]++
	}
	countingAttempts.Lock()
	defer countingAttempts.Unlock()
	// After withdraw, nothing is begun.
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := a.save(ctx); err != nil {
		return err
	}
	underWay[a] = struct{}{}
	if alone && a.file == nil {
		a.beat(ctx)
	}
	return nil
}

// beat says from time to time that this process lives.
func (a *attempt) beat(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		t := time.NewTicker(beatEvery)
		defer t.Stop()
		for {
			select {
			case <-t.C:
			case <-ctx.Done():
				return
			}
			a.mu.Lock()
			if !a.ended {
				a.note.Beat++
				_ = a.save(ctx) // many of them would have to fail
			}
			a.mu.Unlock()
		}
	}()
	a.stopBeat = func() {
		cancel()
		<-stopped
	}
}

// save writes the note.
func (a *attempt) save(ctx context.Context) error {
	raw, err := json.Marshal(a.note)
	if err != nil {
		return err
	}
	if a.file == nil {
		return storage.Write(ctx, a.plan.notePath(a.unit), raw)
	}
	// One write, which covers what was there: a process that is killed leaves
	// the note before or this one.
	for len(raw) < a.size {
		raw = append(raw, ' ')
	}
	a.size = len(raw)
	_, err = a.file.WriteAt(raw, 0)
	return err
}

// meetsFile is called before a file is read; tests die there.
var meetsFile = func(unit string, index int) {}

// aside reports whether a file is not to be read any more.
func (a *attempt) aside(index int) bool { return a.note.Deaths[index] >= deathsAlone }

// reads notes that a file is about to be read, where that is done alone; those read
// before are cleared then. -1 is for what is done after the last.
func (a *attempt) reads(ctx context.Context, index int) error {
	if a.note.Alone {
		a.mu.Lock()
		if !a.ended {
			a.clear()
			a.note.File = index
			if err := a.save(ctx); err != nil {
				a.mu.Unlock()
				return err
			}
		}
		a.mu.Unlock()
	}
	if index >= 0 {
		meetsFile(a.unit, index)
	}
	return nil
}

// clear acquits the file that was under way.
func (a *attempt) clear() {
	if a.note.File >= 0 && !a.aside(a.note.File) {
		delete(a.note.Deaths, a.note.File)
	}
	a.note.File = -1
}

// end ends the attempt. read is true where all files of the unit were read: it is
// then no suspect any more.
func (a *attempt) end(ctx context.Context, read bool) {
	countingAttempts.Lock()
	delete(underWay, a)
	countingAttempts.Unlock()
	a.stopBeat()
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ended {
		return
	}
	a.ended = true
	a.note.Open = false
	if read {
		a.clear()
		a.note.Alone = false
	}
	a.note.File = -1
	// A runner that has given up is no reason to leave the note open. Where it
	// stays open, that costs time, and accuses nobody unless it happens again.
	ctx = context.WithoutCancel(ctx)
	if a.file != nil || a.own(ctx) {
		_ = a.save(ctx)
	}
	a.release()
}

// own reports whether the note is still this attempt's: without locks, a runner may
// have begun the same unit somewhere else.
func (a *attempt) own(ctx context.Context) bool {
	now, err := readNote(ctx, a.plan.notePath(a.unit))
	return err == nil && now.Attempt == a.note.Attempt
}

func (a *attempt) release() {
	for _, f := range []*os.File{a.file, a.alone} {
		if f != nil {
			_ = f.Close()
		}
	}
	a.file, a.alone = nil, nil
	a.leave()
}

// Withdraw ends what this process has under way, so that its end accuses no file. It
// is for workers that were told to go: the context of ServeWorker has ended before.
func Withdraw() { withdraw("") }

// withdraw ends what this process has under way in an output directory, or in all
// for "". The contexts that it was begun with have ended before: nothing is begun
// afterwards.
func withdraw(out string) {
	countingAttempts.Lock()
	var all []*attempt
	for a := range underWay {
		if out == "" || a.plan.Out == out {
			all = append(all, a)
		}
	}
	countingAttempts.Unlock()
	for _, a := range all {
		a.end(context.Background(), false)
	}
}

// progress is how far a run has come, by what it has written down.
type progress struct {
	// Done counts shards, Aside the files that were set aside.
	Done, Aside int
	// Suspects are units that must be worked on alone.
	Suspects int
}

func (p *Plan) progress(ctx context.Context) (out progress, err error) {
	done, err := storage.List(ctx, p.donePath("*"))
	if err != nil {
		return out, err
	}
	out.Done = len(done)
	list, err := storage.List(ctx, p.notePath("*"))
	if err != nil {
		return out, err
	}
	var mu sync.Mutex
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(16)
	for _, path := range list {
		g.Go(func() error {
			raw, err := storage.Read(ctx, path, maxNote)
			if err != nil {
				return fmt.Errorf("%s: %w", filepath.Base(path), err)
			}
			n := decodeNote(raw)
			mu.Lock()
			defer mu.Unlock()
			if n.suspect() {
				out.Suspects++
			}
			for _, deaths := range n.Deaths {
				if deaths >= deathsAlone {
					out.Aside++
				}
			}
			return nil
		})
	}
	return out, g.Wait()
}
