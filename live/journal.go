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
	buf bytes.Buffer
	w   *pcapfile.Writer
}

// Sizes of what stands around a block's content (pcapng, section 3.1).
const (
	blockHead = 8
	blockTail = 4
)

// entry returns a record as a case file's reader gets it.
func (j *journal) entry(r hostlog.Record) ([]byte, error) {
	if j.w == nil {
		w, err := pcapfile.NewWriter(&j.buf, pcapfile.WriterOptions{})
		if err != nil {
			return nil, err
		}
		j.w = w
		if err := j.w.Flush(); err != nil {
			return nil, err
		}
	}
	j.buf.Reset()
	if err := j.w.WriteJournal(r.When(), hostlog.Fields(r)); err != nil {
		return nil, err
	}
	if err := j.w.Flush(); err != nil {
		return nil, err
	}
	b := j.buf.Bytes()
	return bytes.Clone(bytes.TrimRight(b[blockHead:len(b)-blockTail], "\x00")), nil
}
