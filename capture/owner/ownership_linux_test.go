package owner

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestRates measures how many connections each mechanism finds the owner of,
// by how long they live. What a mechanism does not know it must not guess:
// nothing may be wrong, whatever the lifetime. With -update the table goes to
// docs/ownership.md.
func TestRates(t *testing.T) {
	needRoot(t)
	if !alone(t) {
		return
	}
	ports(t, 42000, 42999)
	server := serve(t, "127.0.0.1:0")
	lifetimes := []time.Duration{0, 5 * time.Millisecond, 20 * time.Millisecond}
	processes := 20
	if *update {
		lifetimes = []time.Duration{0, time.Millisecond, 5 * time.Millisecond, 20 * time.Millisecond, 100 * time.Millisecond}
		processes = 100
	}
	table := [][]string{}
	for _, m := range []struct {
		title, mechanism string
		syns, ask, all   bool
	}{
		{"eBPF", EBPF, false, false, true},
		{"seccomp, with the SYNs of a capture", Seccomp, true, true, true},
		{"socket table, asked at each SYN and every 50 ms", SocketTable, true, true, false},
		{"socket table, every 50 ms alone", SocketTable, true, false, false},
		{"socket table, every 50 ms alone, without the times of SYNs", SocketTable, false, false, false},
	} {
		row := []string{m.title}
		for _, life := range lifetimes {
			t.Run(fmt.Sprintf("%s %v", m.title, life), func(t *testing.T) {
				s := watch(t, m.mechanism)
				if m.syns {
					sniff(t, s.Watcher, m.ask)
				}
				list := do(t, s.Watcher, job{Remote: server, Processes: processes, Connections: 5, Lifetime: life, AtOnce: 4, Reset: true, Timeout: 10 * time.Second})
				var r rate
				if m.all {
					r = s.judgeAll(list)
				} else {
					time.Sleep(150 * time.Millisecond)
					r = s.judge(list)
				}
				limits := s.Limits()
				s.finish(t)
				t.Logf("%+v, limits %q", r, limits)
				if r.Wrong > 0 || m.all && r.Right != len(list) {
					t.Errorf("%d right, %d unknown, %d wrong", r.Right, r.Unknown, r.Wrong)
				}
				percent := func(n int) string { return fmt.Sprintf("%.1f %%", 100*float64(n)/float64(len(list))) }
				row = append(row, percent(r.Right)+" / "+percent(r.Unknown)+" / "+percent(r.Wrong))
			})
		}
		table = append(table, row)
	}
	if *update && !t.Failed() {
		writeOwnership(t, table, lifetimes, processes*5)
	}
}

func writeOwnership(t *testing.T, table [][]string, lifetimes []time.Duration, connections int) {
	t.Helper()
	var b strings.Builder
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(&b, `# Which process owns a connection: what each mechanism finds

Written by `+"`go test ./capture/owner -run TestRates -update`"+` as root; measured
on Linux %s. Each cell is right / unknown / wrong: %d connections of %d
processes over loopback through 1,000 local ports, so that ports come round;
every other connection ends with RST, so that its port is free at once. What is
right is what the processes say themselves. A connection counts as right if its
owner is named both when it was made and just before it was closed.

`, text(name.Release[:]), connections, connections/5)
	b.WriteString("| mechanism |")
	for _, l := range lifetimes {
		fmt.Fprintf(&b, " %v |", l)
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(lifetimes)) + "\n")
	for _, row := range table {
		b.WriteString("| " + strings.Join(row, " | ") + " |\n")
	}
	b.WriteString(`
- **eBPF** needs root (or CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN), Linux 5.12 and
  the kernel's type information. It also tells of refused, unanswered and
  unroutable attempts with their errors, of the accepting side, and of processes
  with arguments, parents and exits.
- **seccomp** needs no rights, but only tells of the command that
  ` + "`goproxytrace live -- COMMAND`" + ` starts and of its children. A refused or
  unroutable attempt has no error and mostly no local port.
- The **socket table** needs the right to read other processes' open files. What
  it misses is unknown: short connections, refused ones. Without the times of SYNs
  it cannot tell two uses of one tuple apart, and says nothing of any moment
  between two reads.

A wrong owner fails the test, for every mechanism and lifetime.
`)
	if err := os.WriteFile(filepath.Join("..", "..", "docs", "ownership.md"), []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}
