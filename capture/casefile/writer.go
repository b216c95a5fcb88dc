package casefile

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"goproxytrace/capture"
	"goproxytrace/capture/hostlog"
	"goproxytrace/capture/pcapfile"
)

// Options describes a case file.
type Options struct {
	// Hardware, OS, Application and Comment stand in the section header;
	// empty ones are left out.
	Hardware, OS, Application, Comment string
	// MaxBytes bounds what is kept on disk, in bytes: all files of a ring
	// together, or the one file, which ends there (ErrLimit). Zero is no
	// bound; otherwise at least LeastBytes.
	MaxBytes int64
	// Ring is the number of files that are kept, the newest ones, each of
	// MaxBytes/Ring, with the names that dumpcap gives (case.pcapng becomes
	// case_00001_20260102150405.pcapng). Less than 2 is one file.
	Ring int
	// FlushEvery is the time after which what was given is handed to the
	// kernel; zero is a quarter of a second.
	FlushEvery time.Duration
	// Stdout is where the path "-" leads; nil is os.Stdout.
	Stdout *os.File
	// Into is a new file that is written in place of one that Create makes: the
	// path is only its name then. It is closed with the Writer, and not removed
	// where it cannot be begun. Nil makes one; a ring makes its own.
	Into *os.File
}

const (
	// minFileBytes and minRingBytes are the least sizes of a file and of one in
	// a ring. The latter has room for the longest frame, behind what it repeats.
	minFileBytes = 64 << 10
	minRingBytes = 512 << 10
	// flushBytes is how much is collected before it is written early;
	// maxHeld is how much is held back for a slow disk before callers wait.
	flushBytes = 1 << 20
	maxHeld    = 32 << 20
	// maxSpare is the largest buffer that is used again: what a busy session
	// writes at once, some 4 MiB, must fit.
	maxSpare = 8 << 20
	// maxFrame is the longest frame that readers accept, in bytes.
	maxFrame = 256 << 10
)

// StoppedError says that a case file came to a premature end, and what it
// holds. Nothing more is written to it.
type StoppedError struct {
	Path string
	// Err is what happened: ErrLimit, or the system's error.
	Err error
	// Frames are the packets and records saved in the file at Path, Bytes is
	// its length.
	Frames, Bytes int64
	// Until is the time of the latest one saved, in Unix nanoseconds; zero
	// for none.
	Until int64
}

func (e *StoppedError) Error() string {
	s := fmt.Sprintf("case file %s ends early with %d frames", e.Path, e.Frames)
	if e.Until != 0 {
		s += ", the latest of " + capture.Timestamp(e.Until).Format("2006-01-02 15:04:05.000 MST")
	}
	return s + ": " + e.Err.Error()
}

func (e *StoppedError) Unwrap() error { return e.Err }

// Writer writes a case file. Its methods may be called concurrently. Once the
// file has come to a premature end, one call (of whichever method comes first)
// returns a *StoppedError, and all others do nothing.
type Writer struct {
	opts Options
	path string

	mu sync.Mutex
	// changed is signalled when written grows and when the file has stopped.
	changed *sync.Cond
	enc     *pcapfile.Writer
	// spare is memory for what is encoded next.
	spare []byte
	// queue is what the disk is to do before it gets what enc holds.
	queue []step
	// given and written count bytes, over all files.
	given, written int64
	frames         int64
	// items counts the packets and records of the current file, those
	// that it repeats left out.
	items    int64
	ifaces   []described
	state    *state
	told     map[conversation]struct{}
	last     int64
	ring     ring
	stopped  *StoppedError
	reported bool
	closed   bool

	kick chan struct{}
	done chan struct{}

	// disk is the file being written, older the one before it in a ring until
	// something stands in disk. Both are the flusher's alone, once it runs.
	disk, older *disk
	// fallen are files that fell out of the ring and could not be removed; the
	// flusher's too.
	fallen []*ringFile
}

// described is an interface with its counters as last told.
type described struct {
	capture.Interface
	counters capture.Interface
	at       int64
	told     bool
}

// step is a piece of work for the disk: blocks to write, then possibly a new
// file to begin.
type step struct {
	blocks        []byte
	begin, remove *ringFile // nil for none
}

// LeastBytes is the least that Options.MaxBytes may be, unless it is zero, for a
// number of files.
func LeastBytes(ring int) int64 {
	if ring > 1 {
		return int64(ring) * minRingBytes
	}
	return minFileBytes
}

// Create begins a case file, or the first file of a ring. Path "-" is standard
// output.
func Create(path string, opts Options) (*Writer, error) {
	if least := LeastBytes(opts.Ring); opts.MaxBytes != 0 && opts.MaxBytes < least {
		return nil, fmt.Errorf("a limit of %d bytes for %d files, which need at least %d", opts.MaxBytes, max(opts.Ring, 1), least)
	}
	if opts.Ring > 1 && opts.MaxBytes == 0 {
		return nil, errors.New("a ring of files needs a limit on their size")
	}
	if opts.Ring > 1 && path == "-" {
		return nil, errors.New("a ring of files on standard output")
	}
	if opts.Ring > 1 && opts.Into != nil {
		return nil, errors.New("a ring of files in one that is open")
	}
	if opts.Stdout == nil {
		opts.Stdout = os.Stdout
	}
	if opts.FlushEvery <= 0 {
		opts.FlushEvery = 250 * time.Millisecond
	}
	w := &Writer{
		opts: opts, path: path, state: newState(), told: map[conversation]struct{}{},
		kick: make(chan struct{}, 1), done: make(chan struct{}),
	}
	w.changed = sync.NewCond(&w.mu)
	name := path
	if w.ringed() {
		name = w.ring.begin(path)
	}
	if err := w.begin(); err != nil {
		return nil, err
	}
	var d *disk
	var err error
	if opts.Into != nil {
		d, err = newDisk(opts.Into, name, false)
	} else {
		d, err = openDisk(name, opts.Stdout)
	}
	if err != nil {
		return nil, err
	}
	if w.ringed() {
		d.most = w.fileBytes()
	} else {
		d.cap(opts.MaxBytes)
	}
	w.disk = d
	first := &ringFile{path: name, info: d.info}
	w.ring.files, w.ring.stored = []*ringFile{first}, []*ringFile{first}
	if err := w.store(w.take()); err != nil {
		d.close()
		if d.regular && opts.Into == nil {
			os.Remove(name)
		}
		return nil, fmt.Errorf("beginning %s: %w", name, err)
	}
	go w.flusher()
	return w, nil
}

// held is how many bytes are given and not yet written.
func (w *Writer) held() int64 { return w.given - w.written }

func (w *Writer) ringed() bool { return w.opts.Ring > 1 }

// fileBytes is the most that a file of a ring is to hold.
func (w *Writer) fileBytes() int64 { return w.opts.MaxBytes / int64(w.opts.Ring) }

// begin starts the encoding of a file.
func (w *Writer) begin() error {
	enc, err := pcapfile.NewWriter(nil, pcapfile.WriterOptions{
		Hardware: w.opts.Hardware, OS: w.opts.OS, Application: w.opts.Application, Comment: w.opts.Comment,
	})
	w.enc, w.frames, w.items = enc, 0, 0
	if err != nil {
		return err
	}
	w.given += enc.Written()
	return nil
}

// Interface describes the next interface and returns its index, which the
// packets refer to: 0, 1, 2 and so on.
func (w *Writer) Interface(in *capture.Interface) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if off, err := w.off(); off {
		w.ifaces = append(w.ifaces, described{Interface: *in})
		return len(w.ifaces) - 1, err
	}
	if err := w.makeRoom(interfaceBytes(in)); err != nil {
		return 0, err
	}
	index := 0
	err := w.encode(func() (err error) {
		index, err = w.enc.AddInterface(in)
		return err
	})
	if err == nil {
		w.ifaces = append(w.ifaces, described{Interface: *in})
	}
	return index, err
}

// Packet writes a frame; it borrows p.Data until it returns. The owner in
// p.ProcessID stands with every packet, and in words with the first of each
// connection.
func (w *Writer) Packet(p *capture.Packet) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.packet(p)
}

// Packets writes a run of frames and returns how many it took: all, unless
// there is an error.
func (w *Writer) Packets(run []capture.Packet) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range run {
		if err := w.packet(&run[i]); err != nil {
			return i, err
		}
	}
	return len(run), nil
}

func (w *Writer) packet(p *capture.Packet) error {
	if off, err := w.off(); off {
		return err
	}
	if err := w.makeRoom(min(len(p.Data), maxFrame) + len(p.Comment) + maxOwner + 128); err != nil {
		return err
	}
	// After makeRoom: a new file of a ring tells of every owner again.
	c := w.ownerComment(p)
	if c != "" || len(p.Data) > maxFrame {
		out := *p
		if len(out.Data) > maxFrame {
			out.Length = max(out.Length, len(out.Data))
			out.Data = out.Data[:maxFrame]
		}
		if c != "" && out.Comment != "" {
			c = out.Comment + "\n" + c
		}
		if c != "" {
			out.Comment = c
		}
		p = &out
	}
	if p.HasTime {
		w.last = max(w.last, p.Time)
	}
	before := w.enc.Written()
	err := w.enc.WritePacket(p)
	w.given += w.enc.Written() - before
	if err == nil {
		w.frames++
		w.items++
	}
	return err
}

// Record writes a record as a journal block. It keeps r, which must not be
// changed afterwards.
func (w *Writer) Record(r hostlog.Record) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if off, err := w.off(); off {
		return err
	}
	fields := hostlog.Fields(r)
	if err := w.makeRoom(journalBytes(fields)); err != nil {
		return err
	}
	w.state.note(r)
	w.last = max(w.last, r.When())
	return w.item(func() error { return w.enc.WriteJournal(r.When(), fields) })
}

// Statistics tells the counters of an interface as of at (Unix nanoseconds).
// They are written when a file ends, so that it may be called as often as the
// counters are read.
func (w *Writer) Statistics(index int, at int64, in *capture.Interface) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	off, err := w.off()
	if index < 0 || index >= len(w.ifaces) {
		return errors.Join(err, fmt.Errorf("statistics of interface %d of %d", index, len(w.ifaces)))
	}
	if !off {
		d := &w.ifaces[index]
		d.counters, d.at, d.told = *in, at, true
	}
	return err
}

// Frames returns how many frame numbers the items of the current file have
// taken: the number of the packet or record written last. It stands still once
// the file has stopped.
func (w *Writer) Frames() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.frames
}

// Files returns the paths of the files that are there, the oldest first. While
// the Writer runs, more may have been begun than the disk has heard of.
func (w *Writer) Files() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ring.paths()
}

// Err returns the *StoppedError once the file has stopped, however often it is
// asked.
func (w *Writer) Err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopped == nil {
		return nil
	}
	return w.stopped
}

// off says whether there is a file no more, and returns the error if nobody
// has had it yet.
func (w *Writer) off() (bool, error) {
	switch {
	case w.stopped != nil && !w.reported:
		w.reported = true
		return true, w.stopped
	case w.stopped == nil && w.closed:
		return true, errors.New("the case file is closed")
	}
	return w.stopped != nil, nil
}

// item encodes one block that takes a frame number.
func (w *Writer) item(write func() error) error {
	err := w.encode(write)
	if err == nil {
		w.frames++
		w.items++
	}
	return err
}

func (w *Writer) encode(write func() error) error {
	before := w.enc.Written()
	err := write()
	w.given += w.enc.Written() - before
	return err
}
