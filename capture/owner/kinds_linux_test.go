package owner

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"goproxytrace/capture/hostlog"
)

// TestConnectionKinds goes through the kinds of connections, of which each has
// its owner named, on both sides.
func TestConnectionKinds(t *testing.T) {
	needRoot(t)
	if !alone(t) {
		return
	}
	server4, server6 := serve(t, "127.0.0.1:0"), serve(t, "[::1]:0")
	for _, mechanism := range []string{EBPF, Seccomp} {
		for name, j := range map[string]job{
			"IPv4":        {Remote: server4},
			"IPv6":        {Remote: server6},
			"IPv4-mapped": {Remote: server4, Mapped: true},
		} {
			t.Run(mechanism+" "+name, func(t *testing.T) {
				s := watch(t, mechanism)
				if mechanism != EBPF {
					sniff(t, s.Watcher, true)
				}
				// Without eBPF the accepting side is known from the table, which
				// is read every 50 ms, on a busy machine less often.
				j.Processes, j.Connections, j.Lifetime = 3, 2, 600*time.Millisecond
				list := do(t, s.Watcher, j)
				var r rate
				accepted := 0
				if !eventually(func() bool {
					r, accepted = s.judge(list), 0
					for _, c := range list {
						// The accepting side is this process.
						if pid, ok := s.Owner(c.Remote, c.Local, c.Ending); ok && int(pid) == os.Getpid() {
							accepted++
						} else if ok {
							t.Fatalf("the accepting side of %v is PID %d", c.Local, pid)
						}
					}
					return r.Right == len(list) && accepted == len(list)
				}) {
					t.Errorf("%+v, and the accepting side of %d of %d is known", r, accepted, len(list))
				}
				for _, c := range of[*hostlog.Claim](s.finish(t)) {
					if c.Local.Addr().Is4In6() || c.Remote.Addr().Is4In6() {
						t.Errorf("%v to %v is not plain", c.Local, c.Remote)
					}
					if c.Server != (c.Local == j.Remote) {
						t.Errorf("%+v: server is %t", c, c.Server)
					}
				}
			})
		}
	}
}

// TestAttempts has connections fail in every way that leaves no answer.
func TestAttempts(t *testing.T) {
	needRoot(t, "nft")
	if !alone(t) {
		return
	}
	rules := "table inet t { chain o { type filter hook output priority 0; tcp dport 1001 drop; }; chain i { type filter hook input priority 0; tcp dport 1002 drop; }; }"
	if out, err := exec.Command("nft", rules).CombinedOutput(); err != nil {
		t.Fatalf("nft: %v: %s", err, out)
	}
	server := serve(t, "127.0.0.1:0")
	for _, c := range []struct {
		name, remote string
		errors       map[string][]string // by mechanism; none where the mechanism tells of none
		local        map[string]bool
	}{
		{"local drop", "127.0.0.1:1001", map[string][]string{EBPF: {""}, Seccomp: {""}, SocketTable: {""}}, map[string]bool{EBPF: true, Seccomp: true, SocketTable: true}},
		{"unanswered", "127.0.0.1:1002", map[string][]string{EBPF: {""}, Seccomp: {""}, SocketTable: {""}}, map[string]bool{EBPF: true, Seccomp: true, SocketTable: true}},
		{"refused", "127.0.0.1:1003", map[string][]string{EBPF: {"ECONNREFUSED"}, Seccomp: {""}}, map[string]bool{EBPF: true}},
		{"no route", "192.0.2.1:1004", map[string][]string{EBPF: {"ENETUNREACH"}, Seccomp: {""}}, nil},
		{"answered", server.String(), nil, nil},
	} {
		for _, mechanism := range []string{EBPF, Seccomp, SocketTable} {
			t.Run(c.name+" "+mechanism, func(t *testing.T) {
				t.Parallel()
				s := watch(t, mechanism)
				// What is not answered is told of after a second, at the next
				// look at the table, on a busy machine later.
				j := job{Remote: netip.MustParseAddrPort(c.remote), Processes: 2, Connections: 1, Timeout: 4 * time.Second, AtOnce: 2}
				list := do(t, s.Watcher, j)
				time.Sleep(400 * time.Millisecond)
				told := map[uint32]*hostlog.Attempt{}
				for _, a := range of[*hostlog.Attempt](s.finish(t)) {
					if a.Remote == j.Remote {
						told[a.PID] = a
					}
				}
				want := c.errors[mechanism]
				for _, one := range list {
					a := told[one.PID]
					if want == nil {
						// The table may or may not see a refused one.
						if a != nil && mechanism != SocketTable {
							t.Errorf("%+v is told of, but %s", a, c.name)
						}
						continue
					}
					if a == nil {
						t.Errorf("nothing is told of %+v", one)
						continue
					}
					if !slices.Contains(want, a.Error) || a.Ended == 0 {
						t.Errorf("%+v: want error %q and an end", a, want)
					}
					if a.Time < one.Began-int64(10*time.Millisecond) || a.Ended > one.Ending+int64(5*time.Second) {
						t.Errorf("%+v is not in the time of %+v", a, one)
					}
					if c.local[mechanism] && one.Local.Port() != 0 && a.Local.Port() != one.Local.Port() {
						t.Errorf("local end %v, want %v", a.Local, one.Local)
					}
				}
			})
		}
	}
}

// TestProcessTree has a shell, which something starts, start another program
// and change into a third.
func TestProcessTree(t *testing.T) {
	needRoot(t)
	if !alone(t) {
		return
	}
	server := serve(t, "127.0.0.1:0")
	for _, mechanism := range []string{EBPF, Seccomp} {
		t.Run(mechanism, func(t *testing.T) {
			s := watch(t, mechanism)
			life := 10 * time.Millisecond
			if mechanism != EBPF {
				// What a process runs after its fork is seen at the next look
				// at the processes, which must still be there.
				life = 700 * time.Millisecond
			}
			j := driver(job{Remote: server, Processes: 1, Connections: 1, Lifetime: life})
			exe, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			shell := exec.Command("sh", "-c", fmt.Sprintf("(exec %s 'an argument' '')\nexit 7", exe))
			shell.Env = j.Env
			if err := s.Start(shell); err != nil {
				t.Fatal(err)
			}
			if err := shell.Wait(); err == nil || shell.ProcessState.ExitCode() != 7 {
				t.Errorf("the shell ended with %v", err)
			}
			time.Sleep(700 * time.Millisecond)
			records := s.finish(t)
			var client uint32
			told := map[uint32]*hostlog.Process{}
			for _, r := range records {
				switch r := r.(type) {
				case *hostlog.Process:
					told[r.PID] = r
				case *hostlog.Claim:
					if !r.Server && r.Remote == server {
						client = r.PID
						if told[client] == nil {
							t.Error("the claim comes before its process")
						}
					}
				}
			}
			var chain []string
			for pid := client; told[pid] != nil && int(pid) != os.Getpid(); pid = told[pid].Parent {
				chain = append(chain, strings.Join(told[pid].Args, "|"))
				if told[pid].Start == 0 || !told[pid].HasUID || told[pid].UID != 0 {
					t.Errorf("%+v lacks a start or its user", told[pid])
				}
			}
			want := []string{"connecting-process", exe + "|an argument|", strings.Join(shell.Args, "|")}
			if !slices.Equal(chain, want) {
				t.Errorf("chain %q, want %q", chain, want)
			}
			for _, x := range of[*hostlog.Exit](records) {
				if int(x.PID) == shell.Process.Pid && mechanism == EBPF && (x.Code != 7 || x.Signal != 0) {
					t.Errorf("%+v, want code 7", x)
				}
			}
		})
	}
}

// TestShortestProcesses starts programs that end at once: their arguments must
// be there although nothing can be asked about them any more.
func TestShortestProcesses(t *testing.T) {
	needRoot(t)
	if !alone(t) {
		return
	}
	const many = 200
	s := watch(t, EBPF)
	long := strings.Repeat("x", 6000)
	shell := exec.Command("sh", "-c", fmt.Sprintf("for i in $(seq %d); do /bin/true number $i; done; /bin/true %s; kill -9 $$", many, long))
	if err := s.Start(shell); err != nil {
		t.Fatal(err)
	}
	shell.Wait()
	time.Sleep(200 * time.Millisecond)
	records := s.finish(t)
	seen, cut := map[string]bool{}, false
	for _, p := range of[*hostlog.Process](records) {
		if len(p.Args) == 3 && p.Args[1] == "number" {
			seen[p.Args[2]] = true
			if filepath.Base(p.Path) != "true" {
				t.Errorf("path %q", p.Path)
			}
		}
		if n := len(p.Args); n >= 2 && filepath.Base(p.Args[0]) == "true" && strings.HasPrefix(p.Args[1], "xxxx") {
			cut = p.Args[n-1] == cutMark && len(p.Args[1]) > 4000 || p.Args[1] == long
		}
	}
	if len(seen) != many || !cut {
		t.Errorf("%d of %d processes have their arguments; the long ones: %t", len(seen), many, cut)
	}
	killed := false
	for _, x := range of[*hostlog.Exit](records) {
		killed = killed || int(x.PID) == shell.Process.Pid && x.Signal == 9 && x.Code == -1
	}
	if !killed {
		t.Error("the exit by signal 9 is missing")
	}
}

// TestAcceptedLate has a server accept a connection long after the table has
// shown it, with nothing that changes meanwhile.
func TestAcceptedLate(t *testing.T) {
	needRoot(t)
	if !alone(t) {
		return
	}
	s := watch(t, SocketTable)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	time.Sleep(6 * pollEvery)
	server, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	here, there := server.LocalAddr().(*net.TCPAddr).AddrPort(), client.LocalAddr().(*net.TCPAddr).AddrPort()
	var pid uint32
	if !eventually(func() (ok bool) {
		pid, ok = s.Owner(here, there, time.Now().UnixNano()-int64(pollEvery))
		return ok && int(pid) == os.Getpid()
	}) {
		t.Fatalf("the accepting side is PID %d", pid)
	}
	s.finish(t)
}
