package owner

import (
	"errors"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/windows"

	"goproxytrace/capture/hostlog"
)

const (
	// pollEvery is shorter than on Linux: the table has no one socket to ask
	// for, and Npcap delivers a SYN up to its read timeout late.
	pollEvery    = 10 * time.Millisecond
	processEvery = 25 // polls between two looks at the processes
	forgetEvery  = 3000
	// restAfter is how many times as long as a poll took none follows: with
	// many thousands of sockets reading them takes long.
	restAfter = 20
	// patience is how long a SYN may stay without an answer before the
	// attempt is reported while it is under way: the first retransmission is
	// due (RFC 6298, section 2).
	patience = second
)

// poller is the socket-table mechanism: the table is read every 10 ms, and at
// once when a SYN was captured. Where events come (connects) they tell of
// beginnings and failures, and the table of the rest.
type poller struct {
	w    *Watcher
	kick chan struct{}
	stop chan struct{}
	done sync.WaitGroup

	mu     sync.Mutex // guards what follows
	table  tcpTable
	serial uint64
	rows   map[rowKey]*holding
	open   underway[rowKey]
	known  map[uint32]entry          // processes of the last look
	held   map[uint32]windows.Handle // reported processes, for their exit codes
	notes  map[string]bool
	events connects
	hidden bool // a process with a socket could not be opened
}

// rowKey tells two uses of the same addresses and ports apart: by when the
// socket was bound where the system says so, and by its process.
type rowKey struct {
	tuple
	pid     uint32
	created int64
}

func newPoller(w *Watcher) (*poller, error) {
	p := &poller{
		w: w, kick: make(chan struct{}, 1), stop: make(chan struct{}), notes: map[string]bool{},
		rows: map[rowKey]*holding{}, open: underway[rowKey]{}, known: map[uint32]entry{}, held: map[uint32]windows.Handle{},
		events: connects{calls: map[tuple]call{}, fresh: map[*holding]int64{}},
	}
	if rows, err := p.table.read(); err != nil && len(rows) == 0 {
		return nil, err
	}
	w.processes.look = lookProcess
	p.lookProcesses()
	p.poll()
	p.done.Add(1)
	go p.run()
	return p, nil
}

// run polls until it is stopped.
func (p *poller) run() {
	defer p.done.Done()
	t := time.NewTimer(pollEvery)
	defer t.Stop()
	var last time.Time
	var took time.Duration
	for n := 1; ; {
		asked := false
		select {
		case <-p.stop:
			return
		case <-p.kick:
			asked = true
		case <-t.C:
		}
		begin := time.Now()
		// Where many connect, reading must not be all that is done; the
		// timer's poll follows soon.
		if asked && begin.Sub(last) < 2*took {
			continue
		}
		p.mu.Lock()
		p.poll()
		last, took = time.Now(), time.Since(begin)
		if !asked {
			if n%processEvery == 0 {
				p.lookProcesses()
				p.endedProcesses()
				p.open.waiting(p.w.out, begin.UnixNano(), patience)
			}
			if n%forgetEvery == 0 {
				p.w.book.forget(begin.UnixNano())
				p.w.processes.forget(begin.UnixNano())
				p.forgetCalls(begin.UnixNano())
			}
			n++
			t.Reset(max(pollEvery, restAfter*took))
		}
		p.mu.Unlock()
	}
}

// poll reads the table once.
func (p *poller) poll() {
	now := time.Now().UnixNano()
	rows, err := p.table.read()
	if err != nil {
		p.notes[err.Error()] = true
		// What is not there may just not have been read.
		if len(rows) == 0 {
			return
		}
	}
	servers := listeningEnds(rows)
	shown := make(map[uint64]bool, len(rows))
	there := make(map[rowKey]bool, len(rows))
	for i := range rows {
		r := &rows[i]
		if !r.held() || r.pid == 0 {
			continue
		}
		k := rowKey{tupleOf(r.local, r.remote), r.pid, r.created}
		there[k] = true
		shown[p.take(k, r, servers.has(r.local), now).key.cookie] = true
	}
	if err != nil {
		return
	}
	for _, c := range p.w.book.unseen(0, shown) {
		p.w.out.put(&c)
	}
	for h := range p.events.fresh {
		if h.claim.Until != 0 {
			delete(p.events.fresh, h) // just told, with its end
		}
	}
	p.tellFresh(now, false)
	for k := range p.rows {
		if !there[k] {
			delete(p.rows, k)
		}
	}
	for k := range p.open {
		if !there[k] {
			p.open.over(p.w.out, k, now)
		}
	}
}

// take reports a socket of the table, unless it is known.
func (p *poller) take(k rowKey, r *tableRow, server bool, now int64) *holding {
	if a := p.open[k]; a != nil && r.state != mibSynSent {
		delete(p.open, k)
	} else if a == nil && r.state == mibSynSent {
		p.open[k] = &hostlog.Attempt{Time: now, PID: r.pid, Local: r.local, Remote: r.remote, Source: hostlog.SocketTable}
	}
	h := p.rows[k]
	if h == nil && p.events.on {
		// One that an event has told of.
		if h = p.w.book.current(k.tuple, r.pid); h != nil && (h.claim.Source != hostlog.KernelEvent || r.created != 0 && h.begins && h.sure < r.created) {
			h = nil
		}
		if h != nil {
			p.rows[k] = h
		}
	}
	if h != nil {
		p.w.book.again(h, now)
		return h
	}
	p.serial++
	h = &holding{key: socketKey{cookie: p.serial}, sure: now, last: now}
	h.claim = hostlog.Claim{Local: r.local, Remote: r.remote, Time: now, PID: r.pid, Server: server, Source: hostlog.SocketTable}
	// Bound before it has the whole tuple; of an accepted connection it may be
	// the listener's, which says nothing.
	if r.created != 0 && r.created <= now && !server {
		h.claim.Time, h.begins = r.created, true
	}
	p.rows[k] = h
	p.w.book.add(h)
	d := p.describe(r.pid, now)
	p.hold(d.PID, d.Start)
	p.w.processes.owns(d)
	if p.events.on {
		p.events.fresh[h] = now + behind
	} else {
		p.tell(h)
	}
	return h
}

// describe looks at a socket's process, which may have begun after the last
// look at all of them.
func (p *poller) describe(pid uint32, now int64) hostlog.Process {
	d, ok := lookProcess(pid)
	if !ok {
		return hostlog.Process{PID: pid, Time: now, Source: hostlog.SocketTable}
	}
	p.hidden = p.hidden || d.Start == 0
	return d
}

// lookProcesses looks at the processes that were started since, so that what a
// go command starts is known whether it connects or not.
func (p *poller) lookProcesses() {
	list, err := snapshot()
	if err != nil {
		p.notes[err.Error()] = true
		return
	}
	for pid, e := range list {
		if old, ok := p.known[pid]; pid != 0 && (!ok || old != e) {
			p.w.processes.running(describeProcess(pid, e))
		}
	}
	p.known = list
	for _, d := range p.w.processes.living() {
		p.hold(d.PID, d.Start)
	}
}

// hold keeps a process open: meanwhile its exit code can be asked for, and its
// PID is not given to another.
func (p *poller) hold(pid uint32, start int64) {
	if _, ok := p.held[pid]; ok {
		return
	}
	h, err := openProcess(pid)
	if err != nil {
		return
	}
	if began, _ := processTimes(h); !sameStart(began, start) {
		windows.CloseHandle(h)
		return
	}
	p.held[pid] = h
}

// endedProcesses reports the exits of reported processes.
func (p *poller) endedProcesses() {
	for _, d := range p.w.processes.living() {
		h, ok := p.held[d.PID]
		_, listed := p.known[d.PID]
		switch {
		case ok:
			if code, at, over := exited(h); over {
				windows.CloseHandle(h)
				delete(p.held, d.PID)
				delete(p.known, d.PID)
				p.w.processes.ended(hostlog.Exit{Time: at, PID: d.PID, Code: code}, d.Start)
			}
		case !listed:
			p.w.processes.ended(hostlog.Exit{Time: time.Now().UnixNano(), PID: d.PID, Code: -1}, d.Start)
		}
	}
}

func (p *poller) seen(_, _ netip.AddrPort, _ int64) {
	select {
	case p.kick <- struct{}{}:
	default: // the table is about to be read anyway
	}
}

func (p *poller) start(cmd *exec.Cmd) error {
	if err := cmd.Start(); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hold(uint32(cmd.Process.Pid), 0)
	return nil
}

func (p *poller) limits() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := p.events.limits()
	if !p.events.on {
		out = append(out, "connections that live less than 10 ms, are refused at once or never leave this host may stay without an owner (socket table)")
	}
	if p.hidden {
		out = append(out, "some processes cannot be opened without administrator's rights: of those only name and parent are known")
	}
	if len(p.notes) > 0 {
		var notes []string
		for n := range p.notes {
			notes = append(notes, n)
		}
		slices.Sort(notes)
		out = append(out, strings.Join(notes, "; "))
	}
	return out
}

func (p *poller) close() error {
	close(p.stop)
	p.done.Wait()
	var errs []error
	if p.events.session != nil { // whose events take the lock
		errs = append(errs, p.events.session.Close())
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.poll()
	p.tellFresh(0, true)
	p.lookProcesses()
	p.endedProcesses()
	p.open.waiting(p.w.out, time.Now().UnixNano(), 0)
	for _, h := range p.held {
		errs = append(errs, windows.CloseHandle(h))
	}
	return errors.Join(errs...)
}
