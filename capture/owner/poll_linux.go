package owner

import (
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"goproxytrace/capture/hostlog"
)

const (
	// pollEvery is how often the table is looked at, idleEvery while no
	// connection has begun or ended for idleAfter and no SYN is captured: less
	// than packets wait for their owners (live.DefaultHoldBack).
	pollEvery = 50 * time.Millisecond
	idleEvery = 150 * time.Millisecond
	idleAfter = 2 * time.Second
	// processEvery is how often the processes are.
	processEvery = 5 * pollEvery
	forgetEvery  = 600 * pollEvery
	// young is how old a process is looked at again: a fork is often
	// followed by an exec.
	young = 2 * second
)

// poller is the socket-table mechanism: the table is read every 50 ms if a
// connection began or ended since (where that is long ago, every 150 ms), and
// asked at each captured SYN.
type poller struct {
	w        *Watcher
	scope    []uint64 // network namespaces
	counters []*counters
	requests chan tuple
	idle     atomic.Bool   // the table is looked at seldom
	wake     chan struct{} // no more
	stop     chan struct{}
	done     sync.WaitGroup

	mu      sync.Mutex // guards what follows, with the table
	table   *table
	lastPID string
	known   map[uint32]looked
	open    underway[socketKey]

	// expected are sockets that a better mechanism is about to report. The
	// lock is one of its own: a connect() waits for who notes them.
	expecting sync.Mutex
	expected  map[socketKey]bool
}

// looked is what a process was when it was looked at.
type looked struct {
	start   int64
	program string // its executable and its short name
	watched bool   // it is in a namespace that is watched
}

func (l *looked) young(now int64) bool { return l.watched && now-l.start < young }

func newPoller(w *Watcher, opts Options) (*poller, error) {
	t, err := newTable(opts.Namespaces)
	if err != nil {
		return nil, err
	}
	p := &poller{
		w: w, scope: opts.Namespaces, table: t, requests: make(chan tuple, 4096), wake: make(chan struct{}, 1), stop: make(chan struct{}),
		known: map[uint32]looked{}, open: underway[socketKey]{}, expected: map[socketKey]bool{},
	}
	w.processes.look = lookProcess
	// Only our own namespace's counters can be read from here.
	if own, err := inode("/proc/self/ns/net"); err == nil && slices.Equal(opts.Namespaces, []uint64{own}) {
		if c, err := openCounters(); err == nil {
			p.counters = append(p.counters, c)
		}
	}
	p.newProcesses()
	p.poll()
	p.done.Add(2)
	go p.run()
	go p.answer()
	return p, nil
}

// run polls until it is stopped.
func (p *poller) run() {
	defer p.done.Done()
	t := time.NewTimer(pollEvery)
	defer t.Stop()
	now := time.Now()
	active, looked, forgot := now, now, now
	for {
		select {
		case <-p.stop:
			return
		case <-p.wake:
			// The other end of a connection through the loopback interface
			// is found in the table alone.
			active = time.Now()
			t.Reset(pollEvery / 5)
			continue
		case now = <-t.C:
		}
		p.mu.Lock()
		if now.Sub(looked) >= processEvery {
			looked = now
			if p.newProcesses() || len(p.open) > 0 {
				active = now
			}
			p.endedProcesses()
			p.open.waiting(p.w.out, time.Now().UnixNano(), patience)
		}
		asked := time.Now().UnixNano()
		moved := len(p.counters) == 0 || p.table.waiting
		for _, c := range p.counters {
			moved = c.moved() || moved
		}
		if moved {
			active = now
			p.poll()
		} else {
			for _, d := range p.table.diags {
				p.w.book.unchanged(d.namespace, asked)
			}
		}
		if now.Sub(forgot) >= forgetEvery {
			forgot = now
			p.w.book.forget(now.UnixNano())
			p.w.processes.forget(now.UnixNano())
			bootClock().set()
		}
		next, idle := pollEvery, now.Sub(active) >= idleAfter && len(p.counters) > 0
		if idle {
			next = idleEvery
		}
		p.idle.Store(idle)
		p.mu.Unlock()
		t.Reset(max(next-time.Since(now), time.Millisecond)) // the time that this took counts
	}
}

// poll reads the table once.
func (p *poller) poll() {
	p.table.waiting = false
	for _, d := range p.table.diags {
		sockets := p.table.readOne(d, openStates, false)
		shown := make(map[uint64]bool, len(sockets))
		sockets = slices.DeleteFunc(sockets, func(s diagSocket) bool {
			shown[s.cookie] = true
			return s.cookie == 0 || p.expects(socketKey{s.namespace, s.cookie})
		})
		for i, pid := range p.table.resolve(sockets) {
			p.take(&sockets[i], pid)
		}
		for _, c := range p.w.book.unseen(d.namespace, shown) {
			p.w.out.put(&c)
		}
		for k := range p.open {
			if k.namespace == d.namespace && !shown[k.cookie] {
				p.open.over(p.w.out, k, time.Now().UnixNano())
			}
		}
	}
	p.table.age()
}

// take reports a socket of the table, unless it is known.
func (p *poller) take(s *diagSocket, pid uint32) {
	k := socketKey{s.namespace, s.cookie}
	if p.expects(k) {
		return
	}
	if a := p.open[k]; a != nil && s.state != tcpSynSent {
		delete(p.open, k)
	} else if a == nil && s.state == tcpSynSent && pid != 0 {
		p.open[k] = &hostlog.Attempt{Time: s.time, PID: pid, Local: s.local, Remote: s.remote, Cookie: s.cookie, Source: hostlog.SocketTable}
	}
	if h := p.w.book.socket(k); h != nil {
		p.w.book.again(h, s.asked)
		return
	}
	if pid == 0 {
		return
	}
	h := s.holding(pid)
	p.w.book.add(h)
	p.w.processes.owns(hostlog.Process{PID: pid, Time: s.time, Source: hostlog.SocketTable})
	c := h.claim
	p.w.out.put(&c)
}

// expect notes that a socket is about to be reported by a better mechanism, or
// not after all.
func (p *poller) expect(k socketKey, yes bool) {
	p.expecting.Lock()
	defer p.expecting.Unlock()
	if yes {
		p.expected[k] = true
	} else {
		delete(p.expected, k)
	}
}

func (p *poller) expects(k socketKey) bool {
	p.expecting.Lock()
	defer p.expecting.Unlock()
	return p.expected[k]
}

// newProcesses looks at the processes that were started since, so that what a
// go command starts is known whether it connects or not; false where there are
// none in a namespace that is watched.
func (p *poller) newProcesses() (started bool) {
	now := time.Now().UnixNano()
	last := lastPID()
	fresh := last != p.lastPID
	for _, l := range p.known {
		fresh = fresh || l.young(now)
	}
	if !fresh {
		return false
	}
	p.lastPID = last
	ids, err := processIDs()
	if err != nil {
		return true
	}
	there := make(map[uint32]bool, len(ids))
	for _, id := range ids {
		there[id] = true
		l, ok := p.known[id]
		if ok && (!l.young(now) || sameProgram(id, l)) {
			continue
		}
		if !inNamespaces(id, p.scope) {
			p.known[id] = looked{}
		} else if d, found := lookProcess(id); found {
			started = true
			p.known[id] = looked{d.Start, d.Path + " " + d.Name, true}
			p.w.processes.running(d)
		}
	}
	for id := range p.known {
		if !there[id] {
			delete(p.known, id)
		}
	}
	return started
}

// sameProgram says cheaply whether a process runs what it did before.
func sameProgram(pid uint32, l looked) bool {
	_, start, name, err := processStat(pid)
	if err != nil || start != l.start {
		return err != nil
	}
	path, err := os.Readlink(procPath(pid, "exe"))
	return err != nil || strings.TrimSuffix(path, " (deleted)")+" "+name == l.program
}

// endedProcesses reports the exits of reported processes. How they ended only
// their parents are told.
func (p *poller) endedProcesses() {
	for _, d := range p.w.processes.living() {
		_, start, _, err := processStat(d.PID)
		if err != nil || !sameStart(start, d.Start) {
			delete(p.known, d.PID)
			p.w.processes.ended(hostlog.Exit{Time: time.Now().UnixNano(), PID: d.PID, Code: -1}, d.Start)
		}
	}
}

// answer asks the table for the connections of captured SYNs.
func (p *poller) answer() {
	defer p.done.Done()
	for {
		select {
		case <-p.stop:
			return
		case t := <-p.requests:
			p.mu.Lock()
			for _, d := range p.table.diags {
				if s, err := d.find(t); err == nil && s != nil && s.cookie != 0 && !p.expects(socketKey{s.namespace, s.cookie}) {
					p.take(s, p.table.holder(*s))
				}
			}
			p.mu.Unlock()
		}
	}
}

func (p *poller) seen(local, remote netip.AddrPort, _ int64) {
	select {
	case p.requests <- tuple{local, remote}:
	default:
		// The next poll sees what is still there.
	}
	if p.idle.CompareAndSwap(true, false) {
		select {
		case p.wake <- struct{}{}:
		default:
		}
	}
}

func (p *poller) start(cmd *exec.Cmd) error { return cmd.Start() }

func (p *poller) limits() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := []string{"connections that live less than 50 ms, are refused at once or never get a local port may stay without an owner (socket table)"}
	if p.table.hidden {
		out = append(out, "the open files of other users' processes cannot be read, so their connections stay without an owner")
	}
	if len(p.table.notes) > 0 {
		out = append(out, strings.Join(slices.Compact(slices.Sorted(slices.Values(p.table.notes))), "; "))
	}
	return out
}

func (p *poller) close() error {
	close(p.stop)
	p.done.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.poll()
	p.open.waiting(p.w.out, time.Now().UnixNano(), 0)
	p.table.close()
	for _, c := range p.counters {
		c.f.Close()
	}
	return nil
}
