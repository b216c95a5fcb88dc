package owner

import (
	"cmp"
	"os"
	"slices"

	"goproxytrace/capture/hostlog"
)

// GoProcesses lists the running go commands and all that they started, by PID.
// A go command that started this process (go run, go test) is not one of them.
func GoProcesses() ([]hostlog.Process, error) {
	all, err := everyProcess()
	if err != nil {
		return nil, err
	}
	// This process, its ancestors and its descendants are no download that
	// somebody asks about.
	self := uint32(os.Getpid())
	ours := map[uint32]bool{}
	for p := range all.up(self) {
		ours[p] = true
	}
	return all.choose(func(pid uint32) bool {
		if ours[pid] {
			return false
		}
		found := false
		for p := range all.up(pid) {
			if p == self {
				return false
			}
			found = found || !ours[p] && isGo(all[p])
		}
		return found
	}), nil
}

// Family lists processes and all that they started, by PID; those that have
// ended are left out.
func Family(pids []uint32) ([]hostlog.Process, error) {
	all, err := everyProcess()
	if err != nil {
		return nil, err
	}
	return all.choose(func(pid uint32) bool {
		for p := range all.up(pid) {
			if slices.Contains(pids, p) {
				return true
			}
		}
		return false
	}), nil
}

// processTree are processes by PID.
type processTree map[uint32]*hostlog.Process

func everyProcess() (processTree, error) {
	list, err := snapshot()
	if err != nil {
		return nil, err
	}
	all := processTree{}
	for pid, e := range list {
		if pid != 0 { // the idle loop
			d := describeProcess(pid, e)
			all[pid] = &d
		}
	}
	return all, nil
}

// up yields a process and its ancestors. A process that began after the other
// is no parent of it: the PID has come round.
func (t processTree) up(pid uint32) func(func(uint32) bool) {
	return func(yield func(uint32) bool) {
		p := t[pid]
		for n := 0; p != nil && n < maxAncestors; n++ {
			if !yield(p.PID) {
				return
			}
			parent := t[p.Parent]
			if parent == nil || parent.PID == p.PID || !before(&process{Process: *parent}, &process{Process: *p}) {
				return
			}
			p = parent
		}
	}
}

func (t processTree) choose(wanted func(pid uint32) bool) (out []hostlog.Process) {
	for pid, d := range t {
		if wanted(pid) {
			out = append(out, *d)
		}
	}
	slices.SortFunc(out, func(a, b hostlog.Process) int { return cmp.Compare(a.PID, b.PID) })
	return out
}
