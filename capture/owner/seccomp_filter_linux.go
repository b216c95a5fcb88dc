package owner

import (
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// seccomp_unotify(2): struct seccomp_notif and struct seccomp_notif_resp.
type notification struct {
	id    uint64
	tid   uint32
	flags uint32
	// struct seccomp_data
	nr   int32
	arch uint32
	ip   uint64
	args [6]uint64
}

type response struct {
	id    uint64
	val   int64
	errno int32
	flags uint32
}

const flagContinue = 1 // SECCOMP_USER_NOTIF_FLAG_CONTINUE

// auditArch is how the kernel calls the architecture whose system calls have
// the numbers of package unix.
var auditArch = map[string]uint32{
	"amd64": unix.AUDIT_ARCH_X86_64, "arm64": unix.AUDIT_ARCH_AARCH64,
	"riscv64": unix.AUDIT_ARCH_RISCV64, "loong64": unix.AUDIT_ARCH_LOONGARCH64,
}

// installFilter makes every connect() of the calling thread, and of what it
// starts from now on, wait for whoever reads the descriptor that is returned.
// The thread must not serve other goroutines afterwards.
func installFilter() (listener int, err error) {
	arch, ok := auditArch[runtime.GOARCH]
	if !ok {
		return -1, fmt.Errorf("system calls of %s are not known here", runtime.GOARCH)
	}
	// struct seccomp_data: nr at 0, arch at 4. System calls of another
	// architecture (32-bit programs) have other numbers.
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 4},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 3, K: arch},
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 1, K: unix.SYS_CONNECT},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_USER_NOTIF},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	install := func(flags uintptr) (int, unix.Errno) {
		fd, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&program)))
		return int(fd), errno
	}
	// A signal during a notification makes the system call start again
	// unless the kernel (5.19) can be told to wait.
	flags := uintptr(unix.SECCOMP_FILTER_FLAG_NEW_LISTENER | unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV)
	fd, errno := install(flags)
	if errno == unix.EINVAL {
		flags = unix.SECCOMP_FILTER_FLAG_NEW_LISTENER
		fd, errno = install(flags)
	}
	if errno == unix.EACCES {
		// Without privilege the command must not be able to gain any.
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			return -1, fmt.Errorf("set no_new_privs: %w", err)
		}
		fd, errno = install(flags)
	}
	runtime.KeepAlive(filter)
	switch {
	case errno == unix.EBUSY:
		return -1, errors.New("this process is watched by seccomp already (a container engine or a sandbox)")
	case errno != 0:
		return -1, fmt.Errorf("install seccomp filter: %w", errno)
	}
	return fd, nil
}

// receive waits for a notification.
func receive(listener int, n *notification) error {
	// The kernel demands that it is zero.
	*n = notification{}
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(listener), unix.SECCOMP_IOCTL_NOTIF_RECV, uintptr(unsafe.Pointer(n))); errno != 0 {
		return errno
	}
	return nil
}

// proceed lets a system call be done as if nobody had looked.
func proceed(listener int, id uint64) error {
	r := response{id: id, flags: flagContinue}
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(listener), unix.SECCOMP_IOCTL_NOTIF_SEND, uintptr(unsafe.Pointer(&r))); errno != 0 {
		return errno
	}
	return nil
}

// await waits until a notification can be received; false where no process
// has the filter any more or stop can be read.
func await(listener, stop int) bool {
	fds := []unix.PollFd{{Fd: int32(listener), Events: unix.POLLIN}, {Fd: int32(stop), Events: unix.POLLIN}}
	for {
		_, err := unix.Poll(fds, -1)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || fds[1].Revents != 0 {
			return false
		}
		if fds[0].Revents&unix.POLLIN != 0 {
			return true
		}
		if fds[0].Revents != 0 {
			return false
		}
	}
}
