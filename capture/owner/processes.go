package owner

import (
	"path"
	"slices"
	"strings"
	"sync"

	"goproxytrace/capture/hostlog"
)

// maxAncestors bounds the walk to the root of the process tree.
const maxAncestors = 64

// process is a process as last described.
type process struct {
	hostlog.Process
	follow bool // what it starts is reported
	told   bool // it has been reported
	// above is true where that was done only for what it started: then its
	// arguments, which are nobody's business, were left out.
	above bool
	gone  int64
	exit  *hostlog.Exit
}

// processes is the tree of processes, and says which of them are reported.
type processes struct {
	mu    sync.Mutex
	out   *queue
	all   bool
	byPID map[uint32]*process
	// look asks the system about a running process; nil where it cannot.
	look func(pid uint32) (hostlog.Process, bool)
}

func newProcesses(out *queue, all bool) *processes {
	return &processes{out: out, all: all, byPID: map[uint32]*process{}}
}

// sameStart compares two start times, of which one may be rounded down to the
// 10 ms in which /proc counts (USER_HZ) and either converted with a slightly
// different clock.
func sameStart(a, b int64) bool {
	d := a - b
	return a == 0 || b == 0 || d > -20*millisecond && d < 20*millisecond
}

// at returns the process that has a PID and began at a time, zero for any.
func (p *processes) at(pid uint32, start int64) *process {
	if q := p.byPID[pid]; q != nil && sameStart(q.Start, start) {
		return q
	}
	return nil
}

// running takes what a look at a process showed: it may be new, or execute
// another program than before.
func (p *processes) running(d hostlog.Process) {
	p.mu.Lock()
	defer p.mu.Unlock()
	q := p.at(d.PID, d.Start)
	switch {
	case q == nil || q.gone != 0:
		q = &process{Process: d}
		p.byPID[d.PID] = q
	case (d.Path == "" || d.Path == q.Path) && (d.Args == nil || slices.Equal(q.Args, d.Args)):
		// A process that is ending has neither any more, or only what was
		// read before it began to.
		return
	case q.told:
		q.Process, q.told = d, false
		p.report(q, 0, q.above)
	default:
		q.Process = d
	}
	p.classify(q)
}

// connecting takes a process that is about to connect, and learns of its
// ancestors while it waits: when it owns its connection they may have ended.
func (p *processes) connecting(d hostlog.Process) {
	p.running(d)
	p.mu.Lock()
	defer p.mu.Unlock()
	q := p.at(d.PID, d.Start)
	for range maxAncestors {
		if q == nil {
			return
		}
		q = p.parent(q)
	}
}

// classify decides whether a process is reported unasked.
func (p *processes) classify(q *process) {
	if q.PID == 0 {
		return
	}
	if parent := p.byPID[q.Parent]; parent != nil && parent.follow && before(parent, q) || isGo(&q.Process) {
		q.follow = true
	}
	if q.follow && !isCompiler(q.Path) || p.all {
		p.tell(q, maxAncestors)
	}
}

// isCompiler says whether an executable is one of the tools that the go command
// builds with: hundreds of short processes that never use the network.
func isCompiler(path string) bool {
	return strings.Contains(path, "/pkg/tool/") || strings.Contains(path, `\pkg\tool\`)
}

// isGo says whether a process runs the go command.
func isGo(d *hostlog.Process) bool {
	if base(d.Path) == "go" {
		return true
	}
	return d.Path == "" && d.Name == "go" || len(d.Args) > 0 && base(d.Args[0]) == "go" && isToolchain(d.Path)
}

// base is the last element of an executable's path, without the mark of Linux
// for one that was removed and the extension of Windows.
func base(name string) string {
	name = strings.TrimSuffix(name, " (deleted)")
	name = name[strings.LastIndexByte(name, '\\')+1:]
	return strings.TrimSuffix(path.Base(name), ".exe")
}

// before says whether a process can be the parent of another: a PID may have
// come round since.
func before(parent, child *process) bool {
	return parent.Start == 0 || child.Start == 0 || parent.Start <= child.Start+20*millisecond
}

// forked takes a new process, which runs its parent's program for now.
func (p *processes) forked(d hostlog.Process) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if parent := p.byPID[d.Parent]; parent != nil && parent.gone == 0 {
		d.Path, d.Args = parent.Path, parent.Args
		d.Container = parent.Container
	}
	q := &process{Process: d}
	// One that is followed may have been asked for before its events came.
	if old := p.at(d.PID, d.Start); old != nil && old.gone == 0 {
		q.follow, q.told, q.above = old.follow, old.told, old.above
	}
	p.byPID[d.PID] = q
	// A go command between fork and exec is not one of its own: it is told
	// of, as what go starts, but only what it executes decides the rest.
	if parent := p.byPID[d.Parent]; parent != nil && parent.follow && before(parent, q) {
		q.follow = true
	}
	if p.all {
		p.tell(q, maxAncestors)
	}
}

// executed takes a process that runs another program from now on.
func (p *processes) executed(d hostlog.Process) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if old := p.at(d.PID, d.Start); old != nil && old.gone == 0 {
		if d.Container == "" {
			d.Container = old.Container
		}
		old.Process = d
		if old.told {
			old.told = false
			p.report(old, 0, old.above)
		}
		p.classify(old)
		return
	}
	q := &process{Process: d}
	p.byPID[d.PID] = q
	p.classify(q)
}

// ended takes a process's exit.
func (p *processes) ended(x hostlog.Exit, start int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	q := p.at(x.PID, start)
	if q == nil || q.gone != 0 {
		return
	}
	q.gone, q.exit = x.Time, &x
	if q.told {
		p.out.put(&x)
	}
}

// owns reports that a process owns a connection: it is told of with its
// ancestors, unless that was done. d is what is known of it by the one who
// says so.
func (p *processes) owns(d hostlog.Process) {
	p.mu.Lock()
	defer p.mu.Unlock()
	q := p.at(d.PID, d.Start)
	if q == nil {
		if p.look != nil {
			if seen, ok := p.look(d.PID); ok && sameStart(seen.Start, d.Start) {
				d = seen
			}
		}
		q = &process{Process: d}
		p.byPID[d.PID] = q
		p.classify(q)
	}
	p.tell(q, maxAncestors)
}

// follow reports a process and what it starts. The process was started by this
// one after a time (Unix nanoseconds) and nobody waited for it yet, so that its
// PID is no other's; it and what it started may have ended.
func (p *processes) follow(pid uint32, since int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	q := p.byPID[pid]
	if q != nil && q.Start < since-20*millisecond && (q.Start != 0 || q.gone != 0) {
		q = nil // one that had the PID before
	}
	if q == nil {
		q = &process{}
		if p.look != nil {
			q.Process, _ = p.look(pid)
		}
		q.PID = pid
		p.byPID[pid] = q
	}
	q.follow = true
	if q.Time == 0 {
		// It cannot be looked at; its records come when events tell of it.
		return
	}
	p.tell(q, maxAncestors)
	// Those it has started meanwhile.
	for changed := true; changed; {
		changed = false
		for _, c := range p.byPID {
			if parent := p.byPID[c.Parent]; !c.follow && parent != nil && parent.follow && before(parent, c) {
				c.follow, changed = true, true
				p.tell(c, maxAncestors)
			}
		}
	}
}

// tell reports a process, its ancestors first.
func (p *processes) tell(q *process, depth int) { p.report(q, depth, false) }

func (p *processes) report(q *process, depth int, above bool) {
	if q.PID == 0 || q.told && (above || !q.above) {
		return
	}
	again := q.told
	q.told, q.above = true, above
	if depth > 0 {
		if parent := p.parent(q); parent != nil {
			p.report(parent, depth-1, !p.followed(parent, depth))
		}
	}
	p.complete(q)
	d := q.Process
	d.Args = slices.Clone(d.Args)
	if above {
		d.Args = nil
	}
	p.out.put(&d)
	if q.exit != nil && !again {
		x := *q.exit
		p.out.put(&x)
	}
}

// parent returns the process that started q, nil where it is not known.
func (p *processes) parent(q *process) *process {
	if q.Parent == 0 || q.Parent == q.PID {
		return nil
	}
	parent := p.byPID[q.Parent]
	if parent == nil && p.look != nil {
		if d, ok := p.look(q.Parent); ok {
			parent = &process{Process: d}
			p.byPID[d.PID] = parent
		}
	}
	if parent == nil || !before(parent, q) {
		return nil
	}
	return parent
}

// followed reports whether q is one of those that are followed, or was started
// by one.
func (p *processes) followed(q *process, depth int) bool {
	for ; q != nil && depth > 0; depth-- {
		if q.follow {
			return true
		}
		q = p.parent(q)
	}
	return false
}

// complete adds what events do not carry, where the process still runs the
// same program.
func (p *processes) complete(q *process) {
	if p.look == nil || q.gone != 0 {
		return
	}
	d, ok := p.look(q.PID)
	if !ok || !sameStart(d.Start, q.Start) {
		return
	}
	q.Container = d.Container
	if d.PIDInContainer != 0 {
		q.PIDInContainer = d.PIDInContainer
	}
	if !q.HasUID {
		q.UID, q.HasUID = d.UID, d.HasUID
	}
	if q.Start == 0 {
		q.Start = d.Start
	}
	if q.Parent == 0 {
		q.Parent = d.Parent
	}
	whole, cut := cutArgs(q.Args)
	switch {
	case q.Args == nil && (q.Name == "" || q.Name == d.Name):
		q.Name, q.Args, q.Path = d.Name, d.Args, d.Path
	case slices.Equal(q.Args, d.Args) || cut && len(d.Args) >= len(whole) && slices.Equal(whole, d.Args[:len(whole)]):
		q.Args = d.Args
		// One that is ending has none any more.
		if d.Path != "" {
			q.Path = d.Path
		}
	}
}

// cutMark stands at the end of arguments that were longer than what the event
// could hold.
const cutMark = "..."

// cutArgs returns the arguments that are whole, without the last one where the
// list was cut off within it.
func cutArgs(args []string) ([]string, bool) {
	n := len(args)
	if n < 2 || args[n-1] != cutMark {
		return args, false
	}
	return args[:n-2], true
}

// living are the reported processes that have not ended.
func (p *processes) living() (out []hostlog.Process) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, q := range p.byPID {
		if q.told && q.gone == 0 {
			out = append(out, q.Process)
		}
	}
	return out
}

// forget drops processes that ended long before a time.
func (p *processes) forget(now int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for pid, q := range p.byPID {
		if q.gone != 0 && now-q.gone > keep {
			delete(p.byPID, pid)
		}
	}
}
