package recorder

import (
	"net/netip"
	"time"

	"goproxytrace/capture/hostlog"
)

// Learn takes a record of the host as soon as it is there.
func (r *Recorder) Learn(rec hostlog.Record) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.o.Clock.Awake()
	switch rec := rec.(type) {
	case *hostlog.Process:
		old := r.tree.byPID[rec.PID]
		p := r.tree.add(rec, func(p *process) *episode { return r.begin(p, now) })
		if old != nil && old != p && !old.ended {
			// Its end was not told, but its number is another's.
			old.ended, old.gone = true, now
			if e := old.owner; e != nil && !e.done {
				r.ending(e, now)
			}
		}
		r.tell(p.owner, rec)
	case *hostlog.Exit:
		r.exit(rec, now)
	case *hostlog.Claim:
		r.claim(rec)
		r.tell(r.ownerOf(rec.PID), rec)
	case *hostlog.Attempt:
		if p := r.tree.byPID[rec.PID]; p != nil && p.member && p.owner != nil && !p.owner.done {
			p.owner.network = true
			p.owner.heard, p.owner.moved = now, now
		}
		r.tell(r.ownerOf(rec.PID), rec)
	case *hostlog.Socket:
		r.tell(r.ownerOf(rec.PID), rec)
	case *hostlog.Block:
		if e := r.ownerOf(rec.PID); e != nil {
			r.tell(e, rec)
			return
		}
		r.tellAll(rec)
	case *hostlog.Event:
		r.tellAll(rec)
	case *hostlog.Unread, *hostlog.Setting:
		if len(r.standing) < maxStanding {
			r.standing = append(r.standing, rec)
		}
	}
}

// claim takes who owns a connection: its packets may have come before that was
// known.
func (r *Recorder) claim(c *hostlog.Claim) {
	p := r.tree.byPID[c.PID]
	if c.Server || p == nil || !p.member || p.owner.done || c.Local.Port() == 0 || c.Remote.Port() == dnsPort {
		return
	}
	p.owner.network = true
	local, remote := endOf(c.Local), endOf(c.Remote)
	key := flowKey{local, remote}
	if remote.compare(local) < 0 {
		key = flowKey{remote, local}
	}
	// Of one that ended long ago the ports may be another's by now.
	if f := r.flows[key]; f != nil && f.owner == nil && !f.foreign && f.until >= c.Time-int64(time.Minute) {
		f.pid, f.asked = c.PID, r.tree.changes
		r.give(f, p.owner)
	}
}

func endOf(a netip.AddrPort) endpoint { return endpoint{a.Addr().Unmap().As16(), a.Port()} }

// maxStanding bounds the records that are true for all of the capture.
const maxStanding = 256

func (r *Recorder) ownerOf(pid uint32) *episode {
	if p := r.tree.byPID[pid]; pid != 0 && p != nil {
		return p.owner
	}
	return nil
}

// tell notes a record for an episode, or as nobody's.
func (r *Recorder) tell(e *episode, rec hostlog.Record) {
	if e != nil && !e.done {
		r.note(e, rec)
		return
	}
	n := recordCost(rec)
	r.recent = append(r.recent, rec)
	r.recentBytes += n
	r.bytes += n
	if r.recentBytes > r.ringBytes()/8 {
		r.shedRecent()
	}
}

func (r *Recorder) tellAll(rec hostlog.Record) {
	for _, e := range r.episodes {
		if _, ok := rec.(*hostlog.Block); ok && !e.within(rec.When(), rec.When()) {
			continue // that of another
		}
		r.note(e, rec)
	}
}

// begin makes the episode of a go command.
func (r *Recorder) begin(p *process, now time.Duration) *episode {
	e := &episode{root: p, begin: beginOf(p.record), heard: now, moved: now, asked: now}
	if r.o.Counters != nil {
		e.drops = r.o.Counters().Dropped
	}
	r.episodes = append(r.episodes, e)
	for _, s := range r.surroundings(p.record) {
		r.set(e, s)
	}
	r.note(e, &hostlog.Subject{Time: e.begin, PID: p.record.PID})
	return e
}

// beginOf is when a go command began, Unix ns. Its start is told by the clock as
// that was when the recorder began, since it tells processes apart: where it does
// not fit the time at which the process was seen, the clock was set since, or the
// process has run for long.
func beginOf(p *hostlog.Process) int64 {
	const late = int64(5 * time.Second)
	if p.Start == 0 || p.Start > p.Time || p.Time-p.Start > late {
		return p.Time
	}
	return p.Start
}

// surroundings asks how a go command is set up. The system reads that from the
// process's memory, which a file system of its user's own may back, that never
// answers: nothing waits for such a one for long, nor for many.
func (r *Recorder) surroundings(p *hostlog.Process) []*hostlog.Setting {
	const (
		limit = 500 * time.Millisecond
		most  = 8
	)
	if r.o.Surroundings == nil || r.asking.Load() >= most {
		return nil
	}
	r.asking.Add(1)
	answer := make(chan []*hostlog.Setting, 1)
	go func() {
		defer r.asking.Add(-1)
		answer <- r.o.Surroundings(p)
	}()
	select {
	case list := <-answer:
		return list
	case <-time.After(limit):
		return nil
	}
}

// exit takes the end of a process.
func (r *Recorder) exit(x *hostlog.Exit, now time.Duration) {
	p := r.tree.end(x.PID, now)
	if p == nil || p.owner == nil || p.owner.done {
		return
	}
	e := p.owner
	e.last = max(e.last, x.Time)
	r.note(e, x)
	if p == e.root {
		e.exit = x
	}
	r.ending(e, now)
}

// ending notes that an episode's processes have ended, once they have.
func (r *Recorder) ending(e *episode, now time.Duration) {
	if !e.over && e.root.ended && len(r.tree.living(e, true)) == 0 {
		e.over, e.ended = true, now
	}
}
