package analyze

import (
	"fmt"
	"net/netip"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"goproxytrace/capture"
	"goproxytrace/capture/hostlog"
	"goproxytrace/report/messages"
)

const (
	ownClient = "192.0.2.10:40001"
	ownServer = "198.51.100.1:443"
)

// TestOwnerByRecord holds that a claim names the owner of a connection, with the
// go command that it works for, wherever the claim stands in the file.
func TestOwnerByRecord(t *testing.T) {
	for _, place := range []string{"before", "after", "repeated with its end"} {
		t.Run(place, func(t *testing.T) {
			w := newWire()
			w.family()
			c := w.claim(helpPID, ownClient, ownServer)
			if place == "before" {
				w.tell(c)
			}
			k := w.talk(ownClient, ownServer).connect()
			k.tls("proxy.example", 500).close(0)
			switch place {
			case "after":
				w.tell(c)
			case "repeated with its end":
				w.tell(c)
				closed := *c
				closed.Until = w.now
				w.tell(&closed)
			}
			r := analyse(t, w, lookedFor)
			p := only(t, r).Process
			if p == nil || p.PID != helpPID || p.Name != "git-remote-https" || p.Source != "kernel event" || p.Confidence != "exact" || p.GoCommand != goPID || len(p.Contradicted) > 0 {
				t.Fatalf("owner %+v", p)
			}
			if len(r.Processes) != 1 || r.Processes[0].PID != goPID || r.Processes[0].Name != "go" || r.Processes[0].Parent != makePID ||
				r.Processes[0].ParentName != "make" || r.Processes[0].Command != "go mod download" || r.Processes[0].Verdict.Class != "ok" {
				t.Fatalf("processes %+v", r.Processes)
			}
			if r.Capture.Segments == 0 || len(r.Events) != 0 {
				t.Errorf("%d segments, events %v", r.Capture.Segments, r.Events)
			}
		})
	}
}

// TestSummaryNamesProcess holds the words of a death: the go command, what
// started it, and the child that made the connection.
func TestSummaryNamesProcess(t *testing.T) {
	for pid, want := range map[uint32]string{
		goPID:   "go (PID 4120, started by make (PID 4100)): connecting to",
		helpPID: "go (PID 4120, started by make (PID 4100)), by git-remote-https (PID 4122): connecting to",
		777:     "PID 777: connecting to", // no record describes it
	} {
		w := newWire()
		w.family().tell(w.claim(pid, ownClient, ownServer))
		k := w.talk(ownClient, ownServer)
		for range 4 {
			w.add(k.syn())
			w.now += 3 * second
		}
		w.lossless()
		r := analyse(t, w, lookedFor)
		if r.Verdict.Class != "connect.no-answer" {
			t.Fatalf("PID %d: verdict %s", pid, r.Verdict.Class)
		}
		if s := messages.English.Summary(&r.Verdict); !strings.HasPrefix(s, want) {
			t.Errorf("PID %d: %s", pid, s)
		}
	}
}

// TestOwnerByTupleAndTime holds that a tuple which is used again has another
// owner then, and that a claim which does not fit in time names nobody.
func TestOwnerByTupleAndTime(t *testing.T) {
	w := newWire()
	refused := func(claims ...*hostlog.Claim) {
		for _, c := range claims {
			w.tell(c)
		}
		k := w.talk(ownClient, ownServer)
		k.seq[0] += uint32(w.now / millisecond % 1_000_000 * 977)
		w.add(k.syn())
		w.add(k.packet(1).Flags(0x04)) // RST
		w.now += millisecond
	}
	refused(w.claim(1001, ownClient, ownServer))
	w.now += 50 * millisecond
	refused(w.claim(1002, ownClient, ownServer))
	later := func(pid uint32, by int64, from hostlog.Source) {
		w.now += 20 * second
		c := w.claim(pid, ownClient, ownServer)
		c.Time, c.Source = c.Time+by, from
		refused(c)
	}
	w.now += 20 * second
	refused()                                        // nobody told of this one
	later(1003, -15*second, hostlog.KernelEvent)     // the SYN of that call was not captured
	later(1004, second, hostlog.KernelEvent)         // a call after this connection's SYN
	later(1005, -2*second, hostlog.SocketTable)      // read before there was such a connection
	later(1006, second, hostlog.SocketTable)         // read after it was gone
	later(1007, 50*microsecond, hostlog.SocketTable) // read while it was there
	var got []uint32
	for _, c := range connections(t, analyse(t, w, Options{})) {
		pid := uint32(0)
		if c.Process != nil {
			pid = c.Process.PID
		}
		got = append(got, pid)
	}
	if want := []uint32{1001, 1002, 0, 0, 0, 0, 0, 1007}; !slices.Equal(got, want) {
		t.Errorf("owners %v, want %v", got, want)
	}
}

// TestContradictingClaims holds that the best source is believed and the others
// are told of.
func TestContradictingClaims(t *testing.T) {
	w := newWire()
	table := w.claim(20, ownClient, ownServer)
	table.Source = hostlog.SocketTable
	table.Time += 30 * millisecond
	guess := w.claim(30, ownClient, ownServer)
	guess.Source, guess.Time = hostlog.Inferred, guess.Time+30*millisecond
	w.tell(w.claim(10, ownClient, ownServer))
	w.talk(ownClient, ownServer).connect().tls("proxy.example", 100).close(0)
	w.tell(table, guess)
	for i := range w.packets {
		if w.packets[i].Kind == capture.KindFrame {
			w.packets[i].ProcessID = 4
		}
	}
	p := only(t, analyse(t, w, Options{})).Process
	if p == nil || p.PID != 10 || p.Source != "kernel event" {
		t.Fatalf("owner %+v", p)
	}
	var others []string
	for _, o := range p.Contradicted {
		others = append(others, fmt.Sprint(o.PID, " ", o.Source))
	}
	slices.Sort(others)
	if want := []string{"20 socket table", "30 inferred", "4 file annotation"}; !slices.Equal(others, want) {
		t.Errorf("contradicted by %q, want %q", others, want)
	}
}

// TestLoopbackServer holds that within a host each end has its own owner.
func TestLoopbackServer(t *testing.T) {
	const client, server = "127.0.0.1:41000", "127.0.0.1:3128"
	w := newWire()
	accepted := w.claim(900, server, client)
	accepted.Server, accepted.Time = true, accepted.Time+30*millisecond
	w.tell(w.claim(goPID, client, server))
	k := w.talk(client, server).connect()
	w.tell(accepted)
	k.tls("proxy.example", 100).close(0)
	c := only(t, analyse(t, w, Options{}))
	if c.Process == nil || c.Process.PID != goPID || c.ServerProcess == nil || c.ServerProcess.PID != 900 {
		t.Errorf("client %+v, server %+v", c.Process, c.ServerProcess)
	}
}

// TestRolesByClaim holds that the caller of connect() is the client, also where
// the handshake was not captured and the ports suggest otherwise.
func TestRolesByClaim(t *testing.T) {
	const client, server = "192.0.2.10:1024", "198.51.100.1:8443"
	for _, told := range []bool{true, false} {
		w := newWire()
		if told {
			w.tell(w.claim(goPID, client, server))
		}
		k := w.talk(client, server)
		k.send(0, make([]byte, 100), 0).send(1, make([]byte, 100), 0)
		if c := only(t, analyse(t, w, Options{})); told && c.Client != client {
			t.Errorf("the client is %s", c.Client)
		} else if !told && c.Client == client {
			t.Errorf("without a claim, the client is known to be %s", c.Client)
		}
	}
}

// TestProcessNumbersReused holds that a number names the process that had it at
// the time.
func TestProcessNumbersReused(t *testing.T) {
	w := newWire()
	run := func(name string, code int, port int) {
		began := w.now
		w.tell(&hostlog.Process{Time: began, PID: goPID, Parent: 1, Start: began, Name: name, Args: []string{name}, Source: hostlog.KernelEvent})
		local := fmt.Sprintf("192.0.2.10:%d", port)
		w.tell(w.claim(goPID, local, ownServer))
		w.talk(local, ownServer).connect().tls("proxy.example", 100).close(0)
		w.now += second
		w.tell(&hostlog.Exit{Time: w.now, PID: goPID, Code: code})
		w.now += 5 * second
	}
	run("go", 0, 40001)
	run("curl", 7, 40002)
	run("go", 1, 40003)
	r := analyse(t, w, lookedFor)
	var names []string
	for _, c := range connections(t, r) {
		names = append(names, c.Process.Name)
	}
	if want := []string{"go", "curl", "go"}; !slices.Equal(names, want) {
		t.Errorf("names %q, want %q", names, want)
	}
	var ends []string
	for _, p := range r.Processes {
		ends = append(ends, fmt.Sprintf("%d %s %d", p.PID, p.Name, *p.Exit))
	}
	slices.Sort(ends)
	if want := []string{"4120 curl 7", "4120 go 0", "4120 go 1"}; !slices.Equal(ends, want) {
		t.Errorf("processes %q, want %q", ends, want)
	}
}

// TestProcessRecordsOutOfOrder holds that it does not matter where in the file
// processes are described, nor whether time runs backwards there.
func TestProcessRecordsOutOfOrder(t *testing.T) {
	w := newWire()
	w.family().tell(w.claim(helpPID, ownClient, ownServer))
	records := slices.Clone(w.packets)
	w.packets = nil
	w.now += millisecond
	w.talk(ownClient, ownServer).connect().tls("proxy.example", 100).close(0)
	slices.Reverse(records)
	w.packets = append(w.packets, records...)
	w.renumber()
	r := analyse(t, w, lookedFor)
	c := connections(t, r)[0]
	if c.Process == nil || c.Process.PID != helpPID || c.Process.GoCommand != goPID {
		t.Errorf("owner %+v", c.Process)
	}
}

// TestGoCommandOf holds whose work counts for a go command, and whose does not.
func TestGoCommandOf(t *testing.T) {
	chain := func(names ...string) *program {
		tree := new(processes)
		for i, n := range names {
			tree.add(&hostlog.Process{Time: clockStart, Start: clockStart, PID: uint32(i) + 2, Parent: uint32(i) + 1, Name: n})
		}
		p := tree.at(uint32(len(names))+1, clockStart)
		return tree.command(p)
	}
	for _, c := range []struct {
		names []string
		want  uint32 // PID, the first is 2
	}{
		{[]string{"bash", "go"}, 3},
		{[]string{"make", "go", "git", "git-remote-https"}, 3},
		{[]string{"go.exe", "git.exe", "git-remote-https.exe"}, 2},
		{[]string{"go", "git", "sh", "ssh"}, 2},
		{[]string{"go1.26.1", "go"}, 2},
		{[]string{"go", "server.test"}, 0}, // go test: the program has purposes of its own
		{[]string{"go", "server.test", "git"}, 0},
		{[]string{"bash", "git", "git-remote-https"}, 0},
		{[]string{"go", "generate-it", "go"}, 4}, // another command of its own
		{[]string{"google-chrome"}, 0},
		{[]string{"gopls"}, 0},
	} {
		got := uint32(0)
		if p := chain(c.names...); p != nil {
			got = p.pid
		}
		if got != c.want {
			t.Errorf("%q: %d, want %d", c.names, got, c.want)
		}
	}
}

// TestHostileProcesses holds that loops, floods and long texts do no harm.
func TestHostileProcesses(t *testing.T) {
	w := newWire()
	for i := range uint32(3) {
		w.tell(&hostlog.Process{Time: w.now, PID: 10 + i, Parent: 10 + (i+1)%3, Name: "git"})
	}
	w.tell(&hostlog.Process{Time: w.now, PID: 20, Parent: 20, Name: "go\x1b[31m\xff", Args: []string{strings.Repeat("x", 60_000)}})
	w.tell(w.claim(10, ownClient, ownServer), w.claim(20, "192.0.2.10:40002", ownServer))
	for _, client := range []string{ownClient, "192.0.2.10:40002"} {
		w.talk(client, ownServer).connect().tls("proxy.example", 100).close(0)
	}
	list := connections(t, analyse(t, w, Options{}))
	if list[0].Process.Name != "git" || list[0].Process.GoCommand != 0 {
		t.Errorf("%+v", list[0].Process)
	}
	if p := list[1].Process; len(p.Command) > maxProcessCommand || strings.Contains(p.Name, "\xff") {
		t.Errorf("%d bytes of command, name %q", len(p.Command), p.Name)
	}

	tree := new(processes)
	for i := range uint32(400_000) {
		tree.add(&hostlog.Process{Time: int64(i) * second, Start: int64(i) * second, PID: i%1000 + 1, Name: fmt.Sprint("p", i)})
		tree.ended(&hostlog.Exit{Time: int64(i)*second + 1, PID: i % 2000})
	}
	if tree.count > maxProcessRecords || tree.text > maxProcessText {
		t.Errorf("%d records with %d bytes are kept", tree.count, tree.text)
	}
}

// TestMillionClaims holds that claims take bounded memory and time, and that the
// latest still name owners.
func TestMillionClaims(t *testing.T) {
	const bound = 48 * mib
	var o owners
	one := netip.MustParseAddr("198.51.100.1")
	add := func(i int, local netip.AddrPort) {
		o.add(&hostlog.Claim{Local: local, Remote: netip.AddrPortFrom(one, 443), Time: clockStart + int64(i), PID: uint32(i) + 1, Source: hostlog.KernelEvent})
	}
	// What is kept counts, not how late a busy machine collects the rest.
	defer debug.SetGCPercent(debug.SetGCPercent(20))
	grew := peakMemory(func() {
		for i := range 1_000_000 {
			add(i, netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 40_000))
		}
	})
	if grew > bound || len(o.ring) != maxClaims || len(o.head) > maxClaims {
		t.Errorf("%d MiB, %d claims on %d tuples", grew>>20, len(o.ring), len(o.head))
	}
	// All of them on one tuple, with a different process each.
	for i := range 1_000_000 {
		add(i, ap(ownClient))
	}
	n := 0
	for range o.of(tupleOf(endOf(ap(ownClient)), endOf(netip.AddrPortFrom(one, 443)))) {
		n++
	}
	if n != maxPerTuple {
		t.Errorf("%d claims are looked at, want %d", n, maxPerTuple)
	}
	runtime.KeepAlive(&o)
}
