package recorder

import (
	"fmt"
	"io"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"goproxytrace/analyze"
	"goproxytrace/analyze/decode"
	"goproxytrace/capture"
	"goproxytrace/capture/hostlog"
)

// Options make a recorder.
type Options struct {
	// Dir is where cases go. It is made where it does not exist.
	Dir string
	// KeepOK is the share of healthy builds that are kept too, from 0 to 1.
	KeepOK float64
	// MaxDisk bounds what is in Dir, MaxMemory what this process holds, in
	// bytes; zeros mean DefaultDisk and DefaultMemory.
	MaxDisk, MaxMemory int64
	// Full keeps all bytes of all frames.
	Full bool
	// Application, OS and Host tell in the cases who wrote them, and where.
	Application, OS, Host string
	// Report writes the report on a result as one JSON object in one line, and
	// returns its verdict in a sentence.
	Report func(w io.Writer, r *analyze.Result, file string) (summary string, err error)
	// Analyze are the options of the analysis.
	Analyze analyze.Options
	// Surroundings says how a go command that was found running, or was
	// started a moment ago, is set up; nil where that cannot be known.
	Surroundings func(p *hostlog.Process) []*hostlog.Setting
	// Alive says whether a process still runs; nil means that its end is
	// always told.
	Alive func(pid uint32) bool
	// Addresses lists this host's; nil means that all count as such.
	Addresses func() []netip.Addr
	// Counters are the engine's; nil for none.
	Counters func() capture.Counters
	// Say takes a line for each case, Warn what a person must know.
	Say  func(string)
	Warn func(error)
	// Clock is the machine's; its zero value means SystemClock.
	Clock Clock
	// Draw yields numbers from 0 up to 1 that decide which healthy builds are
	// kept; nil means at random.
	Draw func() float64
}

// Defaults of what a recorder may take.
const (
	DefaultDisk   = 1 << 30
	DefaultMemory = 128 << 20
	// MinDisk and MinMemory are the least that a recorder works with.
	MinDisk   = 16 << 20
	MinMemory = 96 << 20
	// fixedMemory is what the process takes before a packet has come: the
	// program's own pages, most of it, and the kernel's buffer.
	fixedMemory = 64 << 20
)

// Recorder keeps what it is given in a ring, and writes cases. It is the case
// file of a session (live.CaseFile) that never ends.
type Recorder struct {
	o     Options
	store *store
	began time.Time

	mu         sync.Mutex
	decoder    *decode.Decoder
	segments   []decode.Segment
	spans      []span
	interfaces []capture.Interface
	number     uint64
	tree       tree
	flows      map[flowKey]*flow
	// shared are frames that are no connection's: lookups, ICMP, ARP.
	shared      []*frame
	sharedBytes int64
	// lost is the time of the latest shared frame that was given up.
	lost int64
	// recent are records of processes that no episode is about.
	recent      []hostlog.Record
	recentBytes int64
	noted       int64 // bytes of the records of episodes
	// standing are records that are true for all of the capture.
	standing []hostlog.Record
	episodes []*episode
	clock    clockWatch
	bytes    int64 // of everything that is held
	addrs    map[decode.Addr]bool
	addrsAt  time.Duration
	reviewed time.Duration
	full     bool // memory was short, as was said
	closed   bool
	asking   atomic.Int32 // that have not answered yet how a go command is set up

	jobs worklist
}

// New opens the directory and begins.
func New(o Options) (*Recorder, error) {
	if o.MaxDisk == 0 {
		o.MaxDisk = DefaultDisk
	}
	if o.MaxMemory == 0 {
		o.MaxMemory = DefaultMemory
	}
	if o.Clock.Now == nil {
		o.Clock = SystemClock()
	}
	if o.Say == nil {
		o.Say = func(string) {}
	}
	if o.Warn == nil {
		o.Warn = func(error) {}
	}
	s, err := openStore(o.Dir, o.MaxDisk, o.Clock.Now)
	if err != nil {
		return nil, err
	}
	r := &Recorder{
		o: o, store: s, began: o.Clock.Now(), decoder: decode.New(), flows: make(map[flowKey]*flow), clock: clockWatch{clock: o.Clock},
	}
	r.clock.look()
	r.jobs.begin(r)
	for _, note := range s.recovered {
		o.Warn(fmt.Errorf("%s", note))
	}
	return r, nil
}

func (r *Recorder) now() time.Time { return r.o.Clock.Now() }

// ringBytes is how much of the memory holds frames and records: half of what is
// left. The other half is for what waits for its owner to be known, for what the
// runtime has not collected yet, and for an analysis under way.
func (r *Recorder) ringBytes() int64 { return (r.o.MaxMemory - fixedMemory) / 2 }

// Interface is part of live.CaseFile.
func (r *Recorder) Interface(in *capture.Interface) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.interfaces = append(r.interfaces, *in)
	return len(r.interfaces) - 1, nil
}

// Packets is part of live.CaseFile.
func (r *Recorder) Packets(run []capture.Packet) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.o.Clock.Awake()
	for i := range run {
		r.packet(&run[i], now)
	}
	if r.bytes > r.ringBytes() {
		r.shrink()
	}
	return len(run), nil
}

// Record is part of live.CaseFile. Records are taken by Learn, which hears of
// them at once.
func (r *Recorder) Record(hostlog.Record) error { return nil }

// Statistics is part of live.CaseFile.
func (r *Recorder) Statistics(int, int64, *capture.Interface) error { return nil }

// Close is part of live.CaseFile: the capture has ended. Cases are completed by
// Finish.
func (r *Recorder) Close() error { return nil }

// packet takes a frame.
func (r *Recorder) packet(p *capture.Packet, now time.Duration) {
	r.number++
	p.Number = int64(r.number)
	r.segments = r.decoder.Decode(p, r.segments[:0])
	var tcp, other *decode.Segment
	for i := range r.segments {
		switch s := &r.segments[i]; {
		case s.Proto == decode.ProtoTCP && !s.Reassembled && !s.Fragment:
			tcp = s
		case s.Proto == decode.ProtoUDP && s.SrcPort != dnsPort && s.DstPort != dnsPort && len(r.segments) == 1:
		default:
			other = s
		}
	}
	switch {
	case tcp != nil:
		r.tcp(p, tcp, now)
	case other != nil && (other.Proto == decode.ProtoARP || r.ours(&other.Src, now) || r.ours(&other.Dst, now)):
		r.share(p, other.SrcPort == dnsPort || other.DstPort == dnsPort)
	}
}

const (
	dnsPort = 53
	// maxShared is how much is kept of a frame that is no connection's.
	maxShared = 4 << 10
)

// share keeps a frame that may matter to every episode of its time.
func (r *Recorder) share(p *capture.Packet, lookup bool) {
	short := *p
	if len(p.Data) > maxShared && !r.o.Full {
		short.Data = p.Data[:maxShared]
	}
	f := wholeFrame(&short)
	f.number, f.lookup = r.number, lookup
	r.shared = append(r.shared, f)
	r.sharedBytes += f.cost()
	r.bytes += f.cost()
}

// wholeFrame keeps a packet as it is.
func wholeFrame(p *capture.Packet) *frame { return frameOf(p, len(p.Data), 0, nil) }

// ours reports whether an address is one of this host's.
func (r *Recorder) ours(a *decode.Addr, now time.Duration) bool {
	if r.o.Addresses == nil || r.addrs[*a] {
		return true
	}
	// Addresses come and go with interfaces; what is not known is asked for
	// now and then.
	const again = 5 * time.Second
	if r.addrs != nil && now-r.addrsAt < again {
		return false
	}
	r.addrs, r.addrsAt = make(map[decode.Addr]bool), now
	for _, addr := range r.o.Addresses() {
		r.addrs[addr.Unmap().As16()] = true
	}
	return r.addrs[*a]
}

// tcp takes a TCP segment.
func (r *Recorder) tcp(p *capture.Packet, s *decode.Segment, now time.Duration) {
	key, dir := keyOf(s)
	f := r.flows[key]
	opens := s.Flags&(decode.SYN|decode.ACK) == decode.SYN
	if f == nil || opens && (f.closed() || f.opened && f.syn != s.Seq) {
		if f != nil {
			r.drop(f)
		}
		// A go command is nobody's server: who connects from elsewhere is none.
		f = &flow{key: key, local: p.Loopback, bytes: flowBytes, foreign: opens && p.Direction == capture.Inbound && !p.Loopback}
		r.flows[key] = f
		r.bytes += flowBytes
	}
	f.last = now
	r.own(f, p.ProcessID)
	switch e := f.owner; {
	case e != nil:
		e.heard, e.network = now, true
		// A keep-alive has one byte at most (RFC 9293, section 3.8.4).
		if s.Len > 1 || s.Flags&(decode.SYN|decode.FIN|decode.RST) != 0 {
			e.moved = now
		}
		if s.Len > 1 && f.opened && dir != f.client {
			e.fed = p.Time
		}
		e.loopback = e.loopback || f.local
	case f.foreign && len(f.frames) >= firstFrames && s.Flags&(decode.SYN|decode.FIN|decode.RST) == 0:
		return // its beginning is all that may matter
	case !f.foreign && !r.ours(&s.Src, now) && !r.ours(&s.Dst, now):
		return // forwarded
	}
	was := f.bytes
	r.spans = f.take(p, s, dir, r.number, r.o.Full, r.spans)
	if f.owner == nil && len(f.frames) > 2*(firstFrames+lastFrames) {
		f.thin()
	}
	r.bytes += f.bytes - was
}

// own finds out whose a connection is.
func (r *Recorder) own(f *flow, pid uint32) {
	if pid == 0 || f.owner != nil || f.pid == pid && f.asked == r.tree.changes {
		return
	}
	f.pid, f.asked = pid, r.tree.changes
	p := r.tree.byPID[pid]
	f.foreign = p == nil || !p.member || p.owner.done
	if !f.foreign {
		r.give(f, p.owner)
	}
}

func (r *Recorder) give(f *flow, e *episode) {
	f.owner = e
	e.flows = append(e.flows, f)
	e.network = true
}

// drop forgets a connection by its ends. One of an episode stays with that.
func (r *Recorder) drop(f *flow) {
	if r.flows[f.key] == f {
		delete(r.flows, f.key)
	}
	if f.owner == nil {
		r.bytes -= f.bytes
		f.frames, f.bytes = nil, 0
	}
}

// Tick does what is due. It is to be called once a second.
func (r *Recorder) Tick() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	now := r.o.Clock.Awake()
	r.clocks()
	for _, e := range slices.Clone(r.episodes) {
		r.review(e, now)
	}
	const pruneEvery = 5 * time.Second
	if now-r.reviewed >= pruneEvery {
		r.reviewed = now
		r.prune(now)
	}
	r.jobs.retry(now)
}

// clocks finds out that the machine slept or that its clock was set.
func (r *Recorder) clocks() {
	slept, set := r.clock.look()
	at := r.o.Clock.Now()
	if slept > 0 {
		g := Gap{From: at.Add(-slept - set).UTC(), Until: at.UTC()}
		text := fmt.Sprintf("this machine slept for %v, until about %s", slept.Round(time.Second), at.UTC().Format(time.RFC3339))
		for _, e := range r.episodes {
			e.suspend = append(e.suspend, g)
		}
		r.tellAll(&hostlog.Event{Time: at.UnixNano(), Origin: hostlog.FromCapture, Text: text})
	}
	for _, e := range r.episodes {
		if set < 0 {
			e.begin += int64(set) // what comes now is later than it all the same
		}
	}
	if set != 0 {
		r.tellAll(&hostlog.Event{Time: at.UnixNano(), Origin: hostlog.FromCapture, Text: fmt.Sprintf("the clock was set by %v at about %s", set.Round(time.Millisecond), at.UTC().Format(time.RFC3339))})
	}
}

// review looks whether an episode is over, or stalls.
func (r *Recorder) review(e *episode, now time.Duration) {
	if r.o.Alive != nil && !e.over && now-e.asked >= askEvery && now-e.heard >= askEvery {
		e.asked = now
		for _, p := range r.tree.living(e, true) {
			if !r.o.Alive(p.record.PID) {
				r.tree.end(p.record.PID, now)
			}
		}
		r.ending(e, now)
	}
	switch {
	case e.over && e.settled(now):
		r.hand(e, now, Ended)
	case e.over || !e.network || e.judging:
	case now-e.heard >= longQuiet && e.open() == 0:
		// It goes on as another, of which nothing is known yet but its
		// processes.
		r.hand(e, now, Quiet)
		r.again(e, now)
	case now-e.moved >= stalled && e.judged != e.moved && e.open() > 0:
		e.judged = e.moved
		e.judging = true
		r.jobs.add(r.snapshot(e, now, Stalled))
	}
}

// again begins an episode of a process that goes on.
func (r *Recorder) again(old *episode, now time.Duration) {
	e := r.begin(old.root, now)
	e.begin = r.o.Clock.Now().UnixNano()
	for _, p := range r.tree.byPID {
		if p.owner == old {
			p.owner = e
			r.note(e, p.record)
		}
	}
	r.tree.changes++
}

// hand gives an episode that is over to be judged.
func (r *Recorder) hand(e *episode, now time.Duration, why Trigger) {
	e.done = true
	r.episodes = slices.DeleteFunc(r.episodes, func(o *episode) bool { return o == e })
	j := r.snapshot(e, now, why)
	held := e.recordBytes
	r.noted -= e.recordBytes
	for _, f := range e.flows {
		held += f.bytes
		if r.flows[f.key] == f {
			delete(r.flows, f.key)
		}
	}
	e.flows, e.records = nil, nil
	if !j.worth() {
		r.bytes -= held
		return
	}
	j.held = held // until it is done
	r.jobs.add(j)
}

// prune forgets what no episode can need any more.
func (r *Recorder) prune(now time.Duration) {
	horizon := r.horizon()
	for _, f := range r.flows {
		if f.owner == nil && f.until < horizon {
			r.drop(f)
		}
	}
	n := 0
	for n < len(r.shared) && r.shared[n].at < horizon {
		r.sharedBytes -= r.shared[n].cost()
		r.bytes -= r.shared[n].cost()
		n++
	}
	r.shared = trimmed(r.shared, n)
	n = 0
	for n < len(r.recent) && r.recent[n].When() < horizon {
		c := recordCost(r.recent[n])
		r.recentBytes -= c
		r.bytes -= c
		n++
	}
	r.recent = trimmed(r.recent, n)
	r.tree.forget(now, func(e *episode) bool { return !e.done })
	if r.bytes < r.ringBytes()/2 {
		r.full = false
	}
}

// trimmed drops the first n items, and the memory behind them.
func trimmed[T any](list []T, n int) []T {
	if n == 0 {
		return list
	}
	if n == len(list) {
		return nil
	}
	return append([]T(nil), list[n:]...)
}

// horizon is the time before which nothing that is nobody's is needed. What died
// of a lookup, or of something that nobody owns, does so within minutes.
func (r *Recorder) horizon() int64 {
	now := r.now()
	at := now.Add(-3 * before).UnixNano()
	for _, e := range r.episodes {
		at = min(at, e.begin-int64(before))
	}
	return max(at, now.Add(-nobodys).UnixNano())
}

// Finish judges what is open, and waits until all that is to be written is, or
// the time is over.
func (r *Recorder) Finish(limit time.Duration) error {
	r.mu.Lock()
	now := r.o.Clock.Awake()
	for _, e := range slices.Clone(r.episodes) {
		why := Stopped
		if e.over {
			why = Ended
		}
		r.hand(e, now, why)
	}
	r.closed = true
	r.mu.Unlock()
	r.jobs.end(limit)
	return r.store.close()
}

// Reopen has the log opened anew with the next line: another program has moved
// it away (SIGHUP).
func (r *Recorder) Reopen() { r.store.log.reopen() }
