package casefile

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"goproxytrace/capture/hostlog"
)

// wake has the flusher work now.
func (w *Writer) wake() {
	select {
	case w.kick <- struct{}{}:
	default:
	}
}

// flusher is the goroutine that writes. It alone touches the disk, so that a
// slow one does not hold up who gives packets.
func (w *Writer) flusher() {
	defer close(w.done)
	tick := time.NewTicker(w.opts.FlushEvery)
	defer tick.Stop()
	for {
		look := false
		select {
		case <-tick.C:
			look = true
		case <-w.kick:
		}
		w.mu.Lock()
		closed := w.closed
		steps := w.take()
		w.mu.Unlock()
		err := w.store(steps)
		if err == nil && (look || closed) {
			err = w.disk.check()
		}
		if err != nil {
			w.stop(err)
			return
		}
		if closed {
			if err := w.disk.close(); err != nil {
				w.stop(err)
			}
			return
		}
	}
}

// take hands over all that is encoded, in whole blocks.
func (w *Writer) take() []step {
	steps := append(w.queue, step{blocks: w.enc.Take(w.spare)})
	w.queue, w.spare = nil, nil
	return steps
}

// store does the steps.
func (w *Writer) store(steps []step) error {
	for _, s := range steps {
		if err := w.disk.write(s.blocks); err != nil {
			return err
		}
		w.mu.Lock()
		w.written += int64(len(s.blocks))
		if w.spare == nil && cap(s.blocks) <= maxSpare {
			w.spare = s.blocks[:0]
		}
		w.changed.Broadcast()
		w.mu.Unlock()
		if older := w.older; older != nil && w.disk.end > 0 {
			w.older = nil
			if err := older.close(); err != nil {
				return err
			}
		}
		if s.begin == nil {
			continue
		}
		if s.remove != nil {
			w.fallen = append(w.fallen, s.remove)
		}
		// Also those that could not be removed before: others read them then.
		w.fallen = slices.DeleteFunc(w.fallen, w.discard)
		if err := w.disk.check(); err != nil {
			return err
		}
		if err := w.next(s.begin); err != nil {
			return err
		}
	}
	return nil
}

// next begins the next file of a ring. The one before stays open, with its
// reserve, until something stands in the new one: it can say if that fails.
func (w *Writer) next(f *ringFile) error {
	d, err := openDisk(f.path, w.opts.Stdout)
	if err != nil {
		return err
	}
	d.most = w.fileBytes()
	w.disk, w.older = d, w.disk
	f.info = d.info
	w.mu.Lock()
	w.ring.stored = append(w.ring.stored, f)
	w.mu.Unlock()
	return nil
}

// discard removes a file of the ring and reports whether it is gone.
func (w *Writer) discard(f *ringFile) bool {
	gone := f.discard()
	if gone {
		w.forget(f)
	}
	return gone
}

// forget notes that a file of the ring is gone.
func (w *Writer) forget(f *ringFile) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ring.stored = slices.DeleteFunc(w.ring.stored, func(g *ringFile) bool { return g == f })
}

// stop ends the file early: its last blocks say what happened and what the
// counters were when they were last read. What is not written is given up.
func (w *Writer) stop(cause error) {
	if newest := w.ring.stored[len(w.ring.stored)-1]; errors.Is(cause, errRemoved) {
		w.forget(newest)
	} else if w.older != nil && w.disk.end == 0 {
		// Not even the header of the next file found room.
		_ = w.disk.close()
		w.discard(newest)
		w.disk, w.older = w.older, nil
	}
	if w.older != nil {
		_ = w.older.close()
	}
	d := w.disk
	w.mu.Lock()
	d.retreat(int64(closingBytes + statisticsBytes*len(w.ifaces)))
	stopped := &StoppedError{Path: d.path, Err: cause, Frames: d.saved.frames, Until: d.saved.until}
	tail := w.tail(cause)
	w.mu.Unlock()
	d.finish(tail)
	// The first error is the one that matters.
	_ = d.close()
	stopped.Bytes = d.end

	w.mu.Lock()
	w.stopped = stopped
	w.queue, w.written = nil, w.given
	w.enc.Take(nil)
	w.changed.Broadcast()
	w.mu.Unlock()
}

// tail encodes the last blocks of a file that ends early. Its capture ends
// with its last packet: the silence behind it is none.
func (w *Writer) tail(cause error) []byte {
	w.enc.Take(nil)
	known := min(w.disk.saved.interfaces, len(w.ifaces), (reserve-closingBytes)/statisticsBytes)
	until := w.disk.saved.until
	for i := range w.ifaces[:known] {
		d := &w.ifaces[i]
		d.at, d.told = until, true
		d.counters.End = until
	}
	text := fmt.Sprintf("the file ends here, the capture does not: %v", cause)
	err := w.statistics(known)
	if err == nil {
		err = w.enc.WriteJournal(until, hostlog.Fields(&hostlog.Event{Time: until, Origin: hostlog.FromCapture, Text: text}))
	}
	if err != nil {
		return nil
	}
	return w.enc.Take(nil)
}

// Flush hands all that was given before it to the kernel before it returns.
func (w *Writer) Flush() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for given := w.given; w.written < given && w.stopped == nil && !w.closed; {
		w.wake()
		w.changed.Wait()
	}
	_, err := w.off()
	return err
}

// Close writes the statistics and ends the file. It returns the
// *StoppedError if no call has returned it before.
func (w *Writer) Close() error {
	w.mu.Lock()
	var err error
	if !w.closed && w.stopped == nil {
		err = w.statistics(len(w.ifaces))
	}
	w.closed = true
	w.changed.Broadcast()
	w.mu.Unlock()
	w.wake()
	<-w.done
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopped != nil && !w.reported {
		w.reported = true
		return w.stopped
	}
	return err
}
