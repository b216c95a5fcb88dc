package analyze

import (
	"context"
	"errors"
	"io"
	"strings"
	"time"

	"goproxytrace/analyze/decode"
	"goproxytrace/capture"
	"goproxytrace/capture/annotations"
)

// progressInterval is how often Options.Progress is called.
const progressInterval = 250 * time.Millisecond

// batchesInFlight bounds how far reading and decoding run ahead of analysis.
const batchesInFlight = 3

// work is a batch of packets with the segments that were found in them, or in a
// part of them.
type work struct {
	batch    capture.Batch
	segments []decode.Segment
	// packets and bytes count the frames that were decoded.
	packets, bytes int64
	// entries are the journal entries among them, processes what the
	// container has said of processes since the batch before.
	entries   []entry
	processes []capture.Process
	// start and end are the earliest and latest of their times in Unix
	// nanoseconds, zeros where no packet has one.
	start, end int64
	err        error // after the last batch; io.EOF at a regular end
}

// part is how many packets are decoded before they are analysed, where both
// happen in turn: what was decoded is in the processor's nearest cache still.
const part = 128

// forEachBatch reads and decodes src in one goroutine and calls fn with each
// batch, in file order, in the caller's. It returns nil at the end
// of the source, a *capture.DamageError where that is cut or damaged, and
// ctx's error where it was cancelled; what was read before was handed to fn.
// With o.OneByOne it does all of it in the caller's.
func forEachBatch(ctx context.Context, src capture.Source, d *decode.Decoder, o *Options, fn func(*work)) error {
	report := progressReporter(src, o.Progress)
	if o.OneByOne {
		w, r := new(work), &reader{src: src, d: d}
		for w.read(ctx, r); w.err == nil; w.read(ctx, r) {
			list := w.batch.Packets
			n := min(part, len(list))
			for w.decode(list[:n], r); ; w.decode(list[:n], r) {
				fn(w)
				if list = list[n:]; len(list) == 0 {
					break
				}
				n = min(part, len(list))
				w.processes = w.processes[:0]
			}
			report()
		}
		return unlessEOF(w.err)
	}
	free := make(chan *work, batchesInFlight)
	full := make(chan *work, batchesInFlight)
	for range batchesInFlight {
		free <- new(work)
	}
	go func() {
		defer close(full)
		r := &reader{src: src, d: d}
		for w := range free {
			if w.read(ctx, r); w.err == nil {
				w.decode(w.batch.Packets, r)
			}
			full <- w
			if w.err != nil {
				return
			}
		}
	}()
	for w := range full {
		if w.err != nil {
			return unlessEOF(w.err)
		}
		fn(w)
		report()
		free <- w
	}
	return nil
}

func unlessEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// reader is what reading remembers from batch to batch.
type reader struct {
	src capture.Source
	d   *decode.Decoder
	// processes counts those of the container that are known already.
	processes int
	loopback  []bool // the interfaces that are
	notes     annotations.Reader
	described map[*decode.Process]bool // by link headers
	dropped   map[droppedKey]int64     // when one was told of last, Unix ns
}

// read reads the next batch.
func (w *work) read(ctx context.Context, r *reader) {
	w.processes = w.processes[:0]
	if w.err = ctx.Err(); w.err != nil {
		return
	}
	if w.err = r.src.Read(&w.batch); w.err != nil {
		return
	}
	info := r.src.Info()
	r.loopback = loopbackInterfaces(info)
	if n := len(info.Processes); n > r.processes {
		w.processes = append(w.processes, info.Processes[r.processes:]...)
		r.processes = n
	}
}

// decode decodes packets of the batch.
func (w *work) decode(list []capture.Packet, r *reader) {
	w.segments, w.entries = w.segments[:0], w.entries[:0]
	w.packets, w.bytes = 0, 0
	w.start, w.end = 0, 0
	for i := range list {
		p := &list[i]
		if uint32(p.Interface) < uint32(len(r.loopback)) && r.loopback[p.Interface] {
			p.Loopback = true
		}
		n := len(w.segments)
		if p.Kind == capture.KindEvent {
			e, ok := journal(p)
			if !ok {
				continue
			}
			e.at = n
			w.entries = append(w.entries, e)
			if e.record != nil { // another program's entry is no part of the capture
				w.reach(p.Time)
			}
			continue
		}
		w.packets++
		w.bytes += int64(len(p.Data))
		if p.HasTime {
			w.reach(p.Time)
		}
		w.segments = r.d.Decode(p, w.segments)
		if n < len(w.segments) && (p.ProcessID|p.EffectivePID != 0 || p.Comment != "" || w.segments[n].Process != nil) {
			w.annotate(p, n, r)
		}
		if p.Dropped && n < len(w.segments) {
			w.dropped(p, n, r)
		}
	}
}

// reach takes the time of a packet, or of a record made while packets were
// captured.
func (w *work) reach(at int64) {
	if w.start == 0 || at < w.start {
		w.start = at
	}
	w.end = max(w.end, at)
}

// loopbackInterfaces says which interfaces are loopback ones by their names:
// Linux lo, BSD and macOS lo0, Npcap's adapter. It is nil where none is.
func loopbackInterfaces(info *capture.Info) []bool {
	var out []bool
	for i := range info.Interfaces {
		switch f := &info.Interfaces[i]; {
		case f.Name == "lo", f.Name == "lo0", strings.HasSuffix(f.Name, "NPF_Loopback"):
			if out == nil {
				out = make([]bool, len(info.Interfaces))
			}
			out[i] = true
		}
	}
	return out
}

func progressReporter(src capture.Source, progress func(read, total int64)) func() {
	p, ok := src.(capture.Progress)
	if progress == nil || !ok {
		return func() {}
	}
	last := time.Now()
	return func() {
		if now := time.Now(); now.Sub(last) >= progressInterval {
			last = now
			progress(p.Progress())
		}
	}
}
