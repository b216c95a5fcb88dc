package live

import (
	"fmt"
	"time"

	"goproxytrace/capture"
	"goproxytrace/capture/hostlog"
)

// sequence merges packets and records, and passes them on: to the case file,
// then to the analysis. It never waits for the analysis with records unread,
// since those who watch the host lose what nobody takes.
func (s *Session) sequence() {
	defer close(s.ended)
	defer close(s.stream.next)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	var beat <-chan time.Time // of the analysis
	if !s.alone {
		t := time.NewTicker(pulse)
		defer t.Stop()
		beat = t.C
	}
	var owners <-chan hostlog.Record
	if s.o.Owners != nil {
		owners = s.o.Owners.Records()
	}
	var logs <-chan hostlog.Record
	if s.o.Logs != nil {
		logs = s.o.Logs.Records()
	}
	arrivals, own := s.arrivals, s.own
	var last *chunk                             // with the statistics, once the engine has ended
	var deadline, logsDeadline <-chan time.Time // of the watchers and the logs, then
	var out *chunk
	quiet, silent := true, 0
	// Where a record belongs is told by the packets, those that have arrived
	// and are not taken in among them: a clock that was set back puts it
	// behind packets that are later.
	take := func(r hostlog.Record) {
		arrivals = s.collect(arrivals, &last)
		s.take(r)
	}
	for {
		arrivals = s.collect(arrivals, &last)
		over := arrivals == nil && owners == nil && logs == nil
		if arrivals == nil && !s.closing {
			s.unwatch()
			if s.o.Owners != nil {
				t := time.NewTimer(lastRecords)
				defer t.Stop()
				deadline = t.C
			}
			if s.o.Logs != nil {
				t := time.NewTimer(lastLogs)
				defer t.Stop()
				logsDeadline = t.C
			}
		}
		if out == nil {
			// With every chunk on its way, the engine waits for one to come
			// back, and with no room for records, those who make them do:
			// holding back is over then.
			out = s.held.due(s.o.Now(), s.o.HoldBack, over || s.starved() || s.held.records >= maxHeldRecords)
			if out == nil && over {
				if last == nil {
					s.finish()
					return
				}
				s.drain()
				s.held.add(last)
				last = nil
				continue
			}
			if out != nil {
				s.release(out)
				quiet = false
				if s.alone {
					s.recycle(out)
					out = nil
					continue
				}
			}
		}
		var send chan<- *chunk
		incoming := arrivals
		if out != nil {
			send = s.stream.next
		} else if d, ok := s.held.wait(s.o.Now(), s.o.HoldBack); ok {
			// Several chunks are passed on together, and taken in then.
			timer.Reset(max(d, time.Millisecond) + min(together, s.o.HoldBack/2))
			incoming = nil
		}
		fromOwners, fromLogs, fromOwn := owners, logs, own
		var unwanted <-chan struct{}
		if out != nil {
			unwanted = s.stream.closed
		}
		if s.held.records >= maxHeldRecords {
			fromOwners, fromLogs, fromOwn = nil, nil, nil
		}
		select {
		case c, ok := <-incoming:
			if !ok {
				arrivals = nil
			} else {
				s.accept(c, &last)
			}
		case <-s.kick:
		case r, ok := <-fromOwners:
			if !ok {
				owners = nil
				break
			}
			take(r)
		case r, ok := <-fromLogs:
			if !ok {
				logs = nil
				break
			}
			take(r)
		case r := <-fromOwn:
			take(r)
		case send <- out:
			out = nil
		case <-unwanted:
			// The analysis has ended before the capture: what is still to
			// come is for the case file alone.
			s.recycle(out)
			out = nil
		case <-deadline:
			s.warn(fmt.Errorf("those who watch the processes did not end within %v", lastRecords))
			owners = nil
		case <-logsDeadline:
			if logs != nil {
				s.take(&hostlog.Unread{Time: s.o.Now().UnixNano(), Source: "this machine's logs", Why: fmt.Sprintf("reading them took longer than %v", lastLogs)})
			}
			logs, logsDeadline = nil, nil
		case <-beat:
			// After a while of silence it is enough to say so once a second.
			if silent++; !quiet {
				silent = 0
			}
			if quiet && out == nil && (silent < calm || silent%calm == 0) {
				select {
				case s.stream.next <- &chunk{own: true}:
				default:
				}
			}
			quiet = true
		case <-timer.C:
		case <-s.aborted:
			if out != nil {
				s.recycle(out)
			}
			s.rescue(arrivals, last)
			return
		}
	}
}

// rescue ends the sequence at once: what was captured goes to the case file,
// and nothing to the analysis.
func (s *Session) rescue(arrivals chan *chunk, last *chunk) {
	s.Stop()
	if !s.closing {
		s.unwatch()
	}
	flush := func() {
		for c := s.held.due(s.o.Now(), 0, true); c != nil; c = s.held.due(s.o.Now(), 0, true) {
			s.release(c)
			s.recycle(c)
		}
	}
	for limit := time.After(lastPackets); arrivals != nil; {
		select {
		case c, ok := <-arrivals:
			if !ok {
				arrivals = nil
				break
			}
			s.accept(c, &last)
			if s.starved() {
				flush() // the engine waits for one of them
			}
		case <-limit:
			arrivals = nil
		}
	}
	s.drain()
	flush()
	if last != nil {
		s.held.add(last)
		flush()
	}
	s.finish()
}

// unwatch has those who watch the host end.
func (s *Session) unwatch() {
	s.closing = true
	go func() {
		defer close(s.unseen)
		if s.o.Owners != nil {
			s.o.Owners.Close()
		}
	}()
	if s.o.Logs != nil {
		go s.o.Logs.Close()
	}
}

// collect takes in what the engine has delivered; nil once it has ended.
func (s *Session) collect(arrivals chan *chunk, last **chunk) chan *chunk {
	for arrivals != nil {
		select {
		case c, ok := <-arrivals:
			if !ok {
				return nil
			}
			s.accept(c, last)
		default:
			return arrivals
		}
	}
	return nil
}

func (s *Session) accept(c *chunk, last **chunk) {
	s.remark(c)
	if c.last {
		*last = c
	} else {
		s.held.add(c)
	}
}

// starved reports whether every chunk is on its way.
func (s *Session) starved() bool {
	return len(s.free) == 0 && int(s.made.Load()) == s.o.Chunks
}

// drain takes the own records that were made before the capture ended.
func (s *Session) drain() {
	for {
		select {
		case r := <-s.own:
			s.take(r)
		default:
			return
		}
	}
}

// take puts a record into the sequence. What no case file could hold is left
// out on both ways.
func (s *Session) take(r hostlog.Record) {
	if s.o.OnRecord != nil {
		s.o.OnRecord(r)
	}
	entry, err := s.journal.entry(r)
	if err != nil {
		s.warn(fmt.Errorf("a record of the host was left out: %w", err))
		return
	}
	s.counts.Records++
	s.held.insert(r, entry, s.o.Now())
}

// release numbers a chunk's packets, adds their owners and writes them.
func (s *Session) release(c *chunk) {
	for i := range c.added {
		s.write(func(f CaseFile) error { _, err := f.Interface(&c.added[i]); return err })
	}
	records, frames, bytes := c.records, 0, 0
	index, same := int32(-1), int64(0) // how many frames in a row are of one interface
	var now stir
	for list := c.batch.Packets; len(list) > 0; {
		if list[0].Kind == capture.KindEvent {
			s.number++
			list[0].Number = s.number
			s.write(func(f CaseFile) error { return f.Record(records[0]) })
			records, list = records[1:], list[1:]
			continue
		}
		run := 0
		for run < len(list) && list[run].Kind != capture.KindEvent {
			p := &list[run]
			s.number++
			p.Number = s.number
			s.attribute(p, &now)
			bytes += len(p.Data)
			if p.Interface != index {
				c.count(index, same)
				index, same = p.Interface, 0
			}
			same++
			run++
		}
		s.write(func(f CaseFile) error {
			n, err := f.Packets(list[:run])
			s.counts.Written += int64(n)
			return err
		})
		frames += run
		list = list[run:]
	}
	c.count(index, same)
	s.counts.Captured += int64(frames)
	s.activity.frames(frames, bytes, now, c.arrived)
	for i := range c.statistics {
		in := &c.statistics[i]
		s.write(func(f CaseFile) error { return f.Statistics(i, in.End, in) })
	}
}

// recycle gives a chunk back that nobody takes.
func (s *Session) recycle(c *chunk) {
	if !c.own {
		s.free <- c
	}
}

// write writes to the case file. After its first error there is none: the
// capture and the analysis go on without it.
func (s *Session) write(do func(CaseFile) error) {
	if s.file == nil {
		return
	}
	if err := do(s.file); err != nil {
		s.warn(fmt.Errorf("%w; the capture goes on without it", err))
		s.file.Close() // keeps what it can; its error would say the same again
		s.file = nil
	}
}

// finish completes the case file.
func (s *Session) finish() {
	defer close(s.saved)
	s.counts.Counters = s.o.Source.Counters()
	if s.file == nil {
		return
	}
	if err := s.file.Close(); err != nil {
		s.warn(fmt.Errorf("the case file is not complete: %w", err))
	}
	s.file = nil
}

// remark passes on what the engine remarked, such as an interface that went
// away: to the user now, and to the case file.
func (s *Session) remark(c *chunk) {
	for _, note := range c.notes {
		s.warn(fmt.Errorf("capture: %s", note))
		s.take(&hostlog.Event{Time: c.arrived.UnixNano(), Origin: hostlog.FromCapture, Text: note})
	}
}

func (s *Session) warn(err error) {
	if s.o.Warn != nil {
		s.o.Warn(err)
	}
}
