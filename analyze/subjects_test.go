package analyze

import (
	"testing"

	"goproxytrace/capture/hostlog"
)

// TestSubjects holds that a session's verdict is about the processes that the
// session is about: another go command's death is told of, but is not the
// verdict, unless it may be the subject's after all.
func TestSubjects(t *testing.T) {
	const self, other = uint32(4000), uint32(5120)
	for _, tt := range []struct {
		name string
		// subject is zero for a session about all processes.
		subject uint32
		// parent and began are those of the process whose connection dies.
		parent uint32
		began  int64
		class  string
	}{
		{"all", 0, 5000, second, "connect.no-answer"},
		{"another shell's", self, 5000, second, "ok"},
		{"the subject's own", self, self, second, "connect.no-answer"},
		{"an ancestor unknown", self, 5999, second, "connect.no-answer"},
		{"adopted, and older than the session", self, 1, -9 * second, "ok"},
		{"adopted, maybe the subject's", self, 1, second, "connect.no-answer"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, packetless := range []bool{false, true} {
				w := newWire()
				if tt.subject != 0 {
					w.tell(&hostlog.Subject{Time: w.now, PID: tt.subject})
				}
				at := w.now
				w.tell(
					&hostlog.Process{Time: at, PID: goPID, Parent: self, Start: at + second, Name: "go", Source: hostlog.KernelEvent},
					&hostlog.Process{Time: at, PID: 5000, Parent: 1, Start: at - 9*second, Name: "bash", Source: hostlog.KernelEvent},
					&hostlog.Process{Time: at, PID: other, Parent: tt.parent, Start: at + tt.began, Name: "go", Source: hostlog.KernelEvent},
					w.claim(goPID, ownClient, ownServer),
				)
				k := w.talk(ownClient, ownServer).connect()
				k.tls("proxy.example", 500).close(0)
				const client, server = "192.0.2.10:40002", "198.51.100.2:443"
				if packetless {
					a := w.tried(client, server, 0, "EPERM")
					a.PID = other
					w.tell(a)
				} else {
					w.tell(w.claim(other, client, server))
					w.unanswered(client, server, 5)
				}
				r := analyse(t, w.lossless(), lookedFor)
				want := tt.class
				if packetless && want != "ok" {
					want = "connect.rejected-locally" // a rule forbade it
				}
				if string(r.Verdict.Class) != want {
					t.Errorf("without packets %v: verdict %s, want %s", packetless, r.Verdict.Class, want)
				}
				listed := false
				for _, p := range r.Processes {
					listed = listed || p.PID == other
				}
				if listed != (tt.class != "ok") {
					t.Errorf("without packets %v: processes %+v", packetless, r.Processes)
				}
			}
		})
	}
}

// TestNothingOfTheSubject holds that a session in which only others download
// has seen nothing.
func TestNothingOfTheSubject(t *testing.T) {
	w := newWire()
	w.tell(
		&hostlog.Subject{Time: w.now, PID: 77},
		&hostlog.Process{Time: w.now, PID: makePID, Parent: 1, Start: w.now - 9*second, Name: "make", Source: hostlog.KernelEvent},
		&hostlog.Process{Time: w.now, PID: goPID, Parent: makePID, Start: w.now - second, Name: "go", Source: hostlog.KernelEvent},
		w.claim(goPID, ownClient, ownServer),
	)
	w.unanswered(ownClient, ownServer, 5)
	r := analyse(t, w.lossless(), lookedFor)
	if r.Verdict.Class != "no-traffic" {
		t.Errorf("verdict %s", r.Verdict.Class)
	}
}
