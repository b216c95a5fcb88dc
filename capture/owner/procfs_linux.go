package owner

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"goproxytrace/capture/hostlog"
)

// tick is the unit of times in /proc/PID/stat: USER_HZ is 100 on every
// architecture that Go runs on.
const clockTick = 10 * millisecond

func procPath(pid uint32, name string) string {
	return "/proc/" + strconv.FormatUint(uint64(pid), 10) + "/" + name
}

// maxProcFile bounds what is read of a file in /proc, in bytes: the longest that
// are read hold a line for each of some hundred facts.
const maxProcFile = 64 << 10

// A line of /proc/PID/stat has some 300 bytes, a process's arguments mostly less
// than that.
const shortProcFile = 512

// procFile reads the first limit bytes of a file in /proc, mostly no more than
// usual ones. An os.File would ask the system for twice as much: whether it can be
// waited for, which such a file cannot.
func procFile(path string, usual, limit int) ([]byte, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	for err == unix.EINTR {
		fd, err = unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	}
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(fd)
	b := make([]byte, 0, min(limit, usual))
	for len(b) < limit {
		if len(b) == cap(b) {
			b = slices.Grow(b, min(cap(b), limit-len(b)))
		}
		n, err := unix.Read(fd, b[len(b):min(cap(b), limit)])
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return nil, &fs.PathError{Op: "read", Path: path, Err: err}
		case n == 0:
			return b, nil
		}
		b = b[:len(b)+n]
	}
	return b, nil
}

// processStat reads parent, start (Unix nanoseconds) and short name.
func processStat(pid uint32) (parent uint32, start int64, name string, err error) {
	b, err := procFile(procPath(pid, "stat"), shortProcFile, maxProcFile)
	if err != nil {
		return 0, 0, "", err
	}
	// proc(5): pid (comm) state ppid … (22) starttime; comm may hold anything.
	open, end := bytes.IndexByte(b, '('), bytes.LastIndexByte(b, ')')
	if open < 0 || end < open {
		return 0, 0, "", fmt.Errorf("%s: no name in %q", procPath(pid, "stat"), b)
	}
	var above, began string
	n := 0
	for field := range bytes.FieldsSeq(b[end+1:]) {
		switch n++; n {
		case 2:
			above = string(field)
		case 20:
			began = string(field)
		}
	}
	if n < 20 {
		return 0, 0, "", fmt.Errorf("%s: %d fields", procPath(pid, "stat"), n)
	}
	p, err := strconv.ParseUint(above, 10, 32)
	if err != nil {
		return 0, 0, "", fmt.Errorf("%s: parent: %w", procPath(pid, "stat"), err)
	}
	ticks, err := strconv.ParseInt(began, 10, 64)
	if err != nil || ticks > (1<<63-1)/clockTick {
		return 0, 0, "", fmt.Errorf("%s: start %q", procPath(pid, "stat"), began)
	}
	return uint32(p), bootClock().start(ticks * clockTick), strings.ToValidUTF8(string(b[open+1:end]), "?"), nil
}

// maxArguments bounds what is read of a process's arguments, in bytes, and
// maxArgument how many they are: a case file takes as much of them, and any user
// may start processes with millions of bytes.
const (
	maxArguments = 32 << 10
	maxArgument  = 1 << 10
)

// readArguments reads a process's from its cmdline in /proc, nil where that may not be
// read or is empty.
func readArguments(path string) []string {
	b, err := procFile(path, shortProcFile, maxArguments+1)
	if err != nil || len(b) == 0 {
		return nil
	}
	cut := len(b) > maxArguments
	b = bytes.TrimSuffix(b[:min(len(b), maxArguments)], []byte{0})
	args := strings.SplitN(strings.ToValidUTF8(string(b), "?"), "\x00", maxArgument+1)
	if len(args) > maxArgument {
		args, cut = args[:maxArgument], true
	}
	if cut {
		args = append(args, cutMark)
	}
	return slices.Clip(args)
}

// executable is the path of a process's program, empty where that may not be
// read or there is none.
func executable(pid uint32) string {
	target, err := os.Readlink(procPath(pid, "exe"))
	if err != nil {
		return ""
	}
	// A removed one keeps its path, with a mark.
	return strings.TrimSuffix(target, " (deleted)")
}

// glance reads of a running process what tells whether it is a go command
// (isGo), and its parent.
func glance(pid uint32) (hostlog.Process, bool) {
	parent, start, name, err := processStat(pid)
	if err != nil {
		return hostlog.Process{}, false
	}
	d := hostlog.Process{PID: pid, Parent: parent, Start: start, Name: name, Path: executable(pid)}
	if d.Path != "" && base(d.Path) != "go" {
		d.Args = readArguments(procPath(pid, "cmdline"))
	}
	return d, true
}

// lookProcess describes a running process. What may not be read stays empty.
func lookProcess(pid uint32) (hostlog.Process, bool) {
	parent, start, name, err := processStat(pid)
	if err != nil {
		return hostlog.Process{}, false
	}
	d := hostlog.Process{Time: time.Now().UnixNano(), PID: pid, Parent: parent, Start: start, Name: name, Source: hostlog.SocketTable}
	d.Args = readArguments(procPath(pid, "cmdline"))
	d.Path = executable(pid)
	if b, err := procFile(procPath(pid, "status"), 2<<10, maxProcFile); err == nil {
		statusFields(&d, string(b))
	}
	if b, err := procFile(procPath(pid, "cgroup"), shortProcFile, maxProcFile); err == nil {
		d.Container = container(string(b))
	}
	// All of this must have been of one process.
	if _, again, _, err := processStat(pid); err != nil || again != start {
		return hostlog.Process{}, false
	}
	return d, true
}

// statusFields takes user and inner PID from /proc/PID/status.
func statusFields(d *hostlog.Process, status string) {
	for line := range strings.Lines(status) {
		name, value, _ := strings.Cut(line, ":")
		fields := strings.Fields(value)
		switch {
		case name == "Uid" && len(fields) > 1: // real, effective, …
			if n, err := strconv.ParseUint(fields[1], 10, 32); err == nil {
				d.UID, d.HasUID = uint32(n), true
			}
		case name == "NSpid" && len(fields) > 1: // ours first, its own last
			if n, err := strconv.ParseUint(fields[len(fields)-1], 10, 32); err == nil {
				d.PIDInContainer = uint32(n)
			}
		}
	}
}

// containerID is how container engines (Docker, containerd, CRI-O, Podman)
// name the control group of a container.
var containerID = regexp.MustCompile(`(?:^|[/:\-_.])([0-9a-f]{64})(?:\.scope)?(?:/|$)`)

// container finds a container's identifier in /proc/PID/cgroup.
func container(cgroup string) string {
	for line := range strings.Lines(cgroup) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) < 3 {
			continue
		}
		if all := containerID.FindAllStringSubmatch(parts[2], -1); len(all) > 0 {
			return all[len(all)-1][1]
		}
	}
	return ""
}

// processIDs lists the processes there are.
func processIDs() ([]uint32, error) {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	var out []uint32
	for _, n := range names {
		if id, err := strconv.ParseUint(n, 10, 32); err == nil {
			out = append(out, uint32(id))
		}
	}
	return out, nil
}

// inNamespaces says whether a process is in one of some network namespaces.
func inNamespaces(pid uint32, namespaces []uint64) bool {
	n, err := inode(procPath(pid, "ns/net"))
	return err == nil && slices.Contains(namespaces, n)
}

// scanProcesses looks at every process there is, by lookProcess or glance.
func scanProcesses(look func(uint32) (hostlog.Process, bool), found func(hostlog.Process)) error {
	ids, err := processIDs()
	if err != nil {
		return err
	}
	for _, id := range ids {
		if d, ok := look(id); ok {
			found(d)
		}
	}
	return nil
}

// lastPID is the PID given out last in our PID namespace, which tells cheaply
// whether a process was started since.
func lastPID() string {
	b, err := procFile("/proc/loadavg", shortProcFile, maxProcFile)
	if err != nil {
		return ""
	}
	return string(b[bytes.LastIndexByte(bytes.TrimSpace(b), ' ')+1:])
}
