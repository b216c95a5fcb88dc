package pipeline

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"goproxytrace/fleet/storage"
)

// lockFile is the file by which an output directory is held. Results are none of
// its business: it is gone when nobody holds the directory, unless the holder was
// killed.
const lockFile = "_lock"

// ErrHeld says that another run uses an output directory.
var ErrHeld = errors.New("another run is using this output directory")

// Hold makes this process the only one that prepares, runs and publishes in an
// output directory, until release is called or the process ends, however it does:
// one that was killed holds nothing. Two runs at once would remove each other's
// parts.
//
// Objects cannot be locked, nor can files where the file system has no locks: there
// is then nothing to release, and nothing is kept out.
func Hold(ctx context.Context, out string) (release func(), err error) {
	if err := absolute(&out); err != nil {
		return nil, err
	}
	if !storage.IsLocal(out) {
		return func() {}, ctx.Err()
	}
	_, err = os.Stat(out)
	made := errors.Is(err, os.ErrNotExist)
	path := storage.Join(out, lockFile)
	f, err := storage.Lock(path, false)
	switch {
	case errors.Is(err, errors.ErrUnsupported):
		return func() { _ = os.Remove(path) }, nil
	case errors.Is(err, storage.ErrLocked):
		return nil, fmt.Errorf("%s: %w%s", out, ErrHeld, holder(path))
	case err != nil:
		return nil, err
	}
	// Whoever is kept out says whom by: without this, it does not.
	host, _ := os.Hostname()
	if err := f.Truncate(0); err == nil {
		_, _ = f.WriteAt(fmt.Appendf(nil, "%d %s\n", os.Getpid(), host), 0)
	}
	return func() {
		_ = storage.RemoveLocked(f)
		if made {
			_ = os.Remove(out) // not where it holds something
		}
	}, nil
}

// holder says which process holds a directory, as far as that is known.
func holder(path string) string {
	for range 20 {
		raw, err := os.ReadFile(path)
		if err != nil {
			return ""
		}
		if pid, host, ok := strings.Cut(strings.TrimSuffix(string(raw), "\n"), " "); ok {
			if own, err := os.Hostname(); err == nil && host != own {
				return fmt.Sprintf(" (process %s on %s)", pid, host)
			}
			return fmt.Sprintf(" (process %s)", pid)
		}
		// It has the lock and is about to write.
		time.Sleep(5 * time.Millisecond)
	}
	return ""
}
