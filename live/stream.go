package live

import (
	"io"
	"sync"

	"goproxytrace/capture"
)

// stream hands the session's sequence to the analysis. It is a capture.Source
// whose Info says what a reader of the case file finds.
type stream struct {
	next   chan *chunk
	free   chan<- *chunk
	closed chan struct{} // the analysis wants no more
	once   sync.Once
	info   capture.Info
}

// newStream makes a stream that holds up to depth chunks and gives those of
// the engine back to free, which must have room for all of them.
func newStream(depth int, free chan<- *chunk, info capture.Info) *stream {
	return &stream{next: make(chan *chunk, depth), free: free, closed: make(chan struct{}), info: info}
}

// Read is part of capture.Source. It hands out a chunk's own memory and takes
// the batch's in exchange: nothing is copied.
func (s *stream) Read(b *capture.Batch) error {
	c, ok := <-s.next
	if !ok {
		return io.EOF
	}
	s.learn(c)
	if c.own {
		b.Packets = append(b.Packets[:0], c.batch.Packets...)
		return nil
	}
	*b, c.batch = c.batch, *b
	s.free <- c
	return nil
}

// learn keeps count as a reader of the case file does.
func (s *stream) learn(c *chunk) {
	s.info.Interfaces = append(s.info.Interfaces, c.added...)
	s.info.Bytes += int64(c.bytes)
	s.info.Events += int64(len(c.records))
	s.info.Packets += int64(len(c.batch.Packets) - len(c.records))
	for i, n := range c.frames[:min(len(c.frames), len(s.info.Interfaces))] {
		s.info.Interfaces[i].Packets += n
	}
	for i := range min(len(c.statistics), len(s.info.Interfaces)) {
		have, end := &s.info.Interfaces[i], &c.statistics[i]
		have.Received, have.Dropped, have.FilterAccepted = end.Received, end.Dropped, end.FilterAccepted
		have.OSDropped, have.Delivered = end.OSDropped, end.Delivered
		have.Start, have.End = end.Start, end.End
	}
}

// Info is part of capture.Source.
func (s *stream) Info() *capture.Info { return &s.info }

// Close is part of capture.Source: what is still to come is not wanted.
func (s *stream) Close() error {
	s.once.Do(func() { close(s.closed) })
	return nil
}
