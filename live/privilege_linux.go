package live

import (
	"fmt"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// kept are the capabilities that a session needs to its end: to read other
// users' /proc entries and sockets, to enter a container's network namespace,
// to pass signals on, to run the command as the invoking user and to write
// files in that user's directories.
var kept = []uintptr{
	unix.CAP_CHOWN, unix.CAP_DAC_OVERRIDE, unix.CAP_DAC_READ_SEARCH, unix.CAP_FOWNER, unix.CAP_KILL,
	unix.CAP_SETGID, unix.CAP_SETUID, unix.CAP_SYS_PTRACE,
}

// DropPrivileges gives up, for good and in every thread, the capabilities that
// only opening a capture needs (CAP_NET_RAW, CAP_NET_ADMIN, CAP_BPF and the
// rest). container keeps what entering another network namespace takes. bounding
// takes them from all that this process starts, too: not wanted where root runs
// a command that is to have what root has. Without cgo it works, with it the
// runtime cannot reach every thread, and the error says so.
func DropPrivileges(container, bounding bool) (err error) {
	keep := kept
	if container {
		keep = append(keep[:len(keep):len(keep)], unix.CAP_SYS_ADMIN)
	}
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var have [2]unix.CapUserData
	if err := unix.Capget(&head, &have[0]); err != nil {
		return fmt.Errorf("reading capabilities: %w", err)
	}
	var mask [2]uint32
	for _, c := range keep {
		mask[c/32] |= 1 << (c % 32)
	}
	nothing := true
	for i := range have {
		nothing = nothing && have[i].Permitted&^mask[i] == 0 && have[i].Inheritable == 0
		have[i].Permitted &= mask[i]
		have[i].Effective &= mask[i]
		have[i].Inheritable = 0
	}
	if nothing {
		return nil
	}
	if bounding {
		for c := uintptr(0); c <= unix.CAP_LAST_CAP; c++ {
			if mask[c/32]&(1<<(c%32)) == 0 {
				// What the kernel does not know cannot be had either.
				_, _, _ = syscall.AllThreadsSyscall(unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, c, 0)
			}
		}
	}
	_, _, errno := syscall.AllThreadsSyscall(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&head)), uintptr(unsafe.Pointer(&have[0])), 0)
	if errno != 0 {
		return fmt.Errorf("dropping capabilities in all threads: %w", errno)
	}
	return nil
}

// bearing are the capabilities that bear on capturing, by name.
var bearing = []struct {
	name string
	bit  uint
}{
	{"cap_net_raw", unix.CAP_NET_RAW}, {"cap_net_admin", unix.CAP_NET_ADMIN}, {"cap_bpf", unix.CAP_BPF},
	{"cap_perfmon", unix.CAP_PERFMON}, {"cap_sys_ptrace", unix.CAP_SYS_PTRACE}, {"cap_sys_admin", unix.CAP_SYS_ADMIN},
}

// Capabilities names those in force that bear on capturing.
func Capabilities() (names []string) {
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var have [2]unix.CapUserData
	if unix.Capget(&head, &have[0]) != nil {
		return nil
	}
	for _, c := range bearing {
		if have[c.bit/32].Effective&(1<<(c.bit%32)) != 0 {
			names = append(names, c.name)
		}
	}
	return names
}
