package owner

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"

	"goproxytrace/capture/hostlog"
)

// entry is a process in a snapshot of the system's list.
type entry struct {
	parent uint32
	name   string // of the executable, without its directory
}

// snapshot lists the running processes by PID. A parent's PID may have come
// round since.
func snapshot() (map[uint32]entry, error) {
	h, err := windows.CreateToolhelp32Snapshot(windows.TH32CS_SNAPPROCESS, 0)
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	defer windows.CloseHandle(h)
	out := map[uint32]entry{}
	e := windows.ProcessEntry32{Size: uint32(unsafe.Sizeof(windows.ProcessEntry32{}))}
	for err = windows.Process32First(h, &e); err == nil; err = windows.Process32Next(h, &e) {
		out[e.ProcessID] = entry{e.ParentProcessID, windows.UTF16ToString(e.ExeFile[:])}
	}
	if !errors.Is(err, windows.ERROR_NO_MORE_FILES) {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	return out, nil
}

// lookProcess describes a running process. Of one that we may not open only
// name and parent are known.
func lookProcess(pid uint32) (hostlog.Process, bool) {
	list, err := snapshot()
	if err != nil {
		return hostlog.Process{}, false
	}
	e, ok := list[pid]
	if !ok {
		return hostlog.Process{}, false
	}
	return describeProcess(pid, e), true
}

func describeProcess(pid uint32, e entry) hostlog.Process {
	d := hostlog.Process{Time: time.Now().UnixNano(), PID: pid, Parent: e.parent, Name: e.name, Source: hostlog.SocketTable}
	h, err := openProcess(pid)
	if err != nil {
		return d
	}
	defer windows.CloseHandle(h)
	d.Start, _ = processTimes(h) // zero is unknown
	d.Path = imagePath(h)
	d.Args = commandLine(h)
	if d.Name == "" {
		d.Name = filepath.Base(d.Path)
	}
	return d
}

// openProcess opens a process with the least right that tells what it is.
func openProcess(pid uint32) (windows.Handle, error) {
	return windows.OpenProcess(windows.PROCESS_QUERY_LIMITED_INFORMATION, false, pid)
}

// processTimes returns when a process was started and, if it is over, ended,
// in Unix nanoseconds; zero where unknown.
func processTimes(h windows.Handle) (start, end int64) {
	var created, exited, kernel, user windows.Filetime
	if windows.GetProcessTimes(h, &created, &exited, &kernel, &user) != nil {
		return 0, 0
	}
	number := func(f windows.Filetime) uint64 { return uint64(f.HighDateTime)<<32 | uint64(f.LowDateTime) }
	return unixNanoseconds(number(created)), unixNanoseconds(number(exited))
}

// maxImagePath is the longest path that the system has, in UTF-16 units.
const maxImagePath = 1 << 15

// imagePath is the path of a process's executable; empty where it cannot be
// read.
func imagePath(h windows.Handle) string {
	for n := uint32(windows.MAX_PATH); n <= maxImagePath; n *= 4 {
		buf := make([]uint16, n)
		size := n
		err := windows.QueryFullProcessImageName(h, 0, &buf[0], &size)
		if err == nil {
			return windows.UTF16ToString(buf[:min(size, n)])
		}
		if !errors.Is(err, windows.ERROR_INSUFFICIENT_BUFFER) {
			return ""
		}
	}
	return ""
}

// maxCommandLine is more than a command line has: its length is a UNICODE_STRING's,
// 16 bits, and that structure stands before it.
const maxCommandLine = 1<<16 + 64

// commandLine returns a process's arguments; nil where they cannot be read.
func commandLine(h windows.Handle) []string {
	var need uint32
	buf := make([]uint64, 512)
	query := func() error {
		return windows.NtQueryInformationProcess(h, windows.ProcessCommandLineInformation, unsafe.Pointer(unsafe.SliceData(buf)), uint32(len(buf)*8), &need)
	}
	err := query()
	if err != nil && need > uint32(len(buf)*8) && need <= maxCommandLine {
		buf = make([]uint64, (need+7)/8)
		err = query()
	}
	if err != nil {
		return nil
	}
	// The text stands in the buffer, behind the structure that points to it.
	s := (*windows.NTUnicodeString)(unsafe.Pointer(unsafe.SliceData(buf)))
	base, at := uintptr(unsafe.Pointer(s)), uintptr(unsafe.Pointer(s.Buffer))
	if at < base || at-base > uintptr(len(buf)*8) || uintptr(s.Length) > uintptr(len(buf)*8)-(at-base) {
		return nil
	}
	line := windows.UTF16ToString(unsafe.Slice(s.Buffer, s.Length/2))
	if line == "" {
		return nil
	}
	args, err := windows.DecomposeCommandLine(line)
	if err != nil {
		return strings.Fields(line)
	}
	return args
}

// exited says whether an open process is over, with its exit code and time.
func exited(h windows.Handle) (code int, at int64, over bool) {
	const stillActive = 259
	var status uint32
	if windows.GetExitCodeProcess(h, &status) != nil {
		return 0, 0, false
	}
	_, at = processTimes(h)
	// A process may end with that code: then its end has a time.
	if status == stillActive && at == 0 {
		return 0, 0, false
	}
	if at == 0 {
		at = time.Now().UnixNano()
	}
	return int(int32(status)), at, true
}
