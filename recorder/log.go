package recorder

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"goproxytrace/internal/outfile"
)

// log is the file of verdicts, one JSON object a line. Other programs may follow
// it, move it away (logrotate), or cut it (copytruncate).
type log struct {
	store *store
	most  int64 // bytes from which on it is rotated

	mu sync.Mutex
	f  *os.File
}

// append adds a line in one write.
func (l *log) append(line []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.open(); err != nil {
		return err
	}
	st, err := l.f.Stat()
	if err != nil {
		return err
	}
	if st.Size() > 0 && st.Size()+int64(len(line)) > l.most {
		if err := l.rotate(); err != nil {
			return err
		}
		if st, err = l.f.Stat(); err != nil {
			return err
		}
	}
	if size := st.Size(); size > 0 {
		// Another program's text, or a line that could not be taken back: what is
		// added stands in a line of its own all the same.
		var last [1]byte
		if n, _ := l.f.ReadAt(last[:], size-1); n == 1 && last[0] != '\n' {
			line = slices.Concat([]byte("\n"), line)
		}
	}
	n, err := l.f.Write(line)
	if err == nil {
		_ = l.f.Sync() // a file system that cannot has done what it can
		return nil
	}
	if n > 0 {
		// Half a line is none; who follows waits for its end.
		err = errors.Join(err, l.f.Truncate(st.Size()))
	}
	return fmt.Errorf("%s: %w", logFile, err)
}

// open opens the log, anew where the name leads elsewhere by now.
func (l *log) open() error {
	st, err := l.store.root.Lstat(logFile)
	switch {
	case err == nil && !st.Mode().IsRegular():
		return fmt.Errorf("%s is no regular file", logFile)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if l.f != nil {
		if have, herr := l.f.Stat(); err == nil && herr == nil && os.SameFile(st, have) {
			return nil
		}
		l.f.Close()
		l.f = nil
	}
	fresh := err != nil
	if l.f, err = l.store.root.OpenFile(logFile, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600); err != nil {
		return err
	}
	if fresh {
		return outfile.GiveToInvoker(l.f)
	}
	return nil
}

// rotate moves the log away, to a name that stays.
func (l *log) rotate() error {
	name := logPrefix + l.store.newID() + "-" + l.store.now().UTC().Format(stampForm) + logSuffix
	if err := l.close0(); err != nil {
		return err
	}
	if err := l.store.root.Rename(logFile, name); err != nil {
		return err
	}
	return l.open()
}

// trim removes rotated logs, the oldest first, where they take more than a quarter
// of the limit.
func (l *log) trim() error {
	files, _, err := l.store.files()
	if err != nil {
		return err
	}
	var total int64
	for _, f := range slices.Backward(files) {
		if !f.log || f.name == logFile {
			continue
		}
		if total += f.size; total > l.store.max/4 {
			if err := l.store.root.Remove(filepath.FromSlash(f.name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}

func (l *log) close0() error {
	if l.f == nil {
		return nil
	}
	err := l.f.Close()
	l.f = nil
	return err
}

func (l *log) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.close0()
}

// reopen lets go of the file; the next line opens what the name leads to then.
func (l *log) reopen() { _ = l.close() }

// repair cuts off a line that was not written to its end.
func (l *log) repair() (cut int64, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.open(); err != nil {
		return 0, err
	}
	st, err := l.f.Stat()
	if err != nil || st.Size() == 0 {
		return 0, err
	}
	size := st.Size()
	const step = 64 << 10
	for end := size; end > 0; {
		from := max(end-step, 0)
		b := make([]byte, end-from)
		if _, err := l.f.ReadAt(b, from); err != nil {
			return 0, err
		}
		if i := bytes.LastIndexByte(b, '\n'); i >= 0 {
			end = from + int64(i) + 1
			if end == size {
				return 0, nil
			}
			return size - end, l.f.Truncate(end)
		}
		end = from
	}
	return size, l.f.Truncate(0)
}

// holds reports whether a log has a text: the latest are looked at first.
func (l *log) holds(text []byte) (bool, error) {
	files, _, err := l.store.files()
	if err != nil {
		return false, err
	}
	for i := len(files) - 1; i >= 0; i-- {
		if !files[i].log {
			continue
		}
		found, err := l.search(files[i].name, text)
		if found || err != nil {
			return found, err
		}
	}
	return false, nil
}

func (l *log) search(name string, text []byte) (bool, error) {
	f, err := l.store.root.Open(name)
	if err != nil {
		return false, err
	}
	defer f.Close()
	buf := make([]byte, 256<<10)
	have := 0
	for {
		n, err := f.Read(buf[have:])
		have += n
		if bytes.Contains(buf[:have], text) {
			return true, nil
		}
		if errors.Is(err, io.EOF) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		if keep := len(text); have > keep {
			copy(buf, buf[have-keep:have])
			have = keep
		}
	}
}
