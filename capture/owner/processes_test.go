package owner

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"goproxytrace/capture/hostlog"
)

// tree collects what is told.
type tree struct {
	*processes
	q *queue
}

func newTree(t *testing.T, all bool) *tree {
	t.Helper()
	q := newQueue()
	return &tree{newProcesses(q, all), q}
}

// told ends the queue and returns what was put in it, one word for each: the
// arguments of a process, its name where it has none.
func (tr *tree) told() (out []string) {
	tr.q.close()
	for r := range tr.q.ch {
		switch r := r.(type) {
		case *hostlog.Process:
			if r.Args == nil {
				out = append(out, "^"+r.Name)
				continue
			}
			out = append(out, "+"+strings.Join(r.Args, " "))
		case *hostlog.Exit:
			out = append(out, "-")
		}
	}
	return out
}

func command(pid, parent uint32, start int64, path string, args ...string) hostlog.Process {
	return hostlog.Process{PID: pid, Parent: parent, Start: start, Time: start, Path: path, Name: filepath.Base(path), Args: args}
}

func TestOnlyConcernedProcessesAreTold(t *testing.T) {
	tr := newTree(t, false)
	tr.running(command(1, 0, second, "/sbin/init", "init"))
	tr.running(command(50, 1, 2*second, "/usr/bin/secret", "secret", "--password=x"))
	tr.running(command(60, 1, 2*second, "/usr/bin/make", "make"))
	tr.forked(command(61, 60, 3*second, ""))
	tr.executed(command(61, 60, 3*second, "/usr/local/go/bin/go", "go", "mod", "download"))
	tr.forked(command(62, 61, 4*second, ""))
	tr.executed(command(62, 61, 4*second, "/usr/bin/git", "git", "fetch"))
	tr.executed(command(63, 61, 4*second, "/usr/local/go/pkg/tool/linux_amd64/compile", "compile"))
	tr.ended(hostlog.Exit{PID: 62, Time: 5 * second}, 4*second)
	tr.ended(hostlog.Exit{PID: 50, Time: 5 * second}, 2*second)
	want := []string{"^init", "^make", "+go mod download", "+git fetch", "-"}
	if got := tr.told(); !slices.Equal(got, want) {
		t.Errorf("told %q, want %q", got, want)
	}
}

func TestOwnersAreToldWithAncestors(t *testing.T) {
	tr := newTree(t, false)
	tr.running(command(1, 0, second, "/sbin/init", "init", "--secret"))
	tr.running(command(10, 1, 2*second, "/bin/sh", "sh"))
	tr.forked(command(11, 10, 3*second, ""))
	// It connects before it executes anything: it is a copy of its parent.
	tr.owns(command(11, 10, 3*second, ""))
	tr.owns(command(11, 10, 3*second, ""))
	// Later it executes something, which is told again.
	tr.executed(command(11, 10, 3*second, "/usr/bin/curl", "curl"))
	// One that nothing is known of but that it connects.
	tr.owns(hostlog.Process{PID: 99, Name: "x", Args: []string{"x"}})
	// An ancestor that connects itself is told again, in full.
	tr.owns(command(10, 1, 2*second, "/bin/sh", "sh"))
	want := []string{"^init", "^sh", "+sh", "+curl", "+x", "+sh"}
	if got := tr.told(); !slices.Equal(got, want) {
		t.Errorf("told %q, want %q", got, want)
	}
}

// TestPIDComesRound has a PID used twice: neither exit nor parent of the first
// may become the second's.
func TestPIDComesRound(t *testing.T) {
	tr := newTree(t, true)
	tr.executed(command(7, 0, second, "/bin/old", "old"))
	tr.ended(hostlog.Exit{PID: 7, Time: 2 * second}, second)
	tr.executed(command(7, 0, 10*second, "/bin/new", "new"))
	// The first one's exit, told again.
	tr.ended(hostlog.Exit{PID: 7, Time: 11 * second}, second)
	// A process older than the new 7 is not its child.
	tr.owns(command(8, 7, 5*second, "/bin/orphan", "orphan"))
	p := tr.byPID[7]
	if p.gone != 0 || p.Args[0] != "new" {
		t.Errorf("%+v", p)
	}
	want := []string{"+old", "-", "+new", "+orphan"}
	if got := tr.told(); !slices.Equal(got, want) {
		t.Errorf("told %q, want %q", got, want)
	}
	if before(p, tr.byPID[8]) {
		t.Error("a younger process is taken for the parent of an older one")
	}
}

func TestFollowedAreTold(t *testing.T) {
	tr := newTree(t, false)
	tr.running(command(20, 0, second, "/bin/sh", "sh"))
	tr.running(command(21, 20, 2*second, "/bin/a", "a"))
	tr.running(command(22, 21, 3*second, "/bin/b", "b"))
	tr.running(command(30, 0, 3*second, "/bin/other", "other"))
	tr.follow(20, second)
	tr.executed(command(23, 22, 4*second, "/bin/c", "c"))
	want := []string{"+sh", "+a", "+b", "+c"}
	if got := tr.told(); !slices.Equal(got, want) {
		t.Errorf("told %q, want %q", got, want)
	}
}

// TestAncestorsMayEnd has a process connect whose ancestors end before it is told
// that it owns a connection.
func TestAncestorsMayEnd(t *testing.T) {
	tr := newTree(t, false)
	there := map[uint32]hostlog.Process{
		1: command(1, 0, second, "/sbin/init", "init"),
		5: command(5, 1, 2*second, "/bin/sh", "sh"),
		6: command(6, 5, 3*second, "/usr/bin/curl", "curl"),
	}
	tr.look = func(pid uint32) (hostlog.Process, bool) {
		d, ok := there[pid]
		return d, ok
	}
	// It was seen before it executed what connects.
	tr.running(command(6, 5, 3*second, "/bin/sh", "sh"))
	tr.connecting(there[6])
	// Looked at again while they end, one has no arguments any more, the
	// other no executable.
	tr.running(command(5, 1, 2*second, "/bin/sh"))
	tr.running(hostlog.Process{PID: 6, Parent: 5, Start: 3 * second, Name: "curl", Args: []string{"curl"}})
	clear(there)
	tr.owns(hostlog.Process{PID: 6, Start: 3 * second})
	tr.running(command(6, 5, 3*second, "/usr/bin/curl"))
	if p := tr.byPID[6]; p.Path != "/usr/bin/curl" || len(tr.byPID[5].Args) != 1 {
		t.Errorf("%+v, child of %+v", p, tr.byPID[5])
	}
	want := []string{"^init", "^sh", "+curl"}
	if got := tr.told(); !slices.Equal(got, want) {
		t.Errorf("told %q, want %q", got, want)
	}
}

// TestFollowedMayHaveEnded has a process followed when it, and what it started,
// has run already: before its events are read, between them, or after them.
func TestFollowedMayHaveEnded(t *testing.T) {
	zombie := hostlog.Process{PID: 20, Parent: 1, Start: 2 * second, Time: 4 * second, Name: "sh"}
	events := []func(*tree){
		func(tr *tree) { tr.forked(command(20, 1, 2*second, "")) },
		func(tr *tree) { tr.executed(command(20, 1, 2*second, "/bin/sh", "sh", "-c", "a")) },
		func(tr *tree) { tr.forked(command(21, 20, 3*second, "")) },
		func(tr *tree) { tr.executed(command(21, 20, 3*second, "/bin/a", "a", "b")) },
		func(tr *tree) { tr.owns(command(21, 20, 3*second, "")) },
		func(tr *tree) { tr.ended(hostlog.Exit{PID: 21, Time: 3 * second}, 3*second) },
		func(tr *tree) { tr.ended(hostlog.Exit{PID: 20, Time: 4 * second}, 2*second) },
	}
	for at := range 2 * (len(events) + 1) {
		at, looks := at/2, at%2 == 0
		tr := newTree(t, false)
		tr.executed(command(1, 0, second, "/sbin/init", "init"))
		// Another that had the PID before.
		tr.executed(command(20, 1, second, "/bin/old", "old"))
		tr.ended(hostlog.Exit{PID: 20, Time: second + second/2}, second)
		// What has ended and was not waited for may be there to be looked at.
		tr.look = func(pid uint32) (hostlog.Process, bool) { return zombie, looks && pid == zombie.PID }
		for i, event := range events {
			if i == at {
				tr.follow(20, 2*second-millisecond)
			}
			event(tr)
		}
		if at == len(events) {
			tr.follow(20, 2*second-millisecond)
		}
		got := tr.told()
		for _, want := range []string{"^init", "+sh -c a", "+a b"} {
			if !slices.Contains(got, want) {
				t.Errorf("followed before event %d, %t: %q is not among %q", at, looks, want, got)
			}
		}
		exits := 0
		for _, s := range got {
			if s == "-" {
				exits++
			}
			if strings.Contains(s, "old") {
				t.Errorf("followed before event %d, %t: told of %q", at, looks, s)
			}
		}
		if exits != 2 {
			t.Errorf("followed before event %d, %t: %d exits are told of, want 2: %q", at, looks, exits, got)
		}
	}
}

func TestGoCommand(t *testing.T) {
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "VERSION"), []byte("go1.26.1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		d    hostlog.Process
		want bool
	}{
		{command(1, 0, 0, "/usr/local/go/bin/go", "go", "build"), true},
		{command(1, 0, 0, "/opt/gopath/pkg/mod/golang.org/toolchain@v0.0.1-go1.26.1.linux-amd64/bin/go", "go"), true},
		{command(1, 0, 0, "/usr/local/go/bin/go (deleted)", "go"), true},
		{command(1, 0, 0, `C:\Program Files\Go\bin\go.exe`, "go"), true},
		{command(1, 0, 0, "/usr/lib/go-1.26/bin/go1.26.1", "/usr/bin/go", "get"), true},
		{command(1, 0, 0, filepath.Join(root, "bin", "wrapped"), "go", "get"), true},
		{hostlog.Process{PID: 1, Name: "go"}, true},
		{command(1, 0, 0, "/usr/bin/gopls", "gopls"), false},
		{command(1, 0, 0, "/usr/bin/python3", "go"), false},
		{command(1, 0, 0, "/usr/bin/gofmt", "go"), false},
		{command(1, 0, 0, "/usr/bin/sh", "sh", "-c", "go build"), false},
		{hostlog.Process{PID: 1, Name: "gopls"}, false},
	} {
		if got := isGo(&c.d); got != c.want {
			t.Errorf("%s %q: %t, want %t", c.d.Path, c.d.Args, got, c.want)
		}
	}
}

func TestQueueNeverBlocks(t *testing.T) {
	q := newQueue()
	// One batch may be on its way to the reader, and one waits.
	const many = 3 * maxQueued
	for range many {
		q.put(&hostlog.Exit{})
	}
	n := 0
	lost := q.dropped()
	q.close()
	q.put(&hostlog.Exit{})
	for range q.ch {
		n++
	}
	if lost == 0 || n+int(lost) != many {
		t.Errorf("%d records came and %d were dropped", n, lost)
	}
}
