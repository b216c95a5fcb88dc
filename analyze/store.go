package analyze

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"math"
	"os"
)

// inMemory is how many finished connections a Store keeps in memory; further
// ones go to a temporary file, so that memory depends on the connections open
// at once and not on the capture's length.
const inMemory = 2048

// Store holds the finished connections of a capture.
type Store struct {
	memory []*Connection
	// where maps a connection's ID to its place: an index into memory, or
	// the complement of an offset into the file, or absent.
	where []int64
	count int
	file  *os.File
	size  int64
	buf   []byte
	err   error
	in    chan *Connection // nil while nothing is being written
	done  chan struct{}
}

// NewStore returns an empty Store.
func NewStore() *Store { return &Store{} }

// absent marks the IDs of connections that were summed up or left out.
const absent = math.MaxInt64

func (s *Store) put(id, at int64) {
	for int64(len(s.where)) <= id {
		s.where = append(s.where, absent)
	}
	s.where[id] = at
}

// Add takes a finished connection, which must not be changed any more.
func (s *Store) Add(c *Connection) {
	s.count++
	if s.in == nil && len(s.memory) < inMemory {
		s.keep(c)
		return
	}
	if s.in == nil {
		s.in = make(chan *Connection, spillQueue)
		s.done = make(chan struct{})
		go s.spillAll()
	}
	s.in <- c
}

// spillQueue bounds how many connections wait to be written.
const spillQueue = 64

// spillAll writes what Add hands over: encoding takes longer than following
// packets, and has a processor of its own where there is one. Until it ends,
// everything but count, in and done is its own.
func (s *Store) spillAll() {
	defer close(s.done)
	for c := range s.in {
		if s.err == nil {
			s.err = s.write(c)
		}
		if s.err != nil {
			// Nothing is lost: what does not fit on the disk stays in memory.
			s.keep(c)
		}
	}
}

// settle waits until everything that was added is in its place.
func (s *Store) settle() {
	if s.in != nil {
		close(s.in)
		<-s.done
		s.in = nil
	}
}

func (s *Store) keep(c *Connection) {
	s.put(c.ID, int64(len(s.memory)))
	s.memory = append(s.memory, c)
}

func (s *Store) write(c *Connection) error {
	b, err := json.Marshal(c)
	if err != nil {
		return err
	}
	if s.file == nil {
		if s.file, err = spillFile(); err != nil {
			return err
		}
	}
	return s.spill(c.ID, b)
}

// spillFile makes a temporary file that vanishes with the process wherever
// the system allows that.
func spillFile() (*os.File, error) {
	f, err := os.CreateTemp("", "goproxytrace-*.ndjson")
	if err != nil {
		return nil, err
	}
	_ = os.Remove(f.Name()) // fails on Windows, where Close removes it
	return f, nil
}

const spillBuffer = 256 << 10

func (s *Store) spill(id int64, b []byte) error {
	if len(s.buf)+len(b)+1 > spillBuffer && len(s.buf) > 0 {
		if err := s.flush(); err != nil {
			return err
		}
	}
	s.put(id, ^(s.size + int64(len(s.buf))))
	s.buf = append(append(s.buf, b...), '\n')
	return nil
}

func (s *Store) flush() error {
	n, err := s.file.WriteAt(s.buf, s.size)
	if err != nil {
		return fmt.Errorf("writing %d bytes of finished connections: wrote %d: %w", len(s.buf), n, err)
	}
	s.size += int64(n)
	s.buf = s.buf[:0]
	return nil
}

// Len returns the number of connections held.
func (s *Store) Len() int { return s.count }

// All yields the connections in order of their IDs.
func (s *Store) All() iter.Seq2[*Connection, error] {
	return func(yield func(*Connection, error) bool) {
		for raw, err := range s.raw() {
			c := raw.conn
			if err == nil && c == nil {
				c = new(Connection)
				err = json.Unmarshal(raw.json, c)
			}
			if !yield(c, err) || err != nil {
				return
			}
		}
	}
}

// stored is a connection as it is held: in memory, or encoded.
type stored struct {
	conn *Connection
	json []byte
}

func (s *Store) raw() iter.Seq2[stored, error] {
	return func(yield func(stored, error) bool) {
		s.settle()
		window := &fileWindow{s: s}
		for _, at := range s.where {
			if at == absent {
				continue
			}
			if at >= 0 {
				if !yield(stored{conn: s.memory[at]}, nil) {
					return
				}
				continue
			}
			line, err := window.line(^at)
			if !yield(stored{json: line}, err) || err != nil {
				return
			}
		}
	}
}

// fileWindow reads lines of the spill file; neighbours are mostly read together.
type fileWindow struct {
	s     *Store
	buf   []byte
	start int64
}

func (w *fileWindow) line(off int64) ([]byte, error) {
	if off >= w.s.size {
		return cutNewline(w.s.buf[off-w.s.size:]), nil
	}
	for size := int64(64 << 10); ; size *= 4 {
		if off >= w.start && off < w.start+int64(len(w.buf)) {
			if l := cutNewline(w.buf[off-w.start:]); l != nil {
				return l, nil
			}
		}
		n := min(size, w.s.size-off)
		if int64(cap(w.buf)) < n {
			w.buf = make([]byte, n)
		}
		w.buf = w.buf[:n]
		w.start = off
		if _, err := w.s.file.ReadAt(w.buf, off); err != nil && err != io.EOF {
			return nil, fmt.Errorf("reading finished connections: %w", err)
		}
		if n == w.s.size-off {
			if l := cutNewline(w.buf); l != nil {
				return l, nil
			}
			return nil, fmt.Errorf("reading finished connections: no end of line after offset %d", off)
		}
	}
}

func cutNewline(b []byte) []byte {
	if i := bytes.IndexByte(b, '\n'); i >= 0 {
		return b[:i]
	}
	return nil
}

// Close removes the temporary file, if there is one.
func (s *Store) Close() error {
	s.settle()
	if s.file == nil {
		return nil
	}
	name := s.file.Name()
	err := s.file.Close()
	_ = os.Remove(name) // already gone where open files can be removed
	s.file = nil
	return err
}
