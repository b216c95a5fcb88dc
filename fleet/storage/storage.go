// Package storage finds, reads and writes files where Beam's file systems do: on
// local disks, and in object stores by URL (gs://, s3://).
//
// In go paths and patterns, out come streams. A file that is written is there as
// a whole or not at all. Beam's own file systems leave that to their callers, list
// local directories without **, and open a local file to learn its size; what is
// here is what they lack.
package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/apache/beam/sdks/v2/go/pkg/beam/io/filesystem"
	// The file systems that paths may name.
	_ "github.com/apache/beam/sdks/v2/go/pkg/beam/io/filesystem/gcs"
	_ "github.com/apache/beam/sdks/v2/go/pkg/beam/io/filesystem/local"
	_ "github.com/apache/beam/sdks/v2/go/pkg/beam/io/filesystem/s3"
)

// IsLocal reports whether a path is one of this machine's.
func IsLocal(path string) bool { return scheme(path) == "" }

func scheme(path string) string {
	if i := strings.Index(path, "://"); i > 0 {
		return path[:i]
	}
	return ""
}

// Join appends names to a directory's path.
func Join(dir string, names ...string) string {
	if IsLocal(dir) {
		return filepath.Join(append([]string{dir}, names...)...)
	}
	return strings.TrimRight(dir, "/") + "/" + strings.Join(names, "/")
}

// Beam's file systems keep a client with its credentials: there is one for each
// scheme, for as long as the process lives.
var (
	opening sync.Mutex
	opened  = map[string]filesystem.Interface{}
)

func open(ctx context.Context, path string) (out filesystem.Interface, err error) {
	opening.Lock()
	defer opening.Unlock()
	if f := opened[scheme(path)]; f != nil {
		return f, nil
	}
	defer func() {
		// A file system without its credentials says so by a panic.
		if p := recover(); p != nil {
			err = fmt.Errorf("%s: %v", path, p)
		}
	}()
	f, err := filesystem.New(context.WithoutCancel(ctx), path)
	if err != nil {
		return nil, fmt.Errorf("%s: unknown file system %q", path, scheme(path))
	}
	opened[scheme(path)] = f
	return f, nil
}

// ErrNotFile says that a path names something that cannot be read from its start
// to its end: a directory, a pipe, a device.
var ErrNotFile = errors.New("not a regular file")

// Open opens a file for reading and returns its size in bytes.
func Open(ctx context.Context, path string) (io.ReadCloser, int64, error) {
	if IsLocal(path) {
		// Opening a pipe waits for its writer.
		st, err := os.Stat(path)
		if err != nil {
			return nil, 0, err
		}
		if !st.Mode().IsRegular() {
			return nil, 0, fmt.Errorf("%s: %w", path, ErrNotFile)
		}
		f, err := os.Open(path)
		return f, st.Size(), err
	}
	f, err := open(ctx, path)
	if err != nil {
		return nil, 0, err
	}
	size, err := f.Size(ctx, path)
	if err != nil {
		return nil, 0, err
	}
	r, err := f.OpenRead(ctx, path)
	return r, size, err
}

// Read returns what a file holds, at most limit bytes.
func Read(ctx context.Context, path string, limit int64) ([]byte, error) {
	r, size, err := Open(ctx, path)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	if size > limit {
		return nil, fmt.Errorf("%s: %d bytes, more than %d", path, size, limit)
	}
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = fmt.Errorf("%s: more than %d bytes", path, limit)
	}
	return b, err
}

// Exists reports whether there is a file.
func Exists(ctx context.Context, path string) (bool, error) {
	if IsLocal(path) {
		_, err := os.Stat(path)
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		return err == nil, err
	}
	names, err := List(ctx, path)
	return len(names) > 0, err
}

// Remove removes a file; one that is not there is removed already.
func Remove(ctx context.Context, path string) error {
	if IsLocal(path) {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	f, err := open(ctx, path)
	if err != nil {
		return err
	}
	r, ok := f.(filesystem.Remover)
	if !ok {
		return fmt.Errorf("%s: this file system removes nothing", path)
	}
	there, err := Exists(ctx, path)
	if err != nil || !there {
		return err
	}
	return r.Remove(ctx, path)
}

// Rename gives a file another name in the same file system. It replaces what has
// that name.
func Rename(ctx context.Context, from, to string) error {
	if IsLocal(from) {
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		return os.Rename(from, to)
	}
	f, err := open(ctx, from)
	if err != nil {
		return err
	}
	return filesystem.Rename(ctx, f, from, to)
}
