package owner

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/ringbuf"
	"github.com/cilium/ebpf/rlimit"
	"golang.org/x/sys/unix"

	"goproxytrace/capture/hostlog"
)

// ringSize holds some 70,000 events about sockets, or 3,500 with the longest
// arguments.
const ringSize = 8 << 20

// acceptedSize bounds the accepted sockets that wait for their first receive.
const acceptedSize = 1 << 16

// ebpfWatcher is the eBPF mechanism.
type ebpfWatcher struct {
	w      *Watcher
	clock  *clock
	maps   maps
	reader *ringbuf.Reader
	progs  []*ebpf.Program
	links  []link.Link
	lostIn *ebpf.Memory
	// ports is true where the local port of a socket is told before its SYN
	// is sent; calls where each connect() is told.
	ports, calls bool
	// routes is true where routes can be asked for from here.
	routes bool
	notes  []string
	drops  *dropWatcher // nil where drops cannot be told of

	mu     sync.Mutex
	conns  map[uint64]*conn // by cookie
	called map[uint64]*hostlog.Attempt
	lost   uint64
	// relaxed is true while nothing is open that time alone brings to an end;
	// pending tells who waits that it may be otherwise now.
	relaxed bool
	pending chan struct{}
	stop    chan struct{}
	done    sync.WaitGroup
}

// conn is a socket between its first event and its last.
type conn struct {
	claim     hostlog.Claim
	namespace uint64
	process   hostlog.Process
	told      bool // its claim was reported
	answered  bool // it left SYN-SENT other than by its end
	waiting   bool // reported as an attempt under way
}

// key is that of the kernel's cookies, which one counter makes for all
// namespaces wherever these programs load (Linux 5.10).
func key(cookie uint64) socketKey { return socketKey{cookie: cookie} }

func newEBPF(w *Watcher, opts Options) (_ *ebpfWatcher, err error) {
	// Reading the kernel's types takes most of the time: once for all.
	types := btf.NewCache()
	k, err := readKernel(types)
	if err != nil {
		return nil, err
	}
	// Before 5.11 the kernel counts maps as locked memory; if the limit
	// cannot be raised, what is made below says so.
	_ = rlimit.RemoveMemlock()
	e := &ebpfWatcher{w: w, clock: bootClock(), conns: map[uint64]*conn{}, called: map[uint64]*hostlog.Attempt{}, pending: make(chan struct{}, 1), stop: make(chan struct{})}
	defer func() {
		if err != nil {
			e.free()
		}
	}()
	if err := e.makeMaps(opts.Namespaces); err != nil {
		return nil, err
	}
	if err := e.attach(k, types, opts.Namespaces); err != nil {
		return nil, err
	}
	if e.reader, err = ringbuf.NewReader(e.maps.ring); err != nil {
		return nil, fmt.Errorf("read events: %w", err)
	}
	if e.drops, err = newDrops(w, k, types, e.clock, opts); err != nil {
		w.undropped = err.Error()
		e.drops = nil
	}
	w.processes.look = lookProcess
	// What is there already, after the events began: nothing falls between.
	if err := scanProcesses(lookProcess, func(d hostlog.Process) {
		if inNamespaces(d.PID, opts.Namespaces) {
			w.processes.running(d)
		}
	}); err != nil {
		e.note("processes that ran before are not known: %v", err)
	}
	e.existing(opts.Namespaces)
	e.done.Add(2)
	go e.read()
	go e.tick()
	return e, nil
}

func (e *ebpfWatcher) note(format string, args ...any) {
	e.notes = append(e.notes, fmt.Sprintf(format, args...))
}

func (e *ebpfWatcher) makeMaps(namespaces []uint64) error {
	for _, m := range []struct {
		into **ebpf.Map
		spec ebpf.MapSpec
	}{
		{&e.maps.ring, ebpf.MapSpec{Name: "owner_events", Type: ebpf.RingBuf, MaxEntries: ringSize}},
		{&e.maps.lost, ebpf.MapSpec{Name: "owner_lost", Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1, Flags: unix.BPF_F_MMAPABLE}},
		{&e.maps.namespaces, ebpf.MapSpec{Name: "owner_netns", Type: ebpf.Hash, KeySize: 4, ValueSize: 4, MaxEntries: uint32(max(len(namespaces), 1))}},
		{&e.maps.accepted, ebpf.MapSpec{Name: "owner_accepted", Type: ebpf.LRUHash, KeySize: 8, ValueSize: 8, MaxEntries: acceptedSize}},
		{&e.maps.scratch, ebpf.MapSpec{Name: "owner_scratch", Type: ebpf.PerCPUArray, KeySize: 4, ValueSize: prSize, MaxEntries: 1}},
	} {
		made, err := ebpf.NewMap(&m.spec)
		if err != nil {
			return explain(fmt.Errorf("make map %s: %w", m.spec.Name, err))
		}
		*m.into = made
	}
	for _, n := range namespaces {
		if err := e.maps.namespaces.Put(uint32(n), uint32(1)); err != nil {
			return fmt.Errorf("choose namespace %d: %w", n, err)
		}
	}
	// After the session has dropped its capabilities maps can only be read
	// through memory.
	var err error
	e.lostIn, err = e.maps.lost.Memory()
	return err
}

// explain adds which capabilities are missing where that is the reason.
func explain(err error) error {
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		return fmt.Errorf("%w (needs root, or CAP_BPF and CAP_PERFMON, and CAP_NET_ADMIN for connect hooks)", err)
	}
	return err
}

// load loads one program. As a collection of one it takes the kernel's types
// from where they are known already; by itself it would read them anew.
func load(types *btf.Cache, spec *ebpf.ProgramSpec) (*ebpf.Program, error) {
	c, err := ebpf.NewCollectionWithOptions(&ebpf.CollectionSpec{Programs: map[string]*ebpf.ProgramSpec{spec.Name: spec}}, ebpf.CollectionOptions{
		Programs: ebpf.ProgramOptions{LogSizeStart: 1 << 18}, Cache: types,
	})
	if err != nil {
		return nil, explain(fmt.Errorf("load %w", err))
	}
	defer c.Close()
	return c.DetachProgram(spec.Name), nil
}

// load loads one program that lives as long as the watcher.
func (e *ebpfWatcher) load(types *btf.Cache, name string, ins asm.Instructions, spec ebpf.ProgramSpec) (*ebpf.Program, error) {
	spec.Name, spec.Instructions, spec.License = "owner_"+name, ins, "GPL"
	p, err := load(types, &spec)
	if err != nil {
		return nil, err
	}
	e.progs = append(e.progs, p)
	return p, nil
}

func (e *ebpfWatcher) attach(k *kernel, types *btf.Cache, namespaces []uint64) error {
	pidns, err := inode("/proc/self/ns/pid")
	if err != nil {
		return err
	}
	a := &assembler{k: k, maps: &e.maps, pidns: uint32(pidns)}
	if own, err := inode("/proc/self/ns/net"); err == nil {
		e.routes = slices.Equal(namespaces, []uint64{own})
	}
	e.hook(a, types)
	trace := []struct {
		name, event string
		ins         asm.Instructions
	}{
		{"connecting", "inet_sock_set_state", a.connecting()},
		{"changing", "inet_sock_set_state", a.changing()},
		{"using", "tcp_rcv_space_adjust", a.using()},
		{"forking", "sched_process_fork", a.forking()},
		{"executing", "sched_process_exec", a.executing()},
		{"exiting", "sched_process_exit", a.exiting()},
	}
	if !e.ports {
		trace = append(trace, struct {
			name, event string
			ins         asm.Instructions
		}{"retransmitting", "tcp_retransmit_skb", a.retransmitting()})
	}
	for _, t := range trace {
		p, err := e.load(types, t.name, t.ins, ebpf.ProgramSpec{Type: ebpf.Tracing, AttachType: ebpf.AttachTraceRawTp, AttachTo: t.event})
		if err != nil {
			return err
		}
		l, err := link.AttachTracing(link.TracingOptions{Program: p, AttachType: ebpf.AttachTraceRawTp})
		if err != nil {
			return explain(fmt.Errorf("attach to %s: %w", t.event, err))
		}
		e.links = append(e.links, l)
	}
	return nil
}

// hook attaches the programs that hang on the control groups' root. They only
// add to what the others tell: without them a local port is known when the
// connection is answered, repeats its SYN or ends, and a connect() that the
// kernel refuses before it looks for a port is not told of.
func (e *ebpfWatcher) hook(a *assembler, types *btf.Cache) {
	root, err := cgroupRoot()
	if err != nil {
		e.note("local ports are learned late, and attempts without a route not at all: %v", err)
		return
	}
	at := func(name string, ins asm.Instructions, t ebpf.ProgramType, attach ebpf.AttachType) error {
		p, err := e.load(types, name, ins, ebpf.ProgramSpec{Type: t, AttachType: attach})
		if err != nil {
			return err
		}
		l, err := link.AttachCgroup(link.CgroupOptions{Path: root, Attach: attach, Program: p})
		if err != nil {
			return explain(fmt.Errorf("attach %s to %s: %w", name, root, err))
		}
		e.links = append(e.links, l)
		return nil
	}
	if err := at("porting", a.porting(), ebpf.SockOps, ebpf.AttachCGroupSockOps); err != nil {
		e.note("local ports are learned late: %v", err)
	} else {
		e.ports = true
	}
	err = at("calling4", a.calling(false), ebpf.CGroupSockAddr, ebpf.AttachCGroupInet4Connect)
	if err == nil {
		err = at("calling6", a.calling(true), ebpf.CGroupSockAddr, ebpf.AttachCGroupInet6Connect)
	}
	if err != nil {
		e.note("attempts without a route are not told of: %v", err)
	} else {
		e.calls = true
	}
}

// cgroupRoot finds where the version 2 hierarchy of control groups is mounted.
func cgroupRoot() (string, error) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return "", err
	}
	defer f.Close()
	// proc(5): … (4) root (5) mount point … - file system type …
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		for i, s := range fields {
			if s == "-" && i+1 < len(fields) && i > 4 && fields[i+1] == "cgroup2" {
				return strings.ReplaceAll(fields[4], `\040`, " "), nil
			}
		}
	}
	return "", errors.Join(errors.New("control groups version 2 are not mounted"), lines.Err())
}

func inode(name string) (uint64, error) {
	var st unix.Stat_t
	if err := unix.Stat(name, &st); err != nil {
		return 0, fmt.Errorf("%s: %w", name, err)
	}
	return st.Ino, nil
}

// existing takes the sockets that were there before.
func (e *ebpfWatcher) existing(namespaces []uint64) {
	table, err := newTable(namespaces)
	if err != nil {
		e.note("connections that existed before are not known: %v", err)
		return
	}
	defer table.close()
	e.notes = append(e.notes, table.notes...)
	for _, s := range table.read(openStates) {
		pid := table.holder(s)
		if pid == 0 {
			continue
		}
		h := s.holding(pid)
		h.key, h.told = key(s.cookie), true
		e.mu.Lock()
		if e.conns[s.cookie] == nil {
			e.conns[s.cookie] = &conn{claim: h.claim, told: true, answered: s.state != tcpSynSent, process: hostlog.Process{PID: pid}}
		}
		e.mu.Unlock()
		e.w.book.add(h)
		e.w.processes.owns(hostlog.Process{PID: pid, Time: h.claim.Time, Source: hostlog.SocketTable})
		c := h.claim
		e.w.out.put(&c)
	}
}

func (e *ebpfWatcher) read() {
	defer e.done.Done()
	var rec ringbuf.Record
	for {
		if err := e.reader.ReadInto(&rec); err != nil {
			if !errors.Is(err, ringbuf.ErrClosed) && !errors.Is(err, ringbuf.ErrFlushed) {
				e.w.limit("the kernel's events can no longer be read: %v", err)
			}
			return
		}
		e.mu.Lock()
		e.event(rec.RawSample)
		relaxed := e.relaxed
		e.relaxed = false
		e.mu.Unlock()
		if relaxed {
			select {
			case e.pending <- struct{}{}:
			default:
			}
		}
	}
}

// tick does what time brings: attempts that stay without an answer, calls that
// came to nothing, what is too old.
func (e *ebpfWatcher) tick() {
	defer e.done.Done()
	const often, seldom = 250 * time.Millisecond, time.Second
	t := time.NewTimer(often)
	defer t.Stop()
	forgot := time.Now()
	for {
		select {
		case <-e.stop:
			return
		case <-t.C:
		case <-e.pending:
			t.Reset(often)
			continue
		}
		e.clock.set()
		now := time.Now()
		e.mu.Lock()
		e.countLost(now.UnixNano())
		open := e.unanswered(now.UnixNano(), patience)
		e.unmade(now.UnixNano(), grace)
		e.relaxed = !open && len(e.called) == 0
		next := often
		if e.relaxed {
			next = seldom
		}
		e.mu.Unlock()
		t.Reset(next)
		if now.Sub(forgot) >= 30*time.Second {
			forgot = now
			e.w.book.forget(now.UnixNano())
			e.w.processes.forget(now.UnixNano())
		}
	}
}

// countLost looks how many events found the ring buffer full.
func (e *ebpfWatcher) countLost(now int64) {
	if e.lostIn == nil {
		return
	}
	var b [8]byte
	if _, err := e.lostIn.ReadAt(b[:], 0); err != nil {
		return
	}
	if n := binary.NativeEndian.Uint64(b[:]); n > e.lost {
		e.lost = n
		e.w.book.lost(now)
	}
}

func (e *ebpfWatcher) seen(_, _ netip.AddrPort, _ int64) {}

func (e *ebpfWatcher) start(cmd *exec.Cmd) error { return cmd.Start() }

func (e *ebpfWatcher) limits() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := append([]string(nil), e.notes...)
	if e.lost > 0 {
		out = append(out, fmt.Sprintf("%d events of the kernel were lost because they came faster than they could be read", e.lost))
	}
	var missed uint64
	for _, p := range e.progs {
		if s, err := p.Stats(); err == nil {
			missed += s.RecursionMisses
		}
	}
	if e.drops != nil {
		out = append(out, e.drops.limits()...)
	}
	if missed > 0 {
		out = append(out, fmt.Sprintf("the kernel did not run a program %d times because it was running already on that processor", missed))
	}
	return out
}

func (e *ebpfWatcher) close() error {
	// First no more events, then those that are there, then the rest.
	var err error
	for _, l := range e.links {
		err = errors.Join(err, l.Close())
	}
	e.links = nil
	close(e.stop)
	err = errors.Join(err, e.reader.Flush())
	e.done.Wait()
	e.mu.Lock()
	now := time.Now().UnixNano()
	e.countLost(now)
	e.unanswered(now, 0)
	e.unmade(now, 0)
	e.mu.Unlock()
	if e.drops != nil { // once it is known of all connections whose they are
		err = errors.Join(err, e.drops.close())
	}
	e.free()
	return err
}

// free gives back what the kernel holds; the programs stay for limits.
func (e *ebpfWatcher) free() {
	for _, l := range e.links {
		l.Close()
	}
	if e.reader != nil {
		e.reader.Close()
	}
	for _, p := range e.progs {
		p.Close()
	}
	for _, m := range []*ebpf.Map{e.maps.ring, e.maps.lost, e.maps.namespaces, e.maps.accepted, e.maps.scratch} {
		if m != nil {
			m.Close()
		}
	}
}
