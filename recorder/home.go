package recorder

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"goproxytrace/internal/outfile"
)

// atHome makes sure that the directory is the one that its name leads to, with
// all that is needed in it. Where it was removed, or moved away, a new one is
// begun under the name.
func (r *Recorder) atHome() error {
	s := r.store
	notes, err := s.atHome()
	for _, note := range notes {
		r.o.Warn(errors.New(note))
	}
	return err
}

func (s *store) atHome() (notes []string, err error) {
	st, err := os.Stat(s.named)
	here, lost := s.root.Stat(".")
	if err == nil && lost == nil && os.SameFile(st, here) {
		return nil, s.furnish()
	}
	fresh, err := openStore(s.named, s.max, s.now)
	if err != nil {
		if lost := s.furnish(); lost != nil {
			return nil, err
		}
		return nil, nil // it was moved away, and can be written to where it is now
	}
	notes = append(fresh.recovered, fmt.Sprintf("%s is another directory than it was: cases go to that one from now on", s.named))
	s.mu.Lock()
	s.seq = max(s.seq, fresh.seq)
	s.mu.Unlock()
	_ = fresh.log.close() // nothing is held back
	s.log.reopen()
	s.lock.Close()
	s.root.Close()
	s.dir, s.root, s.lock = fresh.dir, fresh.root, fresh.lock
	return notes, nil
}

// furnish makes what is missing in the directory, and takes possession of it
// again where the lock was removed.
func (s *store) furnish() error {
	for _, name := range []string{casesDir, tmpDir} {
		err := s.root.Mkdir(name, 0o700)
		if err == nil {
			err = s.give(name)
		}
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("%s: %w", s.dir, err)
		}
		if st, err := s.root.Lstat(name); err != nil || !st.IsDir() {
			return errors.Join(err, fmt.Errorf("%s in %s is no directory", name, s.dir))
		}
	}
	if s.lock != nil {
		named, err := s.root.Lstat(lockFile)
		held, lost := s.lock.Stat()
		if err == nil && lost == nil && os.SameFile(named, held) {
			return nil
		}
	}
	f, err := s.root.OpenFile(lockFile, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("%s: %w", s.dir, err)
	}
	if err := errors.Join(outfile.GiveToInvoker(f), lock(f)); err != nil {
		f.Close()
		return fmt.Errorf("%s: %w", s.dir, err)
	}
	if s.lock != nil {
		s.lock.Close()
	}
	s.lock = f
	return nil
}
