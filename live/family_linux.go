package live

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"goproxytrace/capture/hostlog"
)

// userHZ is the unit of times in /proc/PID/stat on every Linux that Go runs on.
const userHZ = 100

// Family lists processes and all that they started, by PID; those that have
// ended are left out.
func Family(pids []uint32) ([]hostlog.Process, error) {
	names, err := filepath.Glob("/proc/[0-9]*")
	if err != nil || len(names) == 0 {
		return nil, errors.Join(err, errors.New("no processes in /proc"))
	}
	boot := bootTime()
	all := map[uint32]*found{}
	for _, dir := range names {
		if p := readProcess(dir, boot); p != nil {
			all[p.PID] = p
		}
	}
	var out []hostlog.Process
	for _, p := range all {
		for pid, n := p.PID, 0; pid != 0 && n < 64; n++ {
			if slices.Contains(pids, pid) {
				p.describe()
				out = append(out, p.Process)
				break
			}
			parent := all[pid]
			if parent == nil {
				break
			}
			pid = parent.Parent
		}
	}
	slices.SortFunc(out, func(a, b hostlog.Process) int { return int(a.PID) - int(b.PID) })
	return out, nil
}

// found is a process in /proc.
type found struct {
	hostlog.Process
	dir string
}

// describe reads what only matters of the processes that are asked for.
func (p *found) describe() {
	p.Path, _ = os.Readlink(filepath.Join(p.dir, "exe")) // not ours to read: unknown
	if line, err := os.ReadFile(filepath.Join(p.dir, "cmdline")); err == nil && len(line) > 0 {
		p.Args = strings.Split(strings.TrimSuffix(string(line), "\x00"), "\x00")
	}
}

// readProcess reads one process's place in the tree; nil where it is gone.
func readProcess(dir string, boot int64) *found {
	b, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return nil
	}
	// The name stands in parentheses and may hold any character.
	open, end := bytes.IndexByte(b, '('), bytes.LastIndexByte(b, ')')
	pid, err := strconv.ParseUint(filepath.Base(dir), 10, 32)
	if err != nil || open < 0 || end < open {
		return nil
	}
	f := strings.Fields(string(b[end+1:]))
	if len(f) < 20 || f[0] == "Z" {
		return nil
	}
	parent, _ := strconv.ParseUint(f[1], 10, 32)
	ticks, _ := strconv.ParseInt(f[19], 10, 64)
	p := &found{dir: dir, Process: hostlog.Process{
		Time: time.Now().UnixNano(), PID: uint32(pid), Parent: uint32(parent), Name: string(b[open+1 : end]), Source: hostlog.SocketTable,
	}}
	if boot != 0 {
		p.Start = boot + ticks*(int64(time.Second)/userHZ)
	}
	return p
}

// bootTime is when the system started, in Unix nanoseconds; zero where unknown.
func bootTime() int64 {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		var s int64
		if _, err := fmt.Sscanf(line, "btime %d", &s); err == nil {
			return s * int64(time.Second)
		}
	}
	return 0
}

// Elsewhere reports whether a process lives in another network namespace than
// this one: its packets cannot be captured from here. False where that may not
// be read.
func Elsewhere(pid uint32) bool {
	own, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		return false
	}
	its, err := os.Readlink(filepath.Join("/proc", strconv.FormatUint(uint64(pid), 10), "ns/net"))
	return err == nil && its != own
}
