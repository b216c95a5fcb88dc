package casefile

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"goproxytrace/capture"
	"goproxytrace/capture/hostlog"
)

// ring is the list of the files kept. A Writer without a ring has one file.
type ring struct {
	number int
	files  []*ringFile
	// stored are those that the flusher has made and that are still there: it
	// can be several files behind, and some cannot be removed.
	stored []*ringFile
	// discarded sums the files thrown away.
	discarded struct {
		files, items, until int64
	}
}

type ringFile struct {
	path string
	// info is the file's own, nil until the flusher has made it.
	info fs.FileInfo
	// items and until say what is lost with the file: packets and records,
	// and the time of the last.
	items, until int64
}

func (r *ring) paths() []string {
	var list []string
	for _, f := range r.stored {
		list = append(list, f.path)
	}
	return list
}

// begin names the next file.
func (r *ring) begin(path string) string {
	r.number++
	return ringName(path, r.number, time.Now())
}

// discard removes the file, unless another has taken its name, and reports
// whether it is gone.
func (f *ringFile) discard() bool {
	st, err := os.Lstat(f.path)
	if err == nil && os.SameFile(st, f.info) {
		return os.Remove(f.path) == nil
	}
	return true
}

// statisticsBytes bounds one statistics block; closingBytes is what a record
// about the end takes.
const (
	statisticsBytes = 128
	closingBytes    = 2 << 10
)

func interfaceBytes(in *capture.Interface) int {
	return len(in.Name) + len(in.Description) + len(in.Filter) + len(in.OS) + len(in.Hardware) + 64
}

func journalBytes(fields map[string]string) int {
	n := 64
	for name, value := range fields {
		n += len(name) + len(value) + 10
	}
	return n
}

// makeRoom waits where the disk is behind, and begins the next file of a ring
// where the current one has no room for n bytes more.
func (w *Writer) makeRoom(n int) error {
	if w.held() >= maxHeld {
		w.wake()
		for w.held() >= maxHeld && w.stopped == nil && !w.closed {
			w.changed.Wait()
		}
		if off, err := w.off(); off {
			return err
		}
	}
	if w.ringed() && w.items > 0 {
		closing := statisticsBytes * len(w.ifaces)
		if w.enc.Written()+int64(n+closing) > w.fileBytes()-reserve {
			if err := w.rotate(); err != nil {
				return err
			}
		}
	}
	if w.held() >= flushBytes {
		w.wake()
	}
	return nil
}

// rotate ends the current file and begins the next, which repeats what is
// needed to read it alone.
func (w *Writer) rotate() error {
	if err := w.statistics(len(w.ifaces)); err != nil {
		return err
	}
	current := w.ring.files[len(w.ring.files)-1]
	current.items, current.until = w.items, w.last
	next := step{blocks: w.enc.Take(nil), begin: &ringFile{path: w.ring.begin(w.path)}}
	w.ring.files = append(w.ring.files, next.begin)
	if len(w.ring.files) > w.opts.Ring {
		old := w.ring.files[0]
		w.ring.files = w.ring.files[1:]
		next.remove = old
		w.ring.discarded.files++
		w.ring.discarded.items += old.items
		w.ring.discarded.until = old.until
	}
	w.queue = append(w.queue, next)
	w.wake()
	if err := w.begin(); err != nil {
		return err
	}
	clear(w.told)
	for i := range w.ifaces {
		err := w.encode(func() error {
			_, err := w.enc.AddInterface(&w.ifaces[i].Interface)
			return err
		})
		if err != nil {
			return err
		}
	}
	return w.repeat(current.path)
}

// repeat writes what the new file has from those before it. The entries'
// times are those of the change of files, for files are put in order by the
// times at their beginnings; the records have their own.
func (w *Writer) repeat(previous string) error {
	room := min(w.fileBytes()/2, w.fileBytes()-maxFrame-2*reserve)
	records := w.state.records()
	left := 0
	var entries []map[string]string
	used := w.enc.Written()
	for i, r := range records {
		fields := hostlog.Fields(r)
		fields[hostlog.RepeatedField] = "1"
		if used += int64(journalBytes(fields)); used > room {
			left = len(records) - i
			break
		}
		entries = append(entries, fields)
	}
	text := fmt.Sprintf("file %d of the capture, after %s", w.ring.number, filepath.Base(previous))
	if d := w.ring.discarded; d.files > 0 {
		text += fmt.Sprintf("; thrown away for the size limit: %d packets and records in %d files, up to %s",
			d.items, d.files, capture.Timestamp(d.until).Format("15:04:05.000 MST"))
	}
	if left > 0 {
		text += fmt.Sprintf("; %d records of earlier files are not repeated for want of room", left)
	}
	remark := hostlog.Fields(&hostlog.Event{Time: w.last, Origin: hostlog.FromCapture, Text: text})
	for _, fields := range append([]map[string]string{remark}, entries...) {
		if err := w.encode(func() error { return w.enc.WriteJournal(w.last, fields) }); err != nil {
			return err
		}
		w.frames++
	}
	return nil
}

// statistics writes the counters of the first n interfaces.
func (w *Writer) statistics(n int) error {
	for i := range w.ifaces[:n] {
		d := &w.ifaces[i]
		if !d.told {
			continue
		}
		if err := w.encode(func() error { return w.enc.WriteStatistics(i, d.at, &d.counters) }); err != nil {
			return err
		}
	}
	return nil
}
