// Package outfile writes result files.
//
// In go a path and bytes, out comes a file that is either complete or not
// there: it is written beside its place and renamed into it. It can be read by
// its owner alone, since reports hold addresses and names, and belongs to the
// person who called sudo rather than to root.
package outfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// File is a file in the making.
type File struct {
	*os.File
	path string
	// temporary is the file's name until Commit, empty where it is written
	// in place (a device, a pipe, a directory that takes no new files).
	temporary string
	done      bool
}

// Create starts a file that Commit puts in place.
func Create(path string) (*File, error) {
	switch st, err := os.Stat(path); {
	case err == nil && st.IsDir():
		return nil, &fs.PathError{Op: "write", Path: path, Err: errors.New("is a directory")}
	case err == nil && !st.Mode().IsRegular():
		return inPlace(path, 0) // there is nothing to cut off
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".goproxytrace-*")
	if errors.Is(err, fs.ErrPermission) {
		return inPlace(path, os.O_TRUNC)
	}
	if err != nil {
		var p *fs.PathError
		if errors.As(err, &p) {
			err = &fs.PathError{Op: "create", Path: path, Err: p.Err}
		}
		return nil, err
	}
	if err := GiveToInvoker(f); err != nil {
		f.Close()
		os.Remove(f.Name())
		return nil, err
	}
	return &File{File: f, path: path, temporary: f.Name()}, nil
}

// inPlace opens what is there already. It creates nothing: a file that could
// not be made beside it would have no better luck.
func inPlace(path string, flag int) (*File, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|flag, 0)
	if err != nil {
		return nil, err
	}
	return &File{File: f, path: path}, nil
}

// Commit closes the file and puts it in its place.
func (f *File) Commit() error {
	if f.done {
		return nil
	}
	f.done = true
	err := f.Close()
	if f.temporary == "" {
		return err
	}
	if err == nil {
		err = os.Rename(f.temporary, f.path)
	}
	if err != nil {
		os.Remove(f.temporary)
		return fmt.Errorf("writing %s: %w", f.path, err)
	}
	return nil
}

// Abort gives the file up; what stood in its place stays. After Commit it does
// nothing, so that it can be deferred.
func (f *File) Abort() {
	if f.done {
		return
	}
	f.done = true
	f.Close()
	if f.temporary != "" {
		os.Remove(f.temporary)
	}
}
