package recorder

import (
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"goproxytrace/analyze/diagnose"
	"goproxytrace/internal/outfile"
)

// Names below the recorder's directory.
const (
	casesDir  = "cases"
	tmpDir    = "tmp"
	lockFile  = "lock"
	logFile   = "verdicts.ndjson"
	logPrefix = "verdicts-"
	logSuffix = ".ndjson"
	caseEnd   = ".pcapng"
	lineEnd   = ".line"
	stampForm = "20060102T150405Z"
)

// ErrInUse says that another recorder writes to the directory.
var ErrInUse = errors.New("another recorder uses this directory")

// errNoRoom says that a case is larger than the disk limit allows.
var errNoRoom = errors.New("the case is larger than --max-disk allows")

// store is the recorder's directory.
type store struct {
	// named is the directory's name as it was given, dir where that led to.
	named, dir string

	root *os.Root
	max  int64
	now  func() time.Time
	lock *os.File
	log  *log
	// recovered says what an earlier recorder has left behind.
	recovered []string

	mu  sync.Mutex
	seq uint32 // of the latest case
}

// openStore takes possession of a directory, which is made where it is not
// there, and completes what an earlier recorder could not.
func openStore(dir string, max int64, now func() time.Time) (_ *store, err error) {
	named := dir
	_, err = os.Lstat(dir)
	fresh := errors.Is(err, fs.ErrNotExist)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	st, err := os.Lstat(dir)
	if err != nil {
		return nil, err
	}
	if st.Mode()&fs.ModeSymlink != 0 && ownLink(st) {
		// Such as systemd makes for a directory of a dynamic user.
		if dir, err = filepath.EvalSymlinks(dir); err != nil {
			return nil, err
		}
		if st, err = os.Lstat(dir); err != nil {
			return nil, err
		}
	}
	if err := safeDir(dir, st); err != nil {
		return nil, err
	}
	s := &store{named: named, dir: dir, max: max, now: now}
	if s.root, err = os.OpenRoot(dir); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	// What was opened is what was looked at.
	if opened, err := s.root.Stat("."); err != nil || !os.SameFile(st, opened) {
		return nil, errors.Join(err, fmt.Errorf("%s was replaced while it was opened", dir))
	}
	if fresh {
		if err := s.give("."); err != nil {
			return nil, err
		}
	}
	if err := s.furnish(); err != nil {
		return nil, err
	}
	s.log = &log{store: s, most: min(max/64, 16<<20)}
	if err := s.recover(); err != nil {
		return nil, err
	}
	return s, nil
}

// give makes a directory that was made the property of the user that sudo was
// called by, as its files are.
func (s *store) give(name string) error {
	d, err := s.root.Open(name)
	if err != nil {
		return err
	}
	defer d.Close()
	return outfile.GiveToInvoker(d)
}

// safeDir refuses a directory in which somebody else could replace what is
// written.
func safeDir(dir string, st fs.FileInfo) error {
	switch {
	case st.Mode()&fs.ModeSymlink != 0:
		return fmt.Errorf("%s is a symbolic link of another user", dir)
	case !st.IsDir():
		return fmt.Errorf("%s is no directory", dir)
	case !outfile.Trusted(st):
		return fmt.Errorf("%s belongs to another user", dir)
	case sharedMode(st.Mode()):
		return fmt.Errorf("others may write to %s (mode %v)", dir, st.Mode().Perm())
	}
	return nil
}

func (s *store) close() error {
	var err error
	if s.log != nil {
		err = s.log.close()
	}
	if s.lock != nil {
		err = errors.Join(err, s.lock.Close())
	}
	if s.root != nil {
		err = errors.Join(err, s.root.Close())
	}
	return err
}

// saved is a case that was written.
type saved struct {
	ID   string
	Name string // below cases
	Size int64
	// Class and Summary are the verdict's.
	Class   diagnose.Class
	Summary string
}

// newID makes a case's identifier: a number that grows while there are cases,
// and one that nobody else has.
func (s *store) newID() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seq = (s.seq + 1) & 0xffffff
	var b [3]byte
	_, _ = rand.Read(b[:]) // it never fails (crypto/rand)
	return fmt.Sprintf("%06x%s", s.seq, hex.EncodeToString(b[:]))
}

// caseName names a case by the time of its end, its class and its identifier.
func caseName(at time.Time, class, id string) string {
	return at.UTC().Format(stampForm) + "-" + class + "-" + id + caseEnd
}

// idOf is the identifier in a case's name, and the number that it begins with.
func idOf(name string) (id string, seq uint32, ok bool) {
	name, found := strings.CutSuffix(name, caseEnd)
	i := strings.LastIndexByte(name, '-')
	if !found || i < 0 {
		return "", 0, false
	}
	id = name[i+1:]
	seq, ok = seqOf(id)
	return id, seq, ok
}

// seqOf is the number that an identifier begins with.
func seqOf(id string) (seq uint32, ok bool) {
	b, err := hex.DecodeString(id)
	if err != nil || len(b) != 6 {
		return 0, false
	}
	return uint32(b[0])<<16 | uint32(b[1])<<8 | uint32(b[2]), true
}

// kept is a file that counts for the limit.
type kept struct {
	name string // below the directory
	size int64
	seq  uint32
	log  bool
	// written is when it was written last, Unix ns.
	written int64
}

// files lists what is kept, the oldest first: cases by their numbers, since a
// clock may have been set back, then logs that were rotated, and the log.
func (s *store) files() (out []kept, total int64, err error) {
	cases, err := s.list(casesDir)
	if err != nil {
		return nil, 0, err
	}
	for _, e := range cases {
		_, seq, ok := idOf(path.Base(e.name))
		if !ok {
			continue // somebody's notes
		}
		e.seq = seq
		out = append(out, e)
		total += e.size
	}
	slices.SortFunc(out, func(a, b kept) int { return cmp.Or(cmp.Compare(a.seq, b.seq), cmp.Compare(a.name, b.name)) })
	logs, err := s.list(".")
	if err != nil {
		return nil, 0, err
	}
	slices.SortFunc(logs, func(a, b kept) int { return cmp.Or(cmp.Compare(a.written, b.written), cmp.Compare(a.name, b.name)) })
	var own, current []kept
	for _, e := range logs {
		e.log = true
		seq, rotated := rotatedLog(e.name)
		switch {
		case e.name == logFile:
			current = append(current, e)
		case rotated:
			e.seq = seq
			own = append(own, e)
		case strings.HasPrefix(e.name, logFile):
			out = append(out, e) // another program's, by its time
		default:
			continue
		}
		total += e.size
	}
	slices.SortFunc(own, func(a, b kept) int { return cmp.Compare(a.name, b.name) })
	return slices.Concat(out, own, current), total, nil
}

// rotatedLog tells a log that the recorder has rotated by its name, and the
// number in that.
func rotatedLog(name string) (seq uint32, ok bool) {
	rest, begins := strings.CutPrefix(name, logPrefix)
	rest, ends := strings.CutSuffix(rest, logSuffix)
	id, at, found := strings.Cut(rest, "-")
	if !begins || !ends || !found || len(at) != len(stampForm) {
		return 0, false
	}
	return seqOf(id)
}

func (s *store) list(dir string) (out []kept, err error) {
	entries, err := fs.ReadDir(s.root.FS(), dir)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.dir, err)
	}
	for _, e := range entries {
		if !e.Type().IsRegular() {
			continue
		}
		st, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // somebody has removed it meanwhile
		}
		if err != nil {
			return nil, err
		}
		out = append(out, kept{name: path.Join(dir, e.Name()), size: st.Size(), written: st.ModTime().UnixNano()})
	}
	return out, nil
}

// makeRoom removes what is oldest until there is room for so many bytes.
func (s *store) makeRoom(need int64) (removed int, err error) {
	if need > s.max {
		return 0, errNoRoom
	}
	if err := s.log.trim(); err != nil {
		return 0, err
	}
	files, total, err := s.files()
	if err != nil {
		return 0, err
	}
	for _, f := range files {
		if total+need <= s.max {
			return removed, nil
		}
		if f.name == logFile {
			continue
		}
		if err := s.root.Remove(filepath.FromSlash(f.name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return removed, err
		}
		total -= f.size
		removed++
	}
	if total+need > s.max {
		return removed, errNoRoom
	}
	return removed, nil
}

// sync makes sure that a directory's names outlive a power cut.
func (s *store) sync(dir string) error {
	d, err := s.root.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return syncDir(d)
}

// intent is what stands in tmp/ID.line before a case is put in place: the
// case's name, and the line for the log. Whoever finds it completes it.
func (s *store) intent(id, name string, line []byte) error {
	f, err := s.root.OpenFile(filepath.Join(tmpDir, id+lineEnd), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(slices.Concat([]byte(name+"\n"), line))
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		_ = s.root.Remove(filepath.Join(tmpDir, id+lineEnd))
	}
	return err
}

// place puts a case that is complete in tmp into its place, adds its line to the
// log, and removes the case that it completes.
func (s *store) place(id, name string, line []byte, completes string) error {
	if err := s.root.Rename(filepath.Join(tmpDir, id+caseEnd), filepath.Join(casesDir, name)); err != nil {
		return err
	}
	_ = s.sync(casesDir) // a file system that cannot has done what it can
	if err := s.log.append(line); err != nil {
		// A case without its line would never be heard of.
		_ = s.root.Rename(filepath.Join(casesDir, name), filepath.Join(tmpDir, id+caseEnd))
		return err
	}
	if completes != "" {
		_ = s.root.Remove(filepath.Join(casesDir, completes)) // it may be gone already
	}
	_ = s.root.Remove(filepath.Join(tmpDir, id+lineEnd))
	return nil
}

// abandon removes what was begun of a case.
func (s *store) abandon(id string) {
	_ = s.root.Remove(filepath.Join(tmpDir, id+lineEnd))
	_ = s.root.Remove(filepath.Join(tmpDir, id+caseEnd))
}
