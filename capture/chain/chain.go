// Package chain reads several captures as one.
//
// In come the files of a ring (dumpcap -b, tcpdump -C), in any order, out
// comes one capture.Source with the packets of the file that began first,
// then those of the next. Frame numbers continue from file to file.
package chain

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"

	"goproxytrace/capture"
)

// Opener opens one capture; it is called twice for each path.
type Opener func(path string) (capture.Source, error)

// Source is the chain. It implements capture.Source and capture.Progress.
type Source struct {
	open  Opener
	parts []part
	// next is the index of the part that is opened next.
	next    int
	current capture.Source
	info    capture.Info
	// before is info without the current part.
	before capture.Info
	// damage is that of the first damaged part. A later file of a ring is
	// sound all the same, so that reading goes on and reports it at the end.
	damage *capture.DamageError
	err    error

	done, total atomic.Int64
	progress    atomic.Pointer[capture.Progress]
}

type part struct {
	path string
	// first is the time of the first packet that has one; size is the
	// file's in bytes, zero where unknown.
	first, size int64
	empty       bool
}

// Open looks at the beginning of each file and puts them in order. Files
// without packets come last.
func Open(paths []string, open Opener) (*Source, error) {
	s := &Source{open: open}
	var total int64
	for _, p := range paths {
		at, err := probe(p, open)
		if err != nil {
			return nil, err
		}
		s.parts = append(s.parts, at)
		total += at.size
	}
	s.total.Store(total)
	slices.SortStableFunc(s.parts, func(a, b part) int {
		if a.empty != b.empty {
			if a.empty {
				return 1
			}
			return -1
		}
		return cmp.Compare(a.first, b.first)
	})
	return s, nil
}

// probe reads a file up to its first packet with a time.
func probe(path string, open Opener) (part, error) {
	out := part{path: path, empty: true}
	src, err := open(path)
	if err != nil {
		return out, err
	}
	defer src.Close()
	if p, ok := src.(capture.Progress); ok {
		_, out.size = p.Progress()
	}
	var b capture.Batch
	for {
		if err := src.Read(&b); err != nil {
			var damage *capture.DamageError
			if errors.Is(err, io.EOF) || errors.As(err, &damage) {
				return out, nil
			}
			return out, fmt.Errorf("%s: %w", path, err)
		}
		for i := range b.Packets {
			if p := &b.Packets[i]; p.HasTime {
				out.first, out.empty = p.Time, false
				return out, nil
			}
		}
	}
}

// Read implements capture.Source.
func (s *Source) Read(b *capture.Batch) error {
	for s.err == nil {
		if s.current == nil {
			if s.next == len(s.parts) {
				s.err = io.EOF
				if s.damage != nil {
					s.err = s.damage
				}
				break
			}
			if err := s.openNext(); err != nil {
				s.err = err
				break
			}
		}
		err := s.current.Read(b)
		if err == nil {
			records := s.before.Packets + s.before.Events
			interfaces := int32(len(s.before.Interfaces))
			for i := range b.Packets {
				p := &b.Packets[i]
				p.Number += records
				if p.Interface >= 0 {
					p.Interface += interfaces
				}
			}
			return nil
		}
		s.closeCurrent()
		var damage *capture.DamageError
		switch {
		case errors.Is(err, io.EOF):
		case errors.As(err, &damage):
			if s.damage == nil {
				d := *damage
				d.Packet = s.before.Packets + s.before.Events + 1
				d.Reason = fmt.Sprintf("%s: %s", s.parts[s.next-1].path, d.Reason)
				s.damage = &d
			}
		default:
			s.err = fmt.Errorf("%s: %w", s.parts[s.next-1].path, err)
		}
	}
	return s.err
}

func (s *Source) openNext() error {
	src, err := s.open(s.parts[s.next].path)
	if err != nil {
		return err
	}
	s.current = src
	s.next++
	if p, ok := src.(capture.Progress); ok {
		s.progress.Store(&p)
	}
	return nil
}

func (s *Source) closeCurrent() {
	s.before = joined(&s.before, s.current.Info())
	s.info = s.before
	s.progress.Store(nil)
	s.done.Add(s.parts[s.next-1].size)
	_ = s.current.Close() // read to its end: nothing can be lost any more
	s.current = nil
}

// Info implements capture.Source.
func (s *Source) Info() *capture.Info {
	if s.current != nil {
		s.info = joined(&s.before, s.current.Info())
	}
	return &s.info
}

// Close implements capture.Source.
func (s *Source) Close() error {
	s.next = len(s.parts)
	if s.current == nil {
		return nil
	}
	err := s.current.Close()
	s.current = nil
	return err
}

// Progress implements capture.Progress.
func (s *Source) Progress() (read, total int64) {
	read = s.done.Load()
	if p := s.progress.Load(); p != nil {
		n, _ := (*p).Progress()
		read += n
	}
	return read, s.total.Load()
}

// Bounds on what is kept of all files together.
const (
	maxEventRecords = 1 << 16
	maxProcesses    = 1 << 16
)

// joined returns what two captures in a row say about themselves.
func joined(a, b *capture.Info) capture.Info {
	out := capture.Info{
		Format:      both(a.Format, b.Format),
		Sections:    a.Sections + b.Sections,
		Hardware:    both(a.Hardware, b.Hardware),
		OS:          both(a.OS, b.OS),
		Application: both(a.Application, b.Application),
		Interfaces:  append(slices.Clip(a.Interfaces), b.Interfaces...),
		Packets:     a.Packets + b.Packets,
		Events:      a.Events + b.Events,
		Bytes:       a.Bytes + b.Bytes,
		HasSecrets:  a.HasSecrets || b.HasSecrets,
		Processes:   a.Processes,
		Blocks:      make(map[string]int64),
		Names:       make(map[string][]string),
	}
	for i := len(a.Interfaces); i < len(out.Interfaces); i++ {
		out.Interfaces[i].Section += a.Sections
	}
	for _, in := range []*capture.Info{a, b} {
		for k, n := range in.Blocks {
			out.Blocks[k] += n
		}
		for k, names := range in.Names {
			for _, n := range names {
				if !slices.Contains(out.Names[k], n) {
					out.Names[k] = append(out.Names[k], n)
				}
			}
		}
		for _, n := range in.Notes {
			if !slices.Contains(out.Notes, n) {
				out.Notes = append(out.Notes, n)
			}
		}
	}
	if room := maxProcesses - len(a.Processes); room > 0 && len(b.Processes) > 0 {
		out.Processes = append(slices.Clip(a.Processes), b.Processes[:min(room, len(b.Processes))]...)
	}
	out.EventRecords = slices.Clip(a.EventRecords)
	for _, e := range b.EventRecords {
		if len(out.EventRecords) == maxEventRecords {
			break
		}
		e.Number += a.Packets + a.Events
		out.EventRecords = append(out.EventRecords, e)
	}
	return out
}

// both joins two different values with a comma.
func both(a, b string) string {
	switch {
	case a == "" || a == b:
		return b
	case b == "" || slices.Contains(strings.Split(a, ", "), b):
		return a
	}
	return a + ", " + b
}
