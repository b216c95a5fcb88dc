package live

import (
	"bytes"

	"goproxytrace/capture/hostlog"
	"goproxytrace/capture/pcapfile"
)

// journal makes the journal entries that stand in a case file, by the very
// writer of case files: what the analysis of a session reads is then what the
// analysis of its file reads.
type journal struct {
	w *pcapfile.Writer
	// block is the memory of the block made last.
	block []byte
}

// Sizes of what stands around a block's content (pcapng, section 3.1).
const (
	blockHead = 8
	blockTail = 4
)

// entry returns a record as a case file's reader gets it.
func (j *journal) entry(r hostlog.Record) ([]byte, error) {
	if j.w == nil {
		w, err := pcapfile.NewWriter(nil, pcapfile.WriterOptions{})
		if err != nil {
			return nil, err
		}
		j.w = w
		w.Take(nil) // of the section no more is needed
	}
	if err := j.w.WriteJournal(r.When(), hostlog.Fields(r)); err != nil {
		return nil, err
	}
	j.block = j.w.Take(j.block)
	return bytes.Clone(bytes.TrimRight(j.block[blockHead:len(j.block)-blockTail], "\x00")), nil
}
