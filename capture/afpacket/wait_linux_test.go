package afpacket

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestPollerLooksDuringWait holds that nobody is woken for what comes to the ring
// between waits, and that no wait misses it.
func TestPollerLooksDuringWait(t *testing.T) {
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pipe[0])
	defer unix.Close(pipe[1])
	bell, err := newBell()
	if err != nil {
		t.Fatal(err)
	}
	defer bell.close()
	p, err := newPoller(pipe[0], bell.fd)
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	put := func() {
		t.Helper()
		if _, err := unix.Write(pipe[1], []byte{0}); err != nil {
			t.Fatal(err)
		}
	}
	quiet := func(when string) {
		t.Helper()
		var events [2]unix.EpollEvent
		if n, err := unix.EpollWait(p.fd, events[:], 0); n != 0 || err != nil {
			t.Errorf("%s: %d descriptors wake the runtime (error %v)", when, n, err)
		}
	}
	wait := func(d time.Duration, want ...int) {
		t.Helper()
		events, err := p.wait(d)
		if err != nil || len(events) != len(want) {
			t.Fatalf("wait has %v (error %v), want descriptors %v", events, err, want)
		}
		for _, fd := range want {
			found := false
			for _, e := range events {
				found = found || int(e.Fd) == fd
			}
			if !found {
				t.Errorf("descriptor %d is not among %v", fd, events)
			}
		}
	}
	long := time.Minute
	put()
	quiet("before the first wait")
	wait(long, pipe[0])
	put()
	quiet("after a wait that has found packets")
	wait(long, pipe[0])
	var b [8]byte
	if _, err := unix.Read(pipe[0], b[:]); err != nil {
		t.Fatal(err)
	}
	wait(time.Millisecond)
	if err := p.arm(false); err != nil {
		t.Fatal(err)
	}
	put()
	quiet("disarmed after a wait in vain")
	bell.ring()
	wait(long, pipe[0], bell.fd)
	wait(long, pipe[0], bell.fd) // neither was taken off
}
