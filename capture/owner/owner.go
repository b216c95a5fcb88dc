// Package owner says which process of this host owns a TCP connection, while
// packets are captured on it.
//
// In comes what the operating system tells: on Linux the kernel's own events
// through eBPF, else notifications of connect() for a command that the watcher
// starts, else the socket table (sock_diag), asked at each captured SYN and
// read every 50 ms; on Windows that table too (GetExtendedTcpTable), as a whole
// every 10 ms and at each captured SYN, and where the rights allow the network
// stack's own events (ETW). Out come records (package hostlog): who owned which
// socket from when to when, the processes concerned and their ancestors, their
// exits, connection attempts, and packets of a connection that this host itself
// dropped, with the kernel's reason. Owner answers for one packet.
//
// A claim is bound to the tuple and to a time (and to the kernel's cookie of
// the socket), never to the tuple alone: ports come round within seconds. What
// a mechanism did not see stays unknown.
package owner

import (
	"errors"
	"fmt"
	"net/netip"
	"os/exec"
	"slices"
	"sync"
	"time"

	"goproxytrace/capture/hostlog"
)

// Mechanisms, best first.
const (
	EBPF        = "eBPF"
	ETW         = "ETW" // with the socket table
	Seccomp     = "seccomp"
	SocketTable = "socket table"
	None        = "none"
)

// Options say what to watch.
type Options struct {
	// Mechanism is one of the constants above; empty takes the best that
	// works here.
	Mechanism string
	// Starts is true where the session runs the command itself, by
	// Watcher.Start. Only then can the seccomp mechanism work.
	Starts bool
	// Namespaces are the inode numbers of the network namespaces to watch
	// (/proc/PID/ns/net); nil is the caller's own.
	Namespaces []uint64
	// AllProcesses reports every process of those namespaces; otherwise only
	// those that own a connection or an attempt, go commands and what they
	// start, the command started by Start, and the ancestors of all these.
	AllProcesses bool
	// Ports narrow what is told of packets that this host drops: of these one
	// end must have one. Empty, or more than 32, means all.
	Ports []uint16
}

// Watcher watches until it is closed. Its methods may be called from several
// goroutines.
type Watcher struct {
	mechanism string
	book      *book
	processes *processes
	out       *queue
	platform  platform

	// undropped is why drops are not told of, empty where they are.
	undropped string

	mu     sync.Mutex
	limits []string
	closed bool
}

// platform is the part of a Watcher that an operating system's mechanism does.
type platform interface {
	// seen is told of a captured SYN.
	seen(local, remote netip.AddrPort, at int64)
	// start starts a command, so that what it does is watched.
	start(cmd *exec.Cmd) error
	// limits are what was lost or cannot be known, as of now.
	limits() []string
	// close stops; nothing is reported after it returns.
	close() error
}

func newWatcher(opts Options) *Watcher {
	w := &Watcher{book: newBook(), out: newQueue()}
	w.processes = newProcesses(w.out, opts.AllProcesses)
	return w
}

// DropReasons is what Undropped is about, for a person.
const DropReasons = "packets that this machine drops"

// ErrUnavailable is wrapped by the error of Watch where the mechanism that was
// asked for does not work here.
var ErrUnavailable = errors.New("mechanism not available")

// Watch begins to watch. Without a Mechanism in opts it falls back to what
// works; Limits then says why the better ones do not.
func Watch(opts Options) (*Watcher, error) {
	w := newWatcher(opts)
	if err := w.open(opts); err != nil {
		w.out.close()
		return nil, fmt.Errorf("watch processes: %w", err)
	}
	return w, nil
}

// limit notes something for Limits.
func (w *Watcher) limit(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.limits = append(w.limits, fmt.Sprintf(format, args...))
}

// Records returns the channel of what is learned, in the order in which it
// was learned. A claim comes when its tuple is known and once more, with
// Until, when the socket is closed. The channel is closed after Close, when
// everything was taken from it.
func (w *Watcher) Records() <-chan hostlog.Record { return w.out.ch }

// Seen tells of a captured SYN without ACK, sent or received by this host, at
// a time in Unix nanoseconds. Call it when the packet is read, before Owner is
// asked of that or a later packet: a SYN is what tells two uses of one tuple
// apart where only the socket table is known.
func (w *Watcher) Seen(local, remote netip.AddrPort, at int64) {
	t := tupleOf(local, remote)
	w.book.syn(t, at)
	w.platform.seen(t.local, t.remote, at)
}

// Hurried reports whether Seen must be told of a SYN as soon as it is captured:
// the process may end before the socket is looked at. Kernel events come by
// themselves.
func (w *Watcher) Hurried() bool { return w.mechanism != EBPF }

// Owner returns the process that owned the connection between local, an
// address of this host, and remote at a time in Unix nanoseconds. ok is false
// where that is not known, also where two processes of different network
// namespaces may be meant.
//
// Without kernel events, a moment at which the socket was not looked at is
// known only where SYNs are told of (Seen), and the answer may be learned a
// little later than the packet: ask after the delay with which packets and
// records are merged anyway.
func (w *Watcher) Owner(local, remote netip.AddrPort, at int64) (pid uint32, ok bool) {
	return w.book.owner(tupleOf(local, remote), at)
}

// Holder is Owner, and says up to when the answer is the same for later times
// as long as Changes is.
func (w *Watcher) Holder(local, remote netip.AddrPort, at int64) (pid uint32, until int64, ok bool) {
	t := tupleOf(local, remote)
	pid, ok = w.book.owner(t, at)
	return pid, w.book.lasting(t, at), ok
}

// Changes grows whenever an answer of Owner may have changed. Asked before
// Owner, it tells of all that Owner did not know.
func (w *Watcher) Changes() uint64 { return w.book.changes.Load() }

// Start starts cmd as cmd.Start does, and follows what it starts. Where the
// mechanism is Seccomp it is the only way to be told of the command's
// connections.
func (w *Watcher) Start(cmd *exec.Cmd) error {
	since := time.Now().UnixNano()
	if err := w.platform.start(cmd); err != nil {
		return err
	}
	w.processes.follow(uint32(cmd.Process.Pid), since)
	return nil
}

// Undropped says why packets of its own connections that this host threw away
// are not told of (hostlog.Block); empty where they are.
func (w *Watcher) Undropped() string { return w.undropped }

// Mechanism is the best mechanism at work, one of the constants.
func (w *Watcher) Mechanism() string { return w.mechanism }

// Limits are what this watcher cannot know or has lost, one sentence each;
// empty where nothing.
func (w *Watcher) Limits() []string {
	w.mu.Lock()
	out := slices.Clone(w.limits)
	w.mu.Unlock()
	out = append(out, w.platform.limits()...)
	if n := w.out.dropped(); n > 0 {
		out = append(out, fmt.Sprintf("%d records were dropped because nobody took them in time", n))
	}
	return out
}

// Close stops watching. Attempts that are still under way are reported before
// the channel of Records is closed.
func (w *Watcher) Close() error {
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return nil
	}
	w.closed = true
	w.mu.Unlock()
	err := w.platform.close()
	w.out.close()
	return err
}
