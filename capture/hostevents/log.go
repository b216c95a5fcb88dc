package hostevents

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"

	"goproxytrace/capture/hostlog"
)

// Bounds on what one Log keeps.
const (
	maxRecords = 256 << 10
	maxFilters = 64 << 10
	// maxName and maxPath cut names and paths, in bytes.
	maxName = 256
	maxPath = 1 << 10
)

// ErrUnknown says that a file is none that this package reads.
var ErrUnknown = errors.New("no event log of a known kind (.evtx, event XML, netevents.xml, journal entries, kernel log lines)")

// DamageError says where a file stops making sense, or that parts of it do
// not. Everything that could be read was taken.
type DamageError struct {
	// Offset is where the first damage is, in bytes from the file's beginning.
	Offset int64
	Reason string
	// More counts further damaged places.
	More int
}

func (e *DamageError) Error() string {
	s := fmt.Sprintf("offset %d: %s", e.Offset, e.Reason)
	if e.More > 0 {
		s += fmt.Sprintf(" (and %d more)", e.More)
	}
	return s
}

// Log collects the records of any number of files. The zero value is ready for
// use.
type Log struct {
	records   []hostlog.Record
	blocks    []wfpBlock // records whose filter may be named by another file
	filters   map[uint64]filter
	providers map[string]string
	// seen is true where anything of a known form was read from the current
	// file, whether it matters or not.
	seen   bool
	damage *DamageError
	full   bool
}

// wfpBlock is a record with the number of the filter that it is about.
type wfpBlock struct {
	record *hostlog.Block
	filter uint64
}

// Add reads one file to its end. The error is a *DamageError where it could be
// read in part, and wraps ErrUnknown where it is of no known kind.
func (l *Log) Add(r io.Reader) error {
	b := bufio.NewReaderSize(r, 64<<10)
	head, err := b.Peek(512)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, bufio.ErrBufferFull) {
		return err
	}
	l.seen, l.damage = false, nil
	switch {
	case bytes.HasPrefix(head, evtxMagic):
		l.seen = true
		err = l.evtx(b)
	case isJournalExport(head):
		err = l.journalExport(b)
	default:
		err = l.text(newText(b, head))
	}
	switch {
	case err != nil:
		return err
	case l.full:
		return fmt.Errorf("more than %d records that bear on connections: export a shorter time", maxRecords)
	case l.damage != nil:
		return l.damage
	case !l.seen:
		return ErrUnknown
	}
	return nil
}

// text reads a file of text.
func (l *Log) text(t *textReader) error {
	switch first := t.firstByte(); first {
	case '<', '-':
		return l.xml(t)
	default:
		return l.lines(t)
	}
}

// broken records damage at an offset.
func (l *Log) broken(offset int64, format string, args ...any) {
	if l.damage != nil {
		l.damage.More++
		return
	}
	l.damage = &DamageError{Offset: offset, Reason: fmt.Sprintf(format, args...)}
}

// take keeps a record.
func (l *Log) take(r hostlog.Record) {
	if len(l.records) >= maxRecords {
		l.full = true
		return
	}
	if r.When() > 0 {
		l.records = append(l.records, r)
	}
}

// block keeps the record of a blocked connection; filter is the number of the
// Windows Filtering Platform's filter, zero for none.
func (l *Log) block(b *hostlog.Block, filter uint64) {
	l.take(b)
	if filter != 0 && !l.full {
		l.blocks = append(l.blocks, wfpBlock{b, filter})
	}
}

// Records returns all records in order of time, with the names of filters and
// providers that any of the files told.
func (l *Log) Records() []hostlog.Record {
	for _, b := range l.blocks {
		l.nameFilter(b.record, b.filter)
	}
	slices.SortStableFunc(l.records, func(a, b hostlog.Record) int { return cmp.Compare(a.When(), b.When()) })
	return l.records
}

// clip cuts s to n bytes of valid text.
func clip(s string, n int) string {
	if len(s) > n {
		s = s[:n]
	}
	return string(bytes.ToValidUTF8([]byte(s), nil))
}
