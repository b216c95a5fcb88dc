package live

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"goproxytrace/analyze"
	"goproxytrace/capture"
	"goproxytrace/capture/hostlog"
)

// Owners says which process owns which socket. *owner.Watcher is one.
type Owners interface {
	// Records yields what the host says; it is closed by Close.
	Records() <-chan hostlog.Record
	// Seen tells of a connection attempt that was captured.
	Seen(local, remote netip.AddrPort, at int64)
	// Holder names the owner of a socket at a time in Unix nanoseconds. The
	// answer is the same for all times from then to until as long as Changes
	// is, also where there is none.
	Holder(local, remote netip.AddrPort, at int64) (pid uint32, until int64, ok bool)
	// Changes grows whenever an answer may have changed.
	Changes() uint64
	Close() error
}

// Logs say what this host's own logs tell of its connections.
// *hostevents.Watcher is one.
type Logs interface {
	// Records yields it; it is closed some time after Close, which has
	// everything read once more.
	Records() <-chan hostlog.Record
	Close() error
}

// CaseFile is where the sequence is kept. *casefile.Writer is one. Frames and
// records are numbered as they are handed in.
type CaseFile interface {
	Interface(in *capture.Interface) (int, error)
	// Packets returns how many of a run of frames it took, all unless there
	// is an error.
	Packets(run []capture.Packet) (int, error)
	Record(r hostlog.Record) error
	Statistics(index int, at int64, in *capture.Interface) error
	Close() error
}

// Options make a session.
type Options struct {
	Source capture.Live
	// Owners may be nil: owners are unknown then. The session closes it.
	Owners Owners
	// Logs may be nil. They are read to the end once the capture has ended.
	// The session closes them.
	Logs Logs
	// File may be nil. The session closes it.
	File CaseFile
	// Info is what the case file's reader knows of the capture beyond its
	// interfaces and counts.
	Info capture.Info
	// Analyze are the analysis' options.
	Analyze analyze.Options
	// Service says whether a TCP port is one that is captured: where both ends
	// are on this host, it is the server's.
	Service func(port uint16) bool
	// Mine says whether a process is one that the session is about; nil means
	// that all are. Activity leaves the connections of others out.
	Mine func(pid uint32) bool
	// MaxFrames stops the capture after that many frames, and what comes
	// behind them is left out; zero for no limit.
	MaxFrames int64
	// OnRecord is told of each record, in the session's goroutine; nil for
	// nobody.
	OnRecord func(hostlog.Record)
	// Warn takes what a person must know at once; nil for nobody.
	Warn func(error)
	// Now is the clock, monotonic readings included; nil means time.Now.
	Now func() time.Time
	// HoldBack is how long a packet waits for its owner to be known; zero
	// means DefaultHoldBack.
	HoldBack time.Duration
	// Chunks bounds what lies between the engine and the analysis, or the case
	// file, in pieces of about half a MiB; zero means 64. Where so much comes
	// that they are all on their way, packets do not wait for their owners.
	Chunks int
}

const (
	// DefaultHoldBack is longer than kernel events take to arrive on a busy
	// machine and short enough for a table that is repainted four times a
	// second.
	DefaultHoldBack = 200 * time.Millisecond
	// chunksInFlight is what Options.Chunks means where it is zero.
	chunksInFlight = 64
	// together is how long chunks that may be passed on wait for each other;
	// with crowded of them on their way in they do not.
	together = 100 * time.Millisecond
	crowded  = 8
	// pulse is how often the analysis hears that nothing came.
	pulse = 250 * time.Millisecond
	// calm is how many pulses of silence make one.
	calm = 4
	// lastRecords is how long the watchers may take to end.
	lastRecords = 2 * time.Second
	// lastPackets is how long an engine may take to hand over what it has when
	// all is aborted.
	lastPackets = 500 * time.Millisecond
	// lastLogs is how long the last reading of the host's logs may hold up the
	// verdict. It bounds itself more tightly, and says then what is missing.
	lastLogs = 6 * time.Second
)

// Counts say whether anything is missing.
type Counts struct {
	capture.Counters
	// Captured counts the frames that were analysed; Written those in the case
	// file. Records counts the host's records.
	Captured, Written, Records int64
}

// Session is one capture under way.
type Session struct {
	o        Options
	free     chan *chunk
	made     atomic.Int32 // chunks there are
	arrivals chan *chunk
	kick     chan struct{} // many arrivals wait
	own      chan hostlog.Record
	stopOnce sync.Once
	aborted  chan struct{}
	abort    sync.Once
	saved    chan struct{} // the case file is complete
	unseen   chan struct{} // Owners is closed
	ended    chan struct{} // nobody takes own records any more
	stream   *stream
	activity activity

	// Of receive's goroutine alone, until that has ended.
	readErr  error // of the engine
	loopback []bool

	// alone is true where nothing analyses the sequence.
	alone bool

	// Of sequence's goroutine alone, until Run returns.
	held    held
	flows   flows
	journal journal
	number  int64
	file    CaseFile
	counts  Counts
	closing bool // the engine has ended
}

// New makes a session. Its source is not read before Run.
func New(o Options) *Session {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.HoldBack == 0 {
		o.HoldBack = DefaultHoldBack
	}
	if o.Service == nil {
		o.Service = func(uint16) bool { return false }
	}
	if o.Chunks == 0 {
		o.Chunks = chunksInFlight
	}
	s := &Session{
		o:        o,
		free:     make(chan *chunk, o.Chunks),
		arrivals: make(chan *chunk, o.Chunks),
		kick:     make(chan struct{}, 1),
		own:      make(chan hostlog.Record, 1024),
		aborted:  make(chan struct{}),
		saved:    make(chan struct{}),
		unseen:   make(chan struct{}),
		ended:    make(chan struct{}),
		file:     o.File,
	}
	s.stream = newStream(8, s.free, o.Info)
	return s
}

// Record adds a record of the session's own to the sequence. It may be called
// from any goroutine, before and while Run runs; later records are lost.
func (s *Session) Record(r hostlog.Record) {
	select {
	case s.own <- r:
	case <-s.ended:
	}
}

// Stop ends the capture: what the kernel had taken in before is still
// captured and analysed. It may be called more than once.
func (s *Session) Stop() { s.stopOnce.Do(func() { s.o.Source.Stop() }) }

// Abort ends everything at once but for the case file and what watches the
// processes, for which it waits: what that has set up in the system may outlive
// this process (ETW).
func (s *Session) Abort() {
	s.abort.Do(func() { close(s.aborted) })
	limit := time.After(lastRecords)
	for _, over := range []chan struct{}{s.saved, s.unseen} {
		select {
		case <-over:
		case <-limit:
			return
		}
	}
}

// Activity says what the wire does now.
func (s *Session) Activity() Activity { return s.activity.now() }

// Counters are the engine's, so far.
func (s *Session) Counters() capture.Counters { return s.o.Source.Counters() }

// Run captures until Stop, the end of the source or ctx's end, and returns
// what the analysis says. The Result is there as well where err is not nil
// because the engine failed. The caller closes Result.Connections.
func (s *Session) Run(ctx context.Context) (*analyze.Result, Counts, error) {
	received := s.receiving()
	sequenced := make(chan struct{})
	go func() {
		defer close(sequenced)
		s.sequence()
	}()
	defer context.AfterFunc(ctx, s.Abort)()
	options := s.o.Analyze
	options.OneByOne = true
	result, err := analyze.Run(ctx, s.stream, options)
	if err == nil {
		err = ctx.Err() // the end that the analysis saw was not the capture's
	}
	s.stream.Close()
	s.Stop()
	<-sequenced
	err = s.received(received, err)
	return result, s.counts, err
}

// Keep captures as Run does and analyses nothing: the sequence goes to
// Options.File alone, for as long as it takes. It is for a recorder that decides
// later what is worth an analysis.
func (s *Session) Keep(ctx context.Context) (Counts, error) {
	s.alone = true
	received := s.receiving()
	defer context.AfterFunc(ctx, s.Abort)()
	s.sequence()
	s.Stop()
	err := s.received(received, ctx.Err())
	return s.counts, err
}

// receiving begins to read the engine; the channel is closed at its end.
func (s *Session) receiving() <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.receive()
	}()
	return done
}

// received adds to an error what ended the reading, unless the engine hangs: what
// was made of all else is there.
func (s *Session) received(done <-chan struct{}, err error) error {
	select {
	case <-done:
		return errors.Join(s.readErr, err)
	case <-time.After(lastRecords):
		return err
	}
}

// receive reads the engine.
func (s *Session) receive() {
	defer close(s.arrivals)
	known, noted := 0, 0
	limit := frameLimit{most: s.o.MaxFrames}
	for {
		c := s.spare()
		c.reset()
		err := s.o.Source.Read(&c.batch)
		info := s.o.Source.Info()
		if n := len(info.Interfaces); n > known {
			c.added = slices.Clone(info.Interfaces[known:n])
			known = n
		}
		if n := len(info.Notes); n > noted {
			c.notes = slices.Clone(info.Notes[noted:])
			noted = n
		}
		if err != nil {
			if !errors.Is(err, io.EOF) {
				s.readErr = fmt.Errorf("capturing: %w", err)
			}
			c.arrived = s.o.Now()
			c.statistics = slices.Clone(info.Interfaces)
			for i := range c.statistics {
				if in := &c.statistics[i]; in.End == 0 {
					in.End = c.arrived.UnixNano()
				}
			}
			limit.correct(c.statistics)
			c.last = true
			s.arrivals <- c
			s.rouse()
			return
		}
		full := limit.cut(&c.batch)
		if len(c.batch.Packets) == 0 && len(c.added) == 0 && len(c.notes) == 0 {
			s.free <- c
			continue
		}
		c.arrived = s.o.Now()
		s.survey(c)
		s.arrivals <- c // and it is no more receive's
		if len(s.arrivals) >= crowded {
			s.rouse()
		}
		if full {
			s.Stop()
		}
	}
}

// spare returns a chunk that is not on its way. As few are made as are needed:
// what was used a moment ago is still in the processor's cache.
func (s *Session) spare() *chunk {
	select {
	case c := <-s.free:
		return c
	default:
	}
	if int(s.made.Load()) < s.o.Chunks {
		s.made.Add(1)
		return new(chunk)
	}
	s.rouse()
	return <-s.free
}

// rouse has the sequence take in what has arrived.
func (s *Session) rouse() {
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

// isLoopback knows loopback interfaces by their names: Linux lo, BSD and macOS
// lo0, Npcap's adapter.
func isLoopback(name string) bool {
	return name == "lo" || name == "lo0" || strings.HasSuffix(name, "NPF_Loopback")
}

// survey looks at what has arrived, and tells the owner watcher of connection
// attempts as soon as they are there: who made them may be gone in a millisecond.
func (s *Session) survey(c *chunk) {
	for i := range c.added {
		s.loopback = append(s.loopback, isLoopback(c.added[i].Name))
	}
	for i := range c.batch.Packets {
		p := &c.batch.Packets[i]
		c.bytes += len(p.Data)
		if s.o.Owners == nil || !mayOpen(p) {
			continue
		}
		if p.Interface >= 0 && int(p.Interface) < len(s.loopback) && s.loopback[p.Interface] {
			p.Loopback = true
		}
		var k flowKey
		if kind, flags, _ := quick(p, &k); kind == notTCP || kind == tcpSegment && flags&flagSYN == 0 {
			continue
		}
		t, ok := tupleOf(p)
		if !ok || t.flags&(flagSYN|flagACK) != flagSYN {
			continue
		}
		if local, remote, ok := t.ends(p, s.o.Service); ok {
			s.o.Owners.Seen(local, remote, p.Time)
		}
	}
}
