package recorder

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"sync"
	"time"

	"goproxytrace/analyze"
	"goproxytrace/analyze/diagnose"
	"goproxytrace/capture"
	"goproxytrace/capture/casefile"
	"goproxytrace/internal/outfile"
)

// keeping says why a case is kept.
type keeping uint8

const (
	notKept keeping = iota
	died
	sampled
	completed // it died by what was known while it ran, and came round
)

// worklist judges episodes and writes cases, one after the other.
type worklist struct {
	r      *Recorder
	wake   chan struct{}
	ended  chan struct{}
	ctx    context.Context
	cancel context.CancelFunc

	mu     sync.Mutex
	queue  []*job
	full   []*job // that wait for room on the disk
	next   time.Duration
	closed bool
	busy   bool  // one is being judged
	lost   int64 // cases that could not be written since the latest line
	said   bool  // that there is no room
}

const (
	// retryEvery is how often a disk that was full is tried.
	retryEvery = 30 * time.Second
	// maxTries is how often a build is judged that cannot be.
	maxTries = 3
	// abandon is how long a case that is given up may take to end.
	abandon = 3 * time.Second
	// maxQueued bounds the episodes that wait to be judged.
	maxQueued = 256
)

func (w *worklist) begin(r *Recorder) {
	w.r, w.wake, w.ended = r, make(chan struct{}, 1), make(chan struct{})
	w.ctx, w.cancel = context.WithCancel(context.Background())
	go w.run()
}

func (w *worklist) add(j *job) {
	w.mu.Lock()
	w.queue = append(w.queue, j)
	over := len(w.queue) > maxQueued
	w.mu.Unlock()
	if over {
		w.r.o.Warn(fmt.Errorf("%d builds wait to be judged: this machine has no time for it", maxQueued))
	}
	w.rouse()
}

func (w *worklist) rouse() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// retry has those that wait for room tried again now and then.
func (w *worklist) retry(now time.Duration) {
	w.mu.Lock()
	due := len(w.full) > 0 && now >= w.next
	if due {
		// One shows whether there is room: each is judged anew.
		w.next = now + retryEvery
		w.queue = append(w.queue, w.full[0])
		w.full = w.full[1:]
	}
	w.mu.Unlock()
	if due {
		w.rouse()
	}
}

// shed gives up what waits for the disk, the oldest first, until memory
// suffices.
func (w *worklist) shed(bytes *int64, most int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.full) > 0 && *bytes > most {
		*bytes -= w.full[0].held
		w.full = w.full[1:]
		w.lost++
	}
}

func (w *worklist) run() {
	defer close(w.ended)
	for {
		w.mu.Lock()
		var j *job
		if len(w.queue) > 0 {
			j = w.queue[0]
			w.queue = w.queue[1:]
		}
		w.busy = j != nil
		closed := w.closed
		w.mu.Unlock()
		switch {
		case j != nil:
			w.do(j)
		case closed:
			return
		default:
			<-w.wake
		}
	}
}

// end waits until all is done, or the time is over.
func (w *worklist) end(limit time.Duration) {
	w.mu.Lock()
	w.closed = true
	w.queue = append(w.queue, w.full...)
	w.full = nil
	w.mu.Unlock()
	w.rouse()
	select {
	case <-w.ended:
	case <-time.After(limit):
		w.cancel()
		select {
		case <-w.ended:
		case <-time.After(abandon): // a disk that hangs
		}
	}
	w.cancel()
}

// do judges a job, and keeps what is to be kept.
func (w *worklist) do(j *job) {
	waits := false
	defer func() {
		r := w.r
		r.mu.Lock()
		defer r.mu.Unlock()
		if j.trigger == Stalled {
			j.episode.judging = false
		}
		if !waits {
			r.bytes -= j.held
		}
	}()
	// What was written while it ran may have come after this was gathered.
	w.r.mu.Lock()
	j.previous = j.episode.provisional
	w.r.mu.Unlock()
	result, size, err := w.r.judge(w.ctx, j)
	if err != nil {
		// What an analysis needs may be short for a moment, such as room for
		// its temporary files.
		if j.tries++; j.tries < maxTries && w.ctx.Err() == nil && !w.isClosed() {
			waits = true
			w.wait(j, fmt.Errorf("a build could not be judged: %w", err))
			return
		}
		w.lose(err)
		return
	}
	defer func() { result.Close() }()
	class, dead := j.died(result, w.r.o.Analyze.Targets)
	// Whoever is ended by a signal leaves: what it waited for then is the question.
	left := dead && class == diagnose.ClientAborted
	if short := j.beforeItsEnd(); short != nil && (!dead || left) {
		again, n, err := w.r.judge(w.ctx, short)
		if err == nil {
			if c, d := short.died(again, w.r.o.Analyze.Targets); d && c != diagnose.ClientAborted {
				again, result, size, class, dead, j = result, again, n, c, d, short
			}
			again.Close()
		}
	}
	if left && class == diagnose.ClientAborted && j.interrupted() {
		dead = false
	}
	j.keptFor, j.class = notKept, class
	switch {
	case dead:
		j.keptFor = died
	case j.previous != nil && j.trigger != Stalled:
		j.keptFor = completed
	case j.sampled && j.network && j.trigger != Stopped:
		j.keptFor = sampled
	}
	if j.keptFor == notKept {
		return
	}
	s, err := w.r.keep(j, result, size)
	switch {
	case err == nil:
		w.r.kept(j, s)
		w.mu.Lock()
		w.said = false
		w.queue = append(w.full, w.queue...) // there is room again
		w.full = nil
		w.mu.Unlock()
	case errors.Is(err, errNoRoom) || w.ctx.Err() != nil || w.isClosed():
		w.lose(err)
	default:
		// Another try may have more luck: the disk is full, or was taken away.
		waits = true
		w.wait(j, fmt.Errorf("a case cannot be written: %w", err))
	}
}

func (w *worklist) isClosed() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.closed
}

func (w *worklist) lose(err error) {
	w.mu.Lock()
	w.lost++
	w.mu.Unlock()
	w.r.o.Warn(fmt.Errorf("a case is lost: %w", err))
}

func (w *worklist) wait(j *job, err error) {
	w.mu.Lock()
	w.full = append(w.full, j)
	w.next = w.r.o.Clock.Awake() + retryEvery
	said := w.said
	w.said = true
	w.mu.Unlock()
	if !said {
		w.r.o.Warn(fmt.Errorf("%w; it is kept in memory and tried again every %v", err, retryEvery))
	}
}

// kept notes that a case was written, and says so.
func (r *Recorder) kept(j *job, s *saved) {
	r.mu.Lock()
	if j.trigger == Stalled {
		j.episode.provisional = s
	}
	r.mu.Unlock()
	exit := "still runs"
	if code, known := j.code(); known {
		exit = fmt.Sprintf("exit code %d", code)
	} else if j.trigger == Ended {
		exit = "exit code not known"
	}
	r.o.Say(fmt.Sprintf("%s: %s (PID %d, %s): %s, %s", path.Join(casesDir, s.Name), plain(j.root), j.root.PID, exit, s.Class, s.Summary))
}

// keep writes a case and its line.
func (r *Recorder) keep(j *job, result *analyze.Result, size int64) (*saved, error) {
	st := r.store
	if err := r.atHome(); err != nil {
		return nil, err
	}
	share := st.max / 2
	early := size > share
	size = min(size, share)
	s := &saved{ID: st.newID(), Class: j.class}
	s.Name = caseName(capture.Timestamp(j.end), string(s.Class), s.ID)
	r.jobs.mu.Lock()
	lost := r.jobs.lost
	r.jobs.mu.Unlock()
	line, summary, err := r.line(j, result, s.ID, s.Name, early, lost)
	if err != nil {
		return nil, err
	}
	// The line is on the disk twice for a moment; a file system counts blocks.
	if _, err := st.makeRoom(size + 2*int64(len(line)) + 64<<10); err != nil {
		return nil, err
	}
	if err := r.writeCase(j, s.ID, size, early); err != nil {
		st.abandon(s.ID)
		return nil, err
	}
	if err := st.intent(s.ID, s.Name, line); err != nil {
		st.abandon(s.ID)
		return nil, err
	}
	completes := ""
	if j.previous != nil {
		completes = j.previous.Name
	}
	if err := st.place(s.ID, s.Name, line, completes); err != nil {
		st.abandon(s.ID)
		return nil, err
	}
	r.jobs.mu.Lock()
	r.jobs.lost -= lost
	r.jobs.mu.Unlock()
	s.Size, s.Summary = size, summary
	if j.class != result.Verdict.Class {
		s.Summary = "a connection of its own died, which others followed as if that were made good; but the build failed"
	}
	return s, nil
}

// writeCase writes the case file, complete and on the disk, where nobody looks
// for it yet.
func (r *Recorder) writeCase(j *job, id string, size int64, early bool) error {
	name := filepath.Join(tmpDir, id+caseEnd)
	f, err := r.store.root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if err := outfile.GiveToInvoker(f); err != nil {
		return errors.Join(err, f.Close())
	}
	o := r.caseOptions(nil)
	o.Into = f
	if early {
		o.MaxBytes = max(size, 64<<10)
	}
	w, err := casefile.Create(filepath.Join(r.store.dir, name), o)
	if err != nil {
		return err
	}
	err = errors.Join(j.write(w), w.Close())
	if early && errors.Is(err, casefile.ErrLimit) {
		err = nil
	}
	if err != nil {
		return err
	}
	if f, err = r.store.root.OpenFile(name, os.O_RDWR, 0); err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
