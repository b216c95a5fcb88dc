package main

import (
	"fmt"
	"io"
	"os"

	"goproxytrace/capture"
	"goproxytrace/capture/pcapfile"
)

// spool is a temporary file that its owner alone can read.
type spool struct{ *os.File }

// temporary makes a file that vanishes with the process wherever the system
// allows that.
func temporary() (*spool, error) {
	f, err := os.CreateTemp("", "goproxytrace-*")
	if err != nil {
		return nil, err
	}
	_ = os.Remove(f.Name()) // fails on Windows, where close removes it
	return &spool{f}, nil
}

func (s *spool) close() {
	name := s.Name()
	_ = s.Close()
	_ = os.Remove(name) // already gone where open files can be removed
}

// open reads the file as a capture; name is what it is called.
func (s *spool) open(name string) (capture.Source, error) {
	st, err := s.Stat()
	if err != nil {
		return nil, err
	}
	src, err := pcapfile.NewReader(io.NewSectionReader(s.File, 0, st.Size()), max(st.Size(), 1))
	if err != nil {
		title := name
		if name == stdStream {
			title = "standard input"
		}
		return nil, explainOpen(name, fmt.Errorf("%s: %w", title, err))
	}
	return src, nil
}
