package storage

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// ErrLocked says that somebody else has a file locked.
var ErrLocked = errors.New("locked by another process")

// Lock opens a local file, which is made where it is not there, and locks it:
// shared with others that share it, or for itself alone. It does not wait. The lock
// is the open file's: it ends when that is closed, and with the process, however
// that ends. What the file holds can be read and written all the same.
//
// A file system without locks is errors.ErrUnsupported.
func Lock(path string, shared bool) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
		if err != nil {
			return nil, err
		}
		if err := lock(f, shared); err != nil {
			_ = f.Close()
			if !errors.Is(err, ErrLocked) {
				err = fmt.Errorf("lock %s: %w", path, err)
			}
			return nil, err
		}
		// Whoever had it may have removed it meanwhile: the lock would then be of
		// a file that nobody else finds.
		own, err := f.Stat()
		if err != nil {
			_ = f.Close()
			return nil, err
		}
		if now, err := os.Stat(path); err == nil && os.SameFile(own, now) {
			return f, nil
		}
		_ = f.Close()
	}
}

// RemoveLocked removes a file that Lock has opened, and gives its lock up.
func RemoveLocked(f *os.File) error {
	if removesOpen {
		return errors.Join(os.Remove(f.Name()), f.Close())
	}
	err := f.Close()
	// Where another process has it open by now, it stays.
	_ = os.Remove(f.Name())
	return err
}
