package analyze

import (
	"context"
	"errors"
	"io"
	"strings"
	"time"

	"goproxytrace/analyze/decode"
	"goproxytrace/capture"
)

// progressInterval is how often Options.Progress is called.
const progressInterval = 250 * time.Millisecond

// batchesInFlight bounds how far reading and decoding run ahead of analysis.
const batchesInFlight = 3

// work is a batch of packets with the segments that were found in them.
type work struct {
	batch    capture.Batch
	segments []decode.Segment
	// start and end are the earliest and latest packet times of the batch
	// in Unix nanoseconds, zeros where no packet has one.
	start, end int64
	err        error // after the last batch; io.EOF at a regular end
}

// forEachBatch reads and decodes src in one goroutine and calls fn with each
// batch, in file order, in the caller's. It returns nil at the end
// of the source, a *capture.DamageError where that is cut or damaged, and
// ctx's error where it was cancelled; what was read before was handed to fn.
func forEachBatch(ctx context.Context, src capture.Source, d *decode.Decoder, progress func(read, total int64), fn func(*work)) error {
	free := make(chan *work, batchesInFlight)
	full := make(chan *work, batchesInFlight)
	for range batchesInFlight {
		free <- new(work)
	}
	go func() {
		defer close(full)
		for w := range free {
			w.read(ctx, src, d)
			full <- w
			if w.err != nil {
				return
			}
		}
	}()
	report := progressReporter(src, progress)
	for w := range full {
		if w.err != nil {
			if errors.Is(w.err, io.EOF) {
				return nil
			}
			return w.err
		}
		fn(w)
		report()
		free <- w
	}
	return nil
}

func (w *work) read(ctx context.Context, src capture.Source, d *decode.Decoder) {
	w.segments = w.segments[:0]
	w.start, w.end = 0, 0
	if w.err = ctx.Err(); w.err != nil {
		return
	}
	if w.err = src.Read(&w.batch); w.err != nil {
		return
	}
	loopback := loopbackInterfaces(src.Info())
	for i := range w.batch.Packets {
		p := &w.batch.Packets[i]
		if uint32(p.Interface) < uint32(len(loopback)) && loopback[p.Interface] {
			p.Loopback = true
		}
		if p.HasTime {
			if w.start == 0 || p.Time < w.start {
				w.start = p.Time
			}
			w.end = max(w.end, p.Time)
		}
		n := len(w.segments)
		w.segments = d.Decode(p, w.segments)
		if p.ProcessID != 0 {
			for j := n; j < len(w.segments); j++ {
				w.segments[j].ProcessID = p.ProcessID
			}
		}
	}
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
