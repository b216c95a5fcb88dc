package main

import "container/heap"

// schedule merges the open connections' segments in time order.
type schedule struct {
	open    []*conn
	frame   []byte
	scratch []byte
}

func newSchedule() *schedule {
	return &schedule{scratch: make([]byte, segmentSize)}
}

func (s *schedule) Len() int           { return len(s.open) }
func (s *schedule) Less(i, j int) bool { return s.open[i].peek().time < s.open[j].peek().time }
func (s *schedule) Swap(i, j int)      { s.open[i], s.open[j] = s.open[j], s.open[i] }
func (s *schedule) Push(x any)         { s.open = append(s.open, x.(*conn)) }
func (s *schedule) Pop() any {
	c := s.open[len(s.open)-1]
	s.open[len(s.open)-1] = nil
	s.open = s.open[:len(s.open)-1]
	return c
}

func (s *schedule) start(c *conn) {
	if c.peek() != nil {
		heap.Push(s, c)
	}
}

// step writes the earliest segment and returns the connection if it ended
// with it.
func (s *schedule) step(w *captureWriter) (ended *conn, err error) {
	c := s.open[0]
	seg := c.peek()
	s.frame = c.frame(s.frame[:0], s.scratch, seg)
	err = w.packet(seg.time, s.frame)
	c.next++
	if c.peek() == nil {
		heap.Pop(s)
		return c, err
	}
	heap.Fix(s, 0)
	return nil, err
}
