package main

import "math/rand/v2"

// stream is the content of one direction of a connection: a list of chunks,
// each either recorded bytes or a run of TLS application-data records (or of
// plain bytes) that is never held in memory.
type stream struct {
	chunks []chunk
	end    int64
}

type chunk struct {
	start, length int64
	data          []byte // recorded bytes, or nil
	record        int64  // TLS record length with its header; 0 for plain bytes
}

func (s *stream) add(length int64, data []byte, record int64) {
	s.chunks = append(s.chunks, chunk{s.end, length, data, record})
	s.end += length
}

// pool is where payload comes from: random bytes, as encrypted data looks.
var pool = func() []byte {
	b := make([]byte, 1<<18)
	r := rand.NewChaCha8([32]byte{'p', 'o', 'o', 'l'})
	r.Read(b)
	return b
}()

// fill writes the stream's bytes from off on into b.
func (s *stream) fill(b []byte, off int64) {
	i := len(s.chunks) - 1
	for i > 0 && s.chunks[i].start > off {
		i--
	}
	for len(b) > 0 {
		c := &s.chunks[i]
		rel := off - c.start
		if rel >= c.length {
			i++
			continue
		}
		n := c.fill(b[:min(int64(len(b)), c.length-rel)], rel, off)
		b, off = b[n:], off+int64(n)
	}
}

func (c *chunk) fill(b []byte, rel, off int64) int {
	if c.data != nil {
		return copy(b, c.data[rel:])
	}
	if c.record > 0 {
		in := rel % c.record
		length := min(c.record, c.length-(rel-in))
		if in < 5 {
			header := [5]byte{23, 3, 3, byte((length - 5) >> 8), byte(length - 5)}
			return copy(b, header[in:])
		}
		b = b[:min(int64(len(b)), length-in)]
	}
	return copy(b, pool[off*7919%int64(len(pool)):])
}
