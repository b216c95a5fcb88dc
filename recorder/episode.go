package recorder

import (
	"strings"
	"time"

	"goproxytrace/capture/hostlog"
)

// episode is what one go command does, from its start, or its first lookup or
// SYN where it ran before, to the end of its processes and of its traffic.
type episode struct {
	root *process
	// begin is when it began, Unix ns.
	begin int64
	// flows are its connections, records what the host said of it.
	flows       []*flow
	records     []hostlog.Record
	recordBytes int64
	// network is true once it has done something on the network: a packet or
	// an attempt.
	network bool
	// loopback is true where a server of its connections runs on this host:
	// a proxy, whose own connections matter then.
	loopback bool
	// heard is when a packet of it came last, moved when one did that carried
	// more than a keep-alive has, or opened or ended a connection; by the awake
	// clock.
	heard, moved time.Duration
	// fed is when a server's data came last, Unix ns.
	fed int64
	// ended is when its last member ended, zero before.
	ended time.Duration
	over  bool
	// last is when a process of it was told to have ended, Unix ns.
	last int64
	exit *hostlog.Exit // of the go command itself, nil where not known
	// done is true once it was handed over: what comes after is not its own.
	done bool
	// asked is when its processes were looked for last.
	asked time.Duration
	// judged is the value of moved when it was judged while it ran; judging
	// is true while that is under way.
	judged  time.Duration
	judging bool
	// provisional is the case that was written while it ran, nil for none.
	provisional *saved
	// drops is the engine's counter when it began.
	drops   uint64
	gaveUp  gaveUp
	suspend []Gap
}

// gaveUp counts what memory did not allow to keep.
type gaveUp struct {
	Packets     int64 `json:"packets"`
	Connections int64 `json:"connections"`
	Records     int64 `json:"records"`
}

func (g *gaveUp) any() bool { return *g != gaveUp{} }

// Gap is a time for which the machine slept.
type Gap struct {
	From  time.Time `json:"from"`
	Until time.Time `json:"until"`
}

// maxRecords bounds an episode's records in bytes.
const maxRecords = 8 << 20

// recordCost is about what a record takes in memory.
func recordCost(r hostlog.Record) int64 {
	n := int64(240)
	switch r := r.(type) {
	case *hostlog.Process:
		for _, a := range r.Args {
			n += int64(len(a)) + 16
		}
		n += int64(len(r.Path))
	case *hostlog.Setting:
		n += int64(len(r.Name) + len(r.Value))
	case *hostlog.Event:
		n += int64(len(r.Text))
	}
	return n
}

// note adds a record to an episode. Records may take half of the ring, and those
// of how builds are set up, which any user can make as large as the system
// allows, half of that: the rest of them is forgotten.
func (r *Recorder) note(e *episode, rec hostlog.Record) {
	n := recordCost(rec)
	most := r.ringBytes() / 2
	if _, ok := rec.(*hostlog.Setting); ok {
		most /= 2
	}
	if e.recordBytes+n > maxRecords || r.noted+n > most {
		e.gaveUp.Records++
		return
	}
	e.records = append(e.records, rec)
	e.recordBytes += n
	r.noted += n
	r.bytes += n
}

// set notes how a go command is set up.
func (r *Recorder) set(e *episode, s *hostlog.Setting) {
	// As much as a case file takes of a value (hostlog.Fields), and a copy: what
	// was read is a part of the whole environment.
	const maxValue = 32 << 10
	own := *s
	own.Name, own.Value = strings.Clone(own.Name), strings.Clone(own.Value[:min(len(own.Value), maxValue)])
	if e.recordBytes+recordCost(&own) > maxSetUp {
		e.gaveUp.Records++
		return
	}
	r.note(e, &own)
}

// maxSetUp bounds what an episode begins with, in bytes.
const maxSetUp = 256 << 10

// When an episode is over, and when one is looked at that is not. They count the
// time that the machine is awake.
const (
	// farewell, stillness and longest are those of a session that waits for the
	// end of a command's traffic (package live).
	farewell  = 2 * time.Second
	stillness = time.Second
	longest   = 5 * time.Second
	// stalled is the silence after which one that still runs is judged. A go
	// command closes what it does not use after 90 s (net/http:
	// Transport.IdleConnTimeout of DefaultTransport), and sends a keep-alive
	// after 30 s: what is open and silent for so long is waited for.
	stalled = 100 * time.Second
	// longQuiet ends an episode whose process goes on without any connection,
	// such as a server that go run has started.
	longQuiet = time.Hour
	// askEvery is how often the system is asked whether processes still run
	// whose end was not told.
	askEvery = 10 * time.Second
	// before is how much is kept from before an episode, such as of a proxy on this
	// host.
	before = 10 * time.Second
	// nobodys is how long such is kept at most, however long an episode takes.
	nobodys = 15 * time.Minute
)

// open counts its connections that are not over.
func (e *episode) open() (n int) {
	for _, f := range e.flows {
		if !f.closed() {
			n++
		}
	}
	return n
}

// within reports whether what happened from one time to another may have been its
// doing, of which is not known whose it is: what began before its processes did,
// or after they had ended, is another's.
func (e *episode) within(from, until int64) bool {
	// Start times are counted in hundredths of a second (proc(5)), and clocks are
	// read one after the other.
	const early, late = int64(20 * time.Millisecond), int64(2 * time.Millisecond)
	return until >= e.begin-early && (!e.over || e.last == 0 || from <= e.last+late)
}

// settled reports whether an episode whose processes have ended is complete.
func (e *episode) settled(now time.Duration) bool {
	since := now - e.ended
	switch {
	case since >= longest:
		return true
	case since < stillness:
		return false
	case e.open() == 0:
		return true
	}
	return since >= farewell && now-e.heard >= stillness
}

// pid is the go command's.
func (e *episode) pid() uint32 { return e.root.record.PID }
