package owner

import (
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"goproxytrace/capture/hostlog"
	"goproxytrace/capture/owner/etw"
)

// listening is a poller that events may reach, without a trace.
func listening(t *testing.T) (*Watcher, *poller) {
	t.Helper()
	w, err := Watch(Options{Mechanism: SocketTable})
	if err != nil {
		t.Fatal(err)
	}
	p := w.platform.(*poller)
	p.mu.Lock()
	p.events.on = true
	p.mu.Unlock()
	return w, p
}

func (p *poller) deliver(list ...etw.Event) {
	for i := range list {
		p.mu.Lock()
		p.event(&list[i])
		p.mu.Unlock()
	}
}

// told closes the watcher and returns what it told.
func told(t *testing.T, w *Watcher) (claims []hostlog.Claim, attempts []hostlog.Attempt) {
	t.Helper()
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	for r := range w.Records() {
		switch r := r.(type) {
		case *hostlog.Claim:
			claims = append(claims, *r)
		case *hostlog.Attempt:
			attempts = append(attempts, *r)
		}
	}
	return claims, attempts
}

// of are the claims to an end.
func of(claims []hostlog.Claim, local netip.AddrPort) []hostlog.Claim {
	return slices.DeleteFunc(slices.Clone(claims), func(c hostlog.Claim) bool { return c.Local != local })
}

// One socket has one claim, from the events where they come, whichever of them
// and the table knew it first, and a second that closes it.
func TestEventsAndTable(t *testing.T) {
	for _, test := range []struct {
		name string
		wait time.Duration // between the connection and its events
		want hostlog.Source
	}{
		{"events after the table", 60 * time.Millisecond, hostlog.KernelEvent},
		{"no events", -1, hostlog.SocketTable},
	} {
		t.Run(test.name, func(t *testing.T) {
			// On a busy machine events may come later than they are waited for,
			// and then the table tells: that shows nothing here.
			for range 10 {
				if eventsAndTable(t, test.wait, test.want) {
					return
				}
			}
			t.Errorf("in ten tries no event came within %v of its connection", time.Duration(behind))
		})
	}
}

// eventsAndTable makes a connection and delivers its events after wait, none
// where that is negative. It is false where they came too late to be waited for.
func eventsAndTable(t *testing.T, wait time.Duration, want hostlog.Source) bool {
	w, p := listening(t)
	begin := time.Now().UnixNano()
	c := connect(t, "tcp4", loopbacks["tcp4"], (*exec.Cmd).Start)
	at := time.Now().UnixNano() // and it was made a little before
	pid := uint32(c.cmd.Process.Pid)
	w.Seen(c.local, c.remote, at)
	if wait >= 0 {
		time.Sleep(wait)
		p.deliver(etw.Event{Kind: etw.Proceeding, Time: begin, Local: c.local, Remote: c.remote},
			etw.Event{Kind: etw.Connected, Time: begin + 1000, PID: pid, Local: c.local, Remote: c.remote},
			etw.Event{Kind: etw.Connected, Time: begin + 2000, PID: pid, Local: c.local, Remote: c.remote})
	}
	late := wait >= 0 && time.Now().UnixNano()-at > behind-100*millisecond
	c.withOwner(t)
	got, ok := uint32(0), false
	for began := time.Now(); !ok && time.Since(began) < 5*time.Second; time.Sleep(10 * time.Millisecond) {
		got, ok = w.Owner(c.local, c.remote, at)
	}
	if got != pid && !late {
		t.Errorf("the owner is %d, %v; want %d", got, ok, pid)
	}
	time.Sleep(2 * time.Duration(behind))
	c.stdin.Close()
	_ = c.cmd.Wait()
	time.Sleep(3 * processEvery * pollEvery)
	claims, _ := told(t, w)
	if late {
		return false
	}
	list := of(claims, c.local)
	// One that was there for a moment only is told of once.
	n := len(list)
	if n == 0 || n > 2 || list[n-1].Until == 0 || list[0].Time != list[n-1].Time || list[0].Time < begin-clocks || list[0].Time > at+5*second {
		t.Errorf("claims %+v, want one and its end", list)
	}
	for _, c := range list {
		if c.Source != want || c.PID != pid {
			t.Errorf("claim %+v, want one of process %d from the %s", c, pid, want)
		}
	}
	return true
}

// What the table never shows has its owner, and why it failed; the events of
// one failure are one attempt.
func TestEventsAlone(t *testing.T) {
	w, p := listening(t)
	self, at := uint32(os.Getpid()), time.Now().UnixNano()
	end := func(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }
	remote := end("192.0.2.7:443")
	p.deliver(
		etw.Event{Kind: etw.Proceeding, Time: at, PID: self, Local: end("192.0.2.1:50001"), Remote: remote},
		etw.Event{Kind: etw.Failed, Time: at + 2e6, PID: self, Local: end("192.0.2.1:50001"), Remote: remote, Error: "WSAECONNREFUSED", Sent: true},
		etw.Event{Kind: etw.Failed, Time: at + 2e6 + 10, PID: self, Local: end("192.0.2.1:50001"), Remote: remote, Error: "WSAECONNREFUSED", Sent: true},
		etw.Event{Kind: etw.Failed, Time: at + 3e6, PID: self, Remote: remote, Error: "WSAENETUNREACH"},
		etw.Event{Kind: etw.Proceeding, Time: at, Local: end("192.0.2.1:50002"), Remote: remote},
		etw.Event{Kind: etw.Failed, Time: at + 4e6, Local: end("192.0.2.1:50002"), Remote: remote, Sent: true},
		etw.Event{Kind: etw.Connected, Time: at + 5e6, PID: self, Local: end("192.0.2.1:50003"), Remote: remote},
		etw.Event{Kind: etw.Accepted, Time: at + 6e6, PID: self, Local: end("192.0.2.1:443"), Remote: end("192.0.2.9:6000")},
	)
	w.Seen(end("192.0.2.1:50001"), remote, at+1e6)
	if pid, ok := w.Owner(end("192.0.2.1:50001"), remote, at+1e6); !ok || pid != self {
		t.Errorf("the owner of a refused connection is %d, %v", pid, ok)
	}
	time.Sleep(10 * pollEvery)
	claims, attempts := told(t, w)
	for local, server := range map[string]bool{"192.0.2.1:50001": false, "192.0.2.1:50003": false, "192.0.2.1:443": true} {
		list := of(claims, end(local))
		if len(list) != 2 || list[0].PID != self || list[0].Source != hostlog.KernelEvent || list[0].Server != server || list[1].Until == 0 {
			t.Errorf("%s: claims %+v", local, list)
		}
	}
	if list := of(claims, end("192.0.2.1:50002")); len(list) != 0 {
		t.Errorf("a process that nobody named: %+v", list)
	}
	var got []string
	seen := map[int64]bool{}
	for _, a := range attempts {
		if !seen[a.Time] {
			got = append(got, a.Error)
		}
		seen[a.Time] = true
		if a.PID != self || a.Source != hostlog.KernelEvent || a.Ended < a.Time || a.Local.IsValid() && a.Local.Port() == 0 {
			t.Errorf("attempt %+v", a)
		}
	}
	if strings.Join(got, " ") != "WSAECONNREFUSED WSAENETUNREACH" {
		t.Errorf("attempts failed with %q", got)
	}
}

// Without a trace the table serves, and that is said.
func TestFallback(t *testing.T) {
	w, err := Watch(Options{})
	if err != nil {
		t.Fatal(err)
	}
	limits := strings.Join(w.Limits(), "\n")
	if w.Mechanism() == SocketTable && !strings.Contains(limits, "ETW is not used: ") || w.Mechanism() == ETW && strings.Contains(limits, "socket table") {
		t.Errorf("%s: %s", w.Mechanism(), limits)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	if w, err := Watch(Options{Mechanism: EBPF}); err == nil {
		w.Close()
		t.Error("eBPF on Windows")
	}
}
