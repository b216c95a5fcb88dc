package push

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"goproxytrace/capture/pcapfile"
)

// Follower reads the log of a flight recorder (goproxytrace live --recorder DIR)
// as it grows: verdicts.ndjson, and what became of earlier ones.
//
// It keeps no file open, so that whoever moves or cuts the log can, and no place
// in it: after a start all that is there is read, and what was sent is left out.
// A file is known again by its identity, under whatever name.
type Follower struct {
	Dir string
	// Every is how often the directory is looked at, zero for a second.
	Every time.Duration
	// Hold is for how long a case is held back that was written while its
	// build still ran, from its end: a later one tells the same, and more.
	// Zero sends it at once.
	Hold   time.Duration
	Reader *Reader
	Pusher *Pusher

	files   []*followed
	held    []*held
	missing bool
	told    map[[sha256.Size]byte]bool // lines that were complained of
}

// The names of the recorder's log. What was rotated has any name that begins
// like it.
const (
	logName   = "verdicts.ndjson"
	logBegins = "verdicts"
)

// followed is a file that was read as far as at.
type followed struct {
	info fs.FileInfo
	name string
	at   int64
	// before are the bytes in front of at: another content has others.
	before []byte
	gone   bool
}

const maxBefore = 256

// held is a case that waits for one that completes it.
type held struct {
	id, path string
	raw      []byte
	until    time.Time
}

// Bounds of what a Follower keeps in mind.
const (
	maxHeld = 256
	maxTold = 4096
)

// Run follows until ctx ends, whose error it returns, or nothing can be sent any
// more.
func (f *Follower) Run(ctx context.Context) error {
	for {
		if err := f.Look(ctx); err != nil {
			return err
		}
		if err := f.Pusher.Flush(ctx); err != nil {
			return err
		}
		every := f.Every
		if every <= 0 {
			every = time.Second
		}
		timer := time.NewTimer(every)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
	}
}

// Look reads what is new, once.
func (f *Follower) Look(ctx context.Context) error {
	if f.told == nil {
		f.told = map[[sha256.Size]byte]bool{}
	}
	list, err := f.list()
	if err != nil {
		if !f.missing {
			f.Pusher.warn(fmt.Errorf("waiting for the recorder: %w", err))
		}
		f.missing = true
		return nil
	}
	f.missing = false
	for _, x := range f.files {
		x.gone = true
	}
	for _, l := range list {
		x := f.find(l.info)
		changed := x.info == nil || x.info.Size() != l.info.Size() || !x.info.ModTime().Equal(l.info.ModTime())
		x.gone, x.name = false, l.name
		if !changed {
			continue
		}
		if err := f.read(ctx, x); err != nil {
			return err
		}
	}
	f.files = slices.DeleteFunc(f.files, func(x *followed) bool { return x.gone })
	return f.expire(ctx, time.Now())
}

type listed struct {
	name string
	info fs.FileInfo
}

// list lists the logs, the oldest first.
func (f *Follower) list() (out []listed, err error) {
	entries, err := os.ReadDir(f.Dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		name := e.Name()
		if !strings.HasPrefix(name, logBegins) || !strings.Contains(name, ".ndjson") || !e.Type().IsRegular() {
			continue
		}
		info, err := os.Lstat(filepath.Join(f.Dir, name))
		if err != nil || !info.Mode().IsRegular() {
			continue // it was moved meanwhile: next time
		}
		out = append(out, listed{name, info})
	}
	slices.SortFunc(out, func(a, b listed) int {
		switch {
		case (a.name == logName) != (b.name == logName):
			if a.name == logName {
				return 1
			}
			return -1
		case !a.info.ModTime().Equal(b.info.ModTime()):
			return a.info.ModTime().Compare(b.info.ModTime())
		}
		return strings.Compare(a.name, b.name)
	})
	return out, nil
}

func (f *Follower) find(info fs.FileInfo) *followed {
	for _, x := range f.files {
		if x.info != nil && os.SameFile(x.info, info) {
			return x
		}
	}
	x := &followed{}
	f.files = append(f.files, x)
	return x
}

// read takes the lines of a file that were completed since it was read last.
func (f *Follower) read(ctx context.Context, x *followed) error {
	path := filepath.Join(f.Dir, x.name)
	file, err := os.Open(path)
	if err != nil {
		return nil // moved or removed meanwhile: next time
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return nil
	}
	// Of an open file: what else knows a file by its path would on Windows take
	// the next one of that name for it.
	x.info = info
	if isCompressed(file) {
		return f.compressed(ctx, path, file)
	}
	if x.at > info.Size() || !x.same(file) {
		x.at, x.before = 0, nil // cut, and written anew (copytruncate)
	}
	if _, err := file.Seek(x.at, io.SeekStart); err != nil {
		return nil
	}
	lines := &lineReader{r: bufio.NewReaderSize(file, 64<<10), at: x.at}
	for {
		raw, whole, err := lines.next()
		if whole {
			if err != nil {
				f.complain(raw, fmt.Errorf("%s, before byte %d: %w", path, lines.at, err))
			} else if err := f.line(ctx, path, raw, lines.at-int64(len(raw))); err != nil {
				return err
			}
			x.at = lines.at
			x.before = bytes.Clone(raw[max(len(raw)-maxBefore, 0):])
			continue
		}
		if len(raw) > 0 && x.name != logName && time.Since(info.ModTime()) > settled {
			f.complain(raw, fmt.Errorf("%s, byte %d: half a line", path, lines.at))
		}
		return nil
	}
}

// settled is after how long nothing more is expected in a log that was rotated.
const settled = 10 * time.Second

// same reports whether what was read is still there.
func (x *followed) same(file io.ReaderAt) bool {
	have := make([]byte, len(x.before))
	n, _ := file.ReadAt(have, x.at-int64(len(have)))
	return bytes.Equal(have[:n], x.before)
}

// isCompressed reports whether a file is gzip or zstd.
func isCompressed(file io.ReaderAt) bool {
	head := make([]byte, 4)
	n, _ := file.ReadAt(head, 0)
	return bytes.HasPrefix(head[:n], []byte("\x1f\x8b")) || bytes.HasPrefix(head[:n], []byte("\x28\xb5\x2f\xfd"))
}

// compressed reads a log that was compressed after it was rotated.
func (f *Follower) compressed(ctx context.Context, path string, file io.Reader) error {
	plain, err := pcapfile.Decompress(file)
	if err != nil {
		return nil // in the making
	}
	defer plain.Close()
	lines := &lineReader{r: bufio.NewReaderSize(plain, 64<<10)}
	for {
		raw, whole, err := lines.next()
		if !whole {
			return nil // the end, or as far as it is written
		}
		if err != nil {
			f.complain(raw, fmt.Errorf("%s: %w", path, err))
		} else if err := f.line(ctx, path, raw, lines.at-int64(len(raw))); err != nil {
			return err
		}
	}
}

// line takes one line of a log.
func (f *Follower) line(ctx context.Context, path string, raw []byte, at int64) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if len(bytes.TrimSpace(raw)) == 0 {
		return nil
	}
	name := fmt.Sprintf("%s, byte %d", path, at)
	l, err := recorderLine(raw)
	if err != nil {
		f.complain(raw, fmt.Errorf("%s: %w", name, err))
		return nil
	}
	if l != nil && l.Completes != "" {
		if err := f.supersede(l.Completes); err != nil {
			return err
		}
	}
	if l != nil && l.CaseID != "" {
		known, err := f.Pusher.State.Recorded(l.CaseID)
		if err != nil {
			return err
		}
		if known != "" && !f.Pusher.Again {
			return nil
		}
		if l.LostCases > 0 {
			f.Pusher.warn(fmt.Errorf("%s: the recorder could not write %d cases before this one", name, l.LostCases))
		}
		if until := l.End.Add(f.Hold); provisional(l) && time.Now().Before(until) {
			return f.hold(ctx, &held{l.CaseID, name, bytes.Clone(raw), until})
		}
	}
	return f.push(ctx, name, raw)
}

func (f *Follower) push(ctx context.Context, name string, raw []byte) error {
	err := f.Reader.line(name, raw, 0, func(c *Case) error { return f.Pusher.Push(ctx, c) })
	if IsUnreadable(err) {
		f.complain(raw, err)
		return nil
	}
	return err
}

func (f *Follower) hold(ctx context.Context, h *held) error {
	for _, have := range f.held {
		if have.id == h.id {
			return nil // the log was read again
		}
	}
	f.held = append(f.held, h)
	if len(f.held) <= maxHeld {
		return nil
	}
	h, f.held = f.held[0], f.held[1:]
	return f.push(ctx, h.path, h.raw)
}

// supersede drops the held case that another one completes.
func (f *Follower) supersede(id string) error {
	for i, h := range f.held {
		if h.id == id {
			f.held = slices.Delete(f.held, i, i+1)
			err := f.Reader.line(h.path, h.raw, 0, f.Pusher.Supersede)
			if IsUnreadable(err) {
				f.complain(h.raw, err)
				return nil
			}
			return err
		}
	}
	return nil
}

// expire sends the cases that were held back for long enough.
func (f *Follower) expire(ctx context.Context, now time.Time) error {
	for i := 0; i < len(f.held); {
		h := f.held[i]
		if now.Before(h.until) {
			i++
			continue
		}
		if err := f.push(ctx, h.path, h.raw); err != nil {
			return err
		}
		f.held = slices.Delete(f.held, i, i+1)
	}
	return nil
}

// complain names a line that is no case, once.
func (f *Follower) complain(raw []byte, err error) {
	sum := sha256.Sum256(raw)
	if f.told[sum] {
		return
	}
	if len(f.told) < maxTold {
		f.told[sum] = true
	}
	f.Pusher.Stats.Unreadable++
	f.Pusher.warn(err)
}
