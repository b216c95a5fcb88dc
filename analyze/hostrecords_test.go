package analyze

import (
	"cmp"
	"context"
	"net/netip"
	"testing"

	"goproxytrace/analyze/decode"
	"goproxytrace/capture"
	"goproxytrace/capture/hostlog"
	"goproxytrace/capture/pcapfile"
)

const (
	makePID = uint32(4100)
	goPID   = uint32(4120)
	gitPID  = uint32(4121)
	helpPID = uint32(4122)
)

// tell adds a record of the host.
func (w *wire) tell(list ...hostlog.Record) *wire {
	for _, r := range list {
		w.journal(r.When(), hostlog.Fields(r))
	}
	return w
}

func (w *wire) journal(at int64, fields map[string]string) {
	b, err := pcapfile.AppendJournal(nil, at, fields)
	if err != nil {
		panic(err)
	}
	w.packets = append(w.packets, capture.Packet{
		Number: int64(len(w.packets)) + 1, Time: at, HasTime: true, Data: b, Length: len(b), Interface: -1, FCSLen: -1, Kind: capture.KindEvent,
	})
}

// lossless makes the capture one that says it lost nothing, up to now.
func (w *wire) lossless() *wire {
	zero := uint64(0)
	f := &w.info.Interfaces[0]
	f.Name, f.Dropped, f.End = cmp.Or(f.Name, "eth0"), &zero, w.now
	return w
}

func ap(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

// family tells of make, the go command that it started, and git and its helper
// below that.
func (w *wire) family() *wire {
	at := w.now
	return w.tell(
		&hostlog.Process{Time: at, PID: makePID, Parent: 1, Start: at - 9*second, Name: "make", Args: []string{"make", "deps"}, Source: hostlog.KernelEvent},
		&hostlog.Process{Time: at, PID: goPID, Parent: makePID, Start: at, Name: "go", Path: "/usr/local/go/bin/go", Args: []string{"go", "mod", "download"}, Source: hostlog.KernelEvent},
		&hostlog.Process{Time: at, PID: gitPID, Parent: goPID, Start: at, Name: "git", Args: []string{"git", "fetch"}, Source: hostlog.KernelEvent},
		&hostlog.Process{Time: at, PID: helpPID, Parent: gitPID, Start: at, Name: "git-remote-http", Path: "/usr/lib/git-core/git-remote-https", Source: hostlog.KernelEvent},
	)
}

func (w *wire) claim(pid uint32, local, remote string) *hostlog.Claim {
	return &hostlog.Claim{Local: ap(local), Remote: ap(remote), Time: w.now, PID: pid, Source: hostlog.KernelEvent}
}

// run feeds a source to a pipeline without ending the analysis.
func run(t *testing.T, p *pipeline, src capture.Source) {
	t.Helper()
	if err := forEachBatch(context.Background(), src, decode.New(), &Options{}, p.batch); err != nil {
		t.Fatal(err)
	}
}
