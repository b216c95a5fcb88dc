package analyze

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"goproxytrace/analyze/goproxy"
	"goproxytrace/capture"
	"goproxytrace/capture/hostlog"
)

// Bounds on what is remembered of processes, all from records that may be
// hostile.
const (
	maxProcessRecords = 64 << 10
	maxProcessText    = 16 << 20 // bytes of names and command lines
	maxProcessName    = 64
	maxProcessCommand = 2 << 10
	maxPerPID         = 64
	maxAncestors      = 32
	maxBuilders       = 512
)

// life is the time from the start of a process to its end: one number may
// stand for several, one after the other.
type life struct {
	pid   uint32
	began int64 // Unix ns, zero where unknown
	exit  *hostlog.Exit
	// key stands for the life towards package diagnose, zero until asked for.
	key uint32
}

// program is what a process was from a time on: exec changes it.
type program struct {
	*life
	at      int64 // when it was learned, Unix ns
	parent  uint32
	name    string
	command string
	// under are go commands that a building program works for, once known.
	under [2]*life
}

// processes is what the capture says about processes, by PID and in order of
// time.
type processes struct {
	byPID map[uint32][]*program
	count int
	text  int
	// builders are the latest programs that builds are made of, at most
	// maxBuilders.
	builders []*program
	// byKey are the lives that verdicts were asked for, by life.key.
	byKey map[uint32]*life
	extra uint32
}

// add takes what a record says of a process.
func (t *processes) add(r *hostlog.Process) {
	name := r.Name
	if base := r.Path[strings.LastIndexAny(r.Path, `/\`)+1:]; name == "" || len(base) > len(name) && strings.HasPrefix(base, name) {
		name = base // the kernel's own name is cut to 15 bytes
	}
	t.put(&program{
		life: &life{pid: r.PID, began: r.Start}, at: r.Time, parent: r.Parent,
		name: clipped(name, maxProcessName), command: clipped(strings.Join(hostlog.RedactArgs(r.Args), " "), maxProcessCommand),
	})
}

// describe takes what the capture file's own blocks say of a process.
func (t *processes) describe(p *capture.Process) {
	t.add(&hostlog.Process{
		PID: p.PID, Parent: p.Parent, Start: p.Start, Time: p.Start, Name: p.Name, Path: p.Path, Args: strings.Fields(p.CommandLine),
	})
}

// startApart is how far two statements of the start of one process may lie
// apart, in ns: kernels count it in hundredths of a second since they booted.
const startApart = int64(50e6)

func (t *processes) put(p *program) {
	if p.pid == 0 || t.count >= maxProcessRecords || t.text+len(p.name)+len(p.command) > maxProcessText {
		return
	}
	if t.byPID == nil {
		t.byPID = make(map[uint32][]*program)
	}
	list := t.byPID[p.pid]
	if len(list) >= maxPerPID {
		return
	}
	i, _ := slices.BinarySearchFunc(list, p.at+1, func(q *program, at int64) int { return cmp.Compare(q.at, at) })
	for _, near := range []int{i - 1, i} {
		if near < 0 || near >= len(list) || !sameLife(list[near], p) {
			continue
		}
		q := list[near]
		if q.began == 0 {
			q.began = p.began
		}
		p.life = q.life
		if q.name == p.name && (q.command == p.command || p.command == "" || q.command == "") {
			if q.command == "" {
				q.command = p.command
				t.text += len(p.command)
			}
			q.at, q.parent = min(q.at, p.at), cmp.Or(q.parent, p.parent)
			return
		}
		break
	}
	t.byPID[p.pid] = slices.Insert(list, i, p)
	t.count++
	t.text += len(p.name) + len(p.command)
	if slices.Contains(compiling, p.plain()) {
		if len(t.builders) == maxBuilders {
			t.builders = slices.Delete(t.builders, 0, maxBuilders/2)
		}
		t.builders = append(t.builders, p)
	}
}

// sameLife reports whether two records with one PID are about one process.
func sameLife(a, b *program) bool {
	if a.exit != nil && a.exit.Time < b.at || b.exit != nil && b.exit.Time < a.at {
		return false
	}
	apart := a.began - b.began
	return a.began == 0 || b.began == 0 || -startApart <= apart && apart <= startApart
}

// ended takes the end of a process; of one that no record described only the
// end is known then.
func (t *processes) ended(x *hostlog.Exit) {
	if p := t.at(x.PID, x.Time); p != nil {
		if p.exit == nil {
			p.exit = x
		}
		return
	}
	t.put(&program{life: &life{pid: x.PID, exit: x}, at: x.Time})
}

// at returns what the process with the number was at a time; nil where that is
// not known. What was learned later counts where the process may have been
// there already.
func (t *processes) at(pid uint32, at int64) *program {
	list := t.byPID[pid]
	i, _ := slices.BinarySearchFunc(list, at+1, func(q *program, at int64) int { return cmp.Compare(q.at, at) })
	if i > 0 {
		if p := list[i-1]; p.exit == nil || p.exit.Time >= at {
			return p
		}
	}
	if i < len(list) && (list[i].began == 0 || list[i].began <= at+startApart) {
		return list[i]
	}
	return nil
}

// parentOf returns the process that started p, nil where it is not known.
func (t *processes) parentOf(p *program) *program {
	if p.parent == 0 || p.parent == p.pid {
		return nil
	}
	return t.at(p.parent, cmp.Or(p.began, p.at))
}

// plain returns a program's name as its file is called on every system.
func (p *program) plain() string { return strings.TrimSuffix(strings.ToLower(p.name), ".exe") }

// isGo reports whether a program is the go command.
func (p *program) isGo() bool { return goproxy.Command(p.name) }

// carries reports whether a program works for the one that started it when
// modules are fetched.
func (p *program) carries() bool { return goproxy.Carrier(p.name) }

// command returns the go command that p is, or works for; nil for none.
func (t *processes) command(p *program) (top *program) {
	for range maxAncestors {
		switch {
		case p.isGo():
			top = p
		case top != nil || !p.carries():
			return top
		}
		if p = t.parentOf(p); p == nil {
			return top
		}
	}
	return top
}

// compiling are the programs that a go command starts to build with: while one
// runs, it has other things to do than to download.
var compiling = []string{"compile", "asm", "link", "cgo", "vet", "buildid", "cover", "gcc", "g++", "clang", "cc", "cc1", "as", "ld", "collect2"}

// busy reports whether a process of the same command built something between
// two times.
func (t *processes) busy(top *program, from, to int64) bool {
	for _, p := range t.builders {
		if p.at > to || p.exit != nil && p.exit.Time < from {
			continue
		}
		if p.under == ([2]*life{}) {
			p.under = t.goAbove(p)
		}
		if p.under[0] == top.life || p.under[1] == top.life {
			return true
		}
	}
	return false
}

// goAbove returns the nearest and the farthest go command among the ancestors
// of p, nil for none.
func (t *processes) goAbove(p *program) (found [2]*life) {
	for range maxAncestors {
		if p = t.parentOf(p); p == nil {
			break
		}
		if !p.isGo() {
			continue
		}
		if found[0] == nil {
			found[0] = p.life
		}
		found[1] = p.life
	}
	return found
}

// keyOf returns what stands for a process towards package diagnose: its number,
// or for a later process with the same number one that no process has.
func (t *processes) keyOf(l *life) uint32 {
	if l.key != 0 {
		return l.key
	}
	if t.byKey == nil {
		t.byKey = make(map[uint32]*life)
	}
	l.key = l.pid
	for t.byKey[l.key] != nil {
		t.extra++
		l.key = 1<<31 + t.extra
	}
	t.byKey[l.key] = l
	return l.key
}

// last returns what the process that a key stands for was last.
func (t *processes) last(key uint32) *program {
	l := t.byKey[key]
	if l == nil {
		if list := t.byPID[key]; len(list) > 0 {
			return list[len(list)-1]
		}
		return nil
	}
	return t.latest(l)
}

// latest returns what a process was last.
func (t *processes) latest(l *life) *program {
	list := t.byPID[l.pid]
	for i := len(list) - 1; i >= 0; i-- {
		if list[i].life == l {
			return list[i]
		}
	}
	return nil
}

// name returns the name of the process that a key stands for, empty where
// nothing names it.
func (t *processes) name(key uint32) string {
	if p := t.last(key); p != nil {
		return p.name
	}
	return ""
}

// words tells a process from all others, with what started it where known:
// "go (PID 4120, started by make (PID 4100))".
func (t *processes) words(p *program) string {
	if q := t.parentOf(p); q != nil && q.name != "" {
		return fmt.Sprintf("%s (PID %d, started by %s (PID %d))", cmp.Or(p.name, unnamed), p.pid, q.name, q.pid)
	}
	return p.who()
}

// unnamed stands for the name of a process that no record describes.
const unnamed = "a process"

// who tells a process by name and number.
func (p *program) who() string { return fmt.Sprintf("%s (PID %d)", cmp.Or(p.name, unnamed), p.pid) }

// clipped returns valid text of at most n bytes.
func clipped(s string, n int) string {
	if len(s) > n {
		s = s[:n]
	}
	return strings.ToValidUTF8(s, "")
}
