package hostevents

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// kmsg is /dev/kmsg (Documentation/ABI/testing/dev-kmsg): each read yields one
// record. Rights are looked at when it is opened, and not again.
type kmsg struct {
	fd   int
	last int64 // when everything had been read, Unix ns
	buf  []byte
}

// kmsgRecord is the longest record of the kernel (PRINTK_MESSAGE_MAX is 2048).
const kmsgRecord = 8 << 10

func openKernelLog() (kernelLog, error) {
	fd, err := unix.Open("/dev/kmsg", unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("/dev/kmsg: %w", err)
	}
	k := &kmsg{fd: fd, last: time.Now().UnixNano(), buf: make([]byte, kmsgRecord)}
	if _, err := unix.Seek(fd, 0, unix.SEEK_END); err != nil {
		k.close()
		return nil, fmt.Errorf("/dev/kmsg: %w", err)
	}
	return k, nil
}

func (k *kmsg) close() { _ = unix.Close(k.fd) }

func (k *kmsg) read() (lines []kernelLine, lost bool, err error) {
	// The kernel's stamps count on their own clock, which runs apart from the
	// others by seconds in weeks; between two readings it does not.
	var mono unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &mono); err != nil {
		return nil, false, err
	}
	now := time.Now().UnixNano()
	defer func() { k.last = now }()
	for len(lines) < maxRecords {
		n, err := unix.Read(k.fd, k.buf)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return lines, lost, nil
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EPIPE): // overwritten; the next read goes on behind
			lost = true
			continue
		case err != nil:
			return lines, lost, fmt.Errorf("/dev/kmsg: %w", err)
		case n == 0:
			return lines, lost, nil
		}
		if text, since, ok := parseKmsg(k.buf[:n]); ok {
			at := now - (mono.Nano() - since)
			lines = append(lines, kernelLine{min(max(at, k.last), now), text})
		}
	}
	return lines, true, nil
}
