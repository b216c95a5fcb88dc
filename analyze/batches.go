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
	batch capture.Batch
	// journal are the batch's journal entries, each with the index of its packet;
	// those from told on were not handed over.
	journal []entry
	told    int
	// start and end are the earliest and latest packet times of the batch
	// in Unix nanoseconds, zeros where no packet has one.
	start, end int64
	// decoded counts the batch's packets that are decoded. Of the latest of them
	// are the segments, frames and bytes count those that are frames, and entries
	// are the journal entries among them. processes are what the container has
	// said of processes since the batch before, empty behind the first part.
	decoded       int
	segments      []decode.Segment
	frames, bytes int64
	entries       []entry
	processes     []capture.Process
	err           error // after the last batch; io.EOF at a regular end
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
			for first := true; first || w.decoded < len(w.batch.Packets); first = false {
				w.decode(r, part)
				fn(w)
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
				w.decode(r, len(w.batch.Packets))
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
	w.journal, w.processes = w.journal[:0], w.processes[:0]
	w.told, w.decoded = 0, 0
	w.start, w.end = 0, 0
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
	for i := range w.batch.Packets {
		p := &w.batch.Packets[i]
		if p.Kind == capture.KindEvent {
			e, ok := journal(p)
			if !ok {
				continue
			}
			e.at = i
			w.journal = append(w.journal, e)
			if e.record == nil {
				continue // another program's entry is no part of the capture
			}
		}
		if p.HasTime {
			w.reach(p.Time)
		}
	}
}

// decode decodes the next packets of the batch, n at most.
func (w *work) decode(r *reader, n int) {
	if w.decoded > 0 {
		w.processes = w.processes[:0]
	}
	w.segments, w.entries = w.segments[:0], w.entries[:0]
	w.frames, w.bytes = 0, 0
	for end := min(w.decoded+n, len(w.batch.Packets)); w.decoded < end; w.decoded++ {
		p := &w.batch.Packets[w.decoded]
		if uint32(p.Interface) < uint32(len(r.loopback)) && r.loopback[p.Interface] {
			p.Loopback = true
		}
		n := len(w.segments)
		if p.Kind == capture.KindEvent {
			if w.told < len(w.journal) && w.journal[w.told].at == w.decoded {
				e := w.journal[w.told]
				e.at = n
				w.entries = append(w.entries, e)
				w.told++
			}
			continue
		}
		w.frames++
		w.bytes += int64(len(p.Data))
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
