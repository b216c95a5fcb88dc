package live

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"goproxytrace/capture/hostlog"
)

// Found is what is known of running processes; *capture/owner* answers it.
type Found struct {
	// GoProcesses lists the running go commands and what they started.
	GoProcesses func() ([]hostlog.Process, error)
	// Family lists processes and what they started; those that have ended are
	// left out.
	Family func(pids []uint32) ([]hostlog.Process, error)
	// Sockets lists the TCP sockets of processes.
	Sockets func(pids []uint32) ([]hostlog.Socket, error)
}

// AttachOptions say whom to watch and how long.
type AttachOptions struct {
	Found Found
	// PIDs are the chosen processes; empty means the go commands.
	PIDs []uint32
	// Duration ends the watch; zero means that silence does.
	Duration time.Duration
	// Moved says when payload was seen to move on the wire. It is asked where
	// the system does not count the bytes of a socket; nil means never.
	Moved func() time.Time
	// Record takes the records that the watch makes.
	Record func(hostlog.Record)
	// Tree takes the processes that are watched.
	Tree *Tree
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

const (
	// silence contains one round of keep-alives: go sends the first after at
	// most 30 s (net.KeepAliveConfig), and an answer takes a moment.
	silence = 35 * time.Second
	// quietest is how long nothing must have moved before an answered
	// keep-alive says anything: shorter pauses are usual.
	quietest = 6 * time.Second
	// look is how often sockets are looked at, at most, slowest at least.
	look, slowest = time.Second, 5 * time.Second
	// restPerLook is how many times as long as a look took the watch rests: on
	// a host with many processes, looking is not to cost more than waiting is
	// worth.
	restPerLook = 500
)

// rest is how long to wait after a look that took that long.
func rest(took time.Duration) time.Duration { return min(max(look, restPerLook*took), slowest) }

// Reason says why a watch has ended.
type Reason string

// Reasons.
const (
	Interrupted   Reason = "interrupted"
	DurationOver  Reason = "the duration is over"
	ProcessesOver Reason = "the processes have ended"
	KeptAlive     Reason = "every quiet connection has answered a keep-alive"
	SilenceOver   Reason = "nothing moved for 35 s, which contains a round of keep-alives"
)

// Attach watches processes that were running before the session.
type Attach struct {
	o     AttachOptions
	begin time.Time

	mu        sync.Mutex
	processes map[uint32]hostlog.Process
	sockets   map[socketKey]*watched
	moved     time.Time // when a byte was last seen to move
	open      bool      // the watch began without a process: only its user ends it
	failed    error     // of the last look
}

type socketKey struct {
	local, remote netip.AddrPort
	cookie        uint64
}

// watched is a socket's state over time.
type watched struct {
	last     hostlog.Socket
	recorded bool // last is in the sequence
	alive    bool // an acknowledgement came although nothing was sent
	round    int  // of the look that saw it
}

// NewAttach makes a watch.
func NewAttach(o AttachOptions) *Attach {
	if o.Now == nil {
		o.Now = time.Now
	}
	now := o.Now()
	return &Attach{o: o, begin: now, moved: now, processes: map[uint32]hostlog.Process{}, sockets: map[socketKey]*watched{}}
}

// Run watches until it has seen enough, or ctx ends, and says why it ended.
func (a *Attach) Run(ctx context.Context) Reason {
	next := time.NewTimer(look)
	defer next.Stop()
	round := 0
	for {
		round++
		began := time.Now()
		a.Look(round)
		next.Reset(a.untilEnd(rest(time.Since(began))))
		if r, done := a.enough(); done {
			a.last()
			return r
		}
		select {
		case <-ctx.Done():
			a.Look(round + 1)
			a.last()
			return Interrupted
		case <-next.C:
		}
	}
}

// untilEnd shortens a wait that would outlast the duration.
func (a *Attach) untilEnd(wait time.Duration) time.Duration {
	if a.o.Duration <= 0 {
		return wait
	}
	return max(min(wait, a.o.Duration-a.o.Now().Sub(a.begin)), 0)
}

// Look takes the processes and their sockets as they are now.
func (a *Attach) Look(round int) {
	var list []hostlog.Process
	var err error
	if len(a.o.PIDs) > 0 {
		list, err = a.o.Found.Family(a.o.PIDs)
	} else {
		list, err = a.o.Found.GoProcesses()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.failed = err; err != nil && len(list) == 0 {
		return
	}
	now := map[uint32]hostlog.Process{}
	var pids []uint32
	for i := range list {
		p := list[i]
		now[p.PID] = p
		pids = append(pids, p.PID)
		if old, known := a.processes[p.PID]; !known || old.Start != p.Start || old.Path != p.Path {
			a.o.Tree.Add(p.PID, p.Name)
			a.o.Record(&p)
		}
	}
	a.processes = now
	if round == 1 {
		a.open = len(pids) == 0 && len(a.o.PIDs) == 0
	}
	if len(pids) == 0 {
		a.gone(round)
		return
	}
	sockets, err := a.o.Found.Sockets(pids)
	if err != nil {
		a.failed = err
	}
	counted := true
	for i := range sockets {
		a.socket(sockets[i], round)
		counted = counted && sockets[i].BytesReceived != nil
	}
	if !counted && a.o.Moved != nil {
		if at := a.o.Moved(); at.After(a.moved) {
			a.moved = at
		}
	}
	a.gone(round)
}

// socket takes a socket's state. Of states that are alike only the first and
// the last stand in the sequence.
func (a *Attach) socket(s hostlog.Socket, round int) {
	key := socketKey{s.Local, s.Remote, s.Cookie}
	w := a.sockets[key]
	if w == nil {
		a.sockets[key] = &watched{last: s, recorded: true, round: round}
		if round > 1 {
			a.moved = a.o.Now()
		}
		a.o.Record(&s)
		return
	}
	old := w.last
	w.last, w.round, w.recorded = s, round, false
	if alike(&old, &s) {
		if answered(&old, &s) {
			w.alive = true
		}
		return
	}
	if progressed(&old, &s) {
		a.moved, w.alive = a.o.Now(), false
	}
	a.o.Record(&s)
	w.recorded = true
}

// gone forgets sockets that are not there any more, after their last state.
func (a *Attach) gone(round int) {
	for key, w := range a.sockets {
		if w.round != round {
			a.record(w)
			delete(a.sockets, key)
		}
	}
}

func (a *Attach) record(w *watched) {
	if !w.recorded {
		s := w.last
		a.o.Record(&s)
		w.recorded = true
	}
}

// last records the state in which sockets were left.
func (a *Attach) last() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, w := range a.sockets {
		a.record(w)
	}
}

func same[T comparable](a, b *T) bool {
	return a == nil && b == nil || a != nil && b != nil && *a == *b
}

// alike compares all but what time alone changes.
func alike(a, b *hostlog.Socket) bool {
	return !progressed(a, b) && a.State == b.State && a.PID == b.PID && a.Unread == b.Unread && a.Unsent == b.Unsent &&
		a.Unacked == b.Unacked && a.Retransmits == b.Retransmits && a.TotalRetransmits == b.TotalRetransmits &&
		a.Probes == b.Probes && same(a.SendWindow, b.SendWindow) && same(a.ReceiveWindow, b.ReceiveWindow)
}

// progressed reports whether payload has moved in either direction.
func progressed(a, b *hostlog.Socket) bool {
	return !same(a.BytesAcked, b.BytesAcked) || !same(a.BytesReceived, b.BytesReceived)
}

// answered reports whether an acknowledgement has come between two states
// between which nothing was sent: the answer to a keep-alive (RFC 9293,
// section 3.8.4).
func answered(a, b *hostlog.Socket) bool {
	if a.LastAckReceived == nil || b.LastAckReceived == nil || b.Unacked > 0 {
		return false
	}
	elapsed := (b.Time - a.Time) / int64(time.Millisecond)
	return int64(*b.LastAckReceived)+100 < int64(*a.LastAckReceived)+elapsed
}

// enough says whether the watch has seen what decides.
func (a *Attach) enough() (Reason, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.o.Now()
	switch {
	case a.o.Duration > 0 && now.Sub(a.begin) >= a.o.Duration:
		return DurationOver, true
	case a.open:
		return "", false
	case len(a.processes) == 0:
		return ProcessesOver, true
	case a.o.Duration > 0:
		return "", false
	case now.Sub(a.moved) >= silence:
		return SilenceOver, true
	}
	if now.Sub(a.moved) < quietest {
		return "", false
	}
	established := 0
	for _, w := range a.sockets {
		if w.last.State != "ESTABLISHED" || !w.alive {
			return "", false
		}
		established++
	}
	return KeptAlive, established > 0
}

// State says how the watch stands, in words, and how many processes and
// sockets there are.
func (a *Attach) State() (text string, processes, sockets int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.o.Now()
	processes, sockets = len(a.processes), len(a.sockets)
	switch {
	case a.o.Duration > 0:
		text = fmt.Sprintf("%s left of --duration", left(a.o.Duration-now.Sub(a.begin)))
	case a.open && processes == 0:
		text = "waiting for a go command to start; Ctrl-C ends the capture"
	case a.open:
		text = "Ctrl-C ends the capture"
	default:
		text = fmt.Sprintf("%s until silence is evidence (35 s contain one keep-alive round)", left(silence-now.Sub(a.moved)))
	}
	return text, processes, sockets
}

func left(d time.Duration) string { return fmt.Sprintf("%d s", max(int(d.Seconds()+0.99), 0)) }

// Err is what the last look at processes and sockets could not read.
func (a *Attach) Err() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.failed
}
