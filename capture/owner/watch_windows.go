package owner

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"goproxytrace/capture/hostlog"
)

// open begins with the socket table, which every user may read, and adds the
// kernel's events where the rights allow.
func (w *Watcher) open(opts Options) error {
	if !slices.Contains([]string{"", ETW, SocketTable}, opts.Mechanism) {
		return fmt.Errorf("%w: %s on Windows", ErrUnavailable, opts.Mechanism)
	}
	p, err := newPoller(w)
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrUnavailable, SocketTable, err)
	}
	w.platform, w.mechanism = p, SocketTable
	if opts.Mechanism == SocketTable {
		return nil
	}
	if err := p.listen(); err != nil {
		if opts.Mechanism == ETW {
			return fmt.Errorf("%w: %s: %w", ErrUnavailable, ETW, errors.Join(err, p.close()))
		}
		w.limit("%s is not used: %v", ETW, err)
		return nil
	}
	w.mechanism = ETW
	return nil
}

// Sockets reads the TCP sockets as they are now, other than listening ones: of
// the processes given, or with nil all, also those that no process has any
// more (PID zero). What could be read comes also with an error. The table has
// no counters and no queues: what it does not say is nil or zero.
func Sockets(pids []uint32) ([]hostlog.Socket, error) {
	var t tcpTable
	now := time.Now().UnixNano()
	rows, err := t.read()
	var out []hostlog.Socket
	for i := range rows {
		r := &rows[i]
		if r.state == mibListen || pids != nil && !slices.Contains(pids, r.pid) {
			continue
		}
		out = append(out, hostlog.Socket{Time: now, PID: r.pid, Local: r.local, Remote: r.remote, State: r.stateName()})
	}
	return out, err
}
