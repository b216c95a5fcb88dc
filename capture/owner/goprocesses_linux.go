package owner

import (
	"cmp"
	"fmt"
	"os"
	"slices"

	"goproxytrace/capture/hostlog"
)

// GoProcesses lists the running go commands and all that they started, by PID.
// A go command that started this process (go run, go test) is not one of them.
func GoProcesses() ([]hostlog.Process, error) {
	all := map[uint32]hostlog.Process{}
	if err := scanProcesses(glance, func(d hostlog.Process) { all[d.PID] = d }); err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	// This process, its ancestors and its descendants are no download that
	// somebody asks about.
	self := uint32(os.Getpid())
	ours := map[uint32]bool{}
	for pid, n := self, 0; pid != 0 && n < maxAncestors; pid, n = all[pid].Parent, n+1 {
		ours[pid] = true
	}
	var out []hostlog.Process
	for pid, d := range all {
		if ours[pid] {
			continue
		}
		found := isGo(&d)
		for up, n := d.Parent, 0; up != 0 && n < maxAncestors; up, n = all[up].Parent, n+1 {
			if up == self {
				found = false
				break
			}
			parent, ok := all[up]
			if !ok {
				break
			}
			found = found || !ours[up] && isGo(&parent)
		}
		if !found {
			continue
		}
		if whole, ok := lookProcess(pid); ok && whole.Start == d.Start {
			out = append(out, whole)
		}
	}
	slices.SortFunc(out, func(a, b hostlog.Process) int { return cmp.Compare(a.PID, b.PID) })
	return out, nil
}
