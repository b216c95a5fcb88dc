package casefile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"goproxytrace/internal/outfile"
)

// place opens a new file at path, readable by its owner alone. A regular file
// there is replaced, not written into: another process may hold it open, and
// in a shared directory its owner may be anybody. Nothing is reached through
// a symbolic link but standard output (/dev/stdout is one).
func place(path string, stdout *os.File) (*os.File, error) {
	if path == "-" {
		return stdout, nil
	}
	for range 8 {
		// Read, too: see disk.retreat.
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
		if err == nil {
			if err := outfile.GiveToInvoker(f); err != nil {
				f.Close()
				os.Remove(path)
				return nil, err
			}
			return f, nil
		}
		if !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		st, err := os.Lstat(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		switch mode := st.Mode(); {
		case mode.IsRegular():
			if err := os.Remove(path); err != nil {
				return nil, err
			}
			continue
		case mode&fs.ModeNamedPipe != 0:
			return openPipe(path)
		case mode&fs.ModeSymlink != 0 && isStdout(path, stdout):
			return stdout, nil
		default:
			return nil, &fs.PathError{Op: "write", Path: path, Err: fmt.Errorf("is %s; only a regular file or a pipe is written", describe(mode))}
		}
	}
	return nil, &fs.PathError{Op: "create", Path: path, Err: errors.New("somebody keeps creating it")}
}

func describe(mode fs.FileMode) string {
	switch {
	case mode&fs.ModeSymlink != 0:
		return "a symbolic link"
	case mode.IsDir():
		return "a directory"
	case mode&fs.ModeSocket != 0:
		return "a socket"
	case mode&fs.ModeDevice != 0:
		return "a device"
	}
	return "no regular file"
}

func isStdout(path string, stdout *os.File) bool {
	a, err := os.Stat(path)
	if err != nil {
		return false
	}
	b, err := stdout.Stat()
	return err == nil && os.SameFile(a, b)
}

// openPipe opens a named pipe of the user's own; it waits for a reader.
func openPipe(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return nil, err
	}
	// Looked at once it is open: the name may lead elsewhere by now.
	st, err := f.Stat()
	if err == nil && (st.Mode()&fs.ModeNamedPipe == 0 || !outfile.Trusted(st)) {
		err = &fs.PathError{Op: "write", Path: path, Err: errors.New("is a pipe of another user")}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// ringName names a file of a ring as dumpcap does.
func ringName(path string, number int, at time.Time) string {
	ext := filepath.Ext(path)
	return fmt.Sprintf("%s_%05d_%s%s", strings.TrimSuffix(path, ext), number, at.Format("20060102150405"), ext)
}
