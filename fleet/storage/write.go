package storage

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Writer writes one file, which is there once Commit has returned and not before.
type Writer struct {
	path string
	// temporary is where a local file is written; empty for an object, which
	// its store shows only when it is complete.
	temporary string
	w         io.WriteCloser
	cancel    context.CancelFunc
}

// Create begins a file. Directories are made as needed.
func Create(ctx context.Context, path string) (*Writer, error) {
	if IsLocal(path) {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return nil, err
		}
		var tag [6]byte
		_, _ = rand.Read(tag[:]) // never fails
		name := path + "." + hex.EncodeToString(tag[:]) + ".partial"
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if err != nil {
			return nil, err
		}
		return &Writer{path: path, temporary: name, w: f, cancel: func() {}}, nil
	}
	f, err := open(ctx, path)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	w, err := f.OpenWrite(ctx, path)
	if err != nil {
		cancel()
		return nil, err
	}
	return &Writer{path: path, w: w, cancel: cancel}, nil
}

func (w *Writer) Write(b []byte) (int, error) { return w.w.Write(b) }

// Commit ends the file. It replaces one of the same name.
func (w *Writer) Commit() error {
	defer w.cancel()
	if err := w.w.Close(); err != nil {
		w.discard()
		return fmt.Errorf("%s: %w", w.path, err)
	}
	if w.temporary == "" {
		return nil
	}
	if err := os.Rename(w.temporary, w.path); err != nil {
		w.discard()
		return err
	}
	return nil
}

// Abort gives the file up. After Commit it does nothing of consequence.
func (w *Writer) Abort() {
	w.cancel() // closing an object would complete it
	_ = w.w.Close()
	w.discard()
}

func (w *Writer) discard() {
	if w.temporary != "" {
		_ = os.Remove(w.temporary)
	}
}

// Write writes a file whole.
func Write(ctx context.Context, path string, b []byte) error {
	w, err := Create(ctx, path)
	if err != nil {
		return err
	}
	if _, err := w.Write(b); err != nil {
		w.Abort()
		return fmt.Errorf("%s: %w", path, err)
	}
	return w.Commit()
}

// WriteSecret writes a file that on a local disk its owner alone can read. It
// replaces nothing.
func WriteSecret(ctx context.Context, path string, b []byte) error {
	if !IsLocal(path) {
		return Write(ctx, path, b)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Close())
}
