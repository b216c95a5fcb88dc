package owner

import (
	"encoding/binary"
	"errors"
	"flag"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"goproxytrace/capture/hostlog"
)

var update = flag.Bool("update", false, "write docs/ownership.md from what is measured")

// open watches with one mechanism and collects the records.
type session struct {
	*Watcher
	mu      sync.Mutex
	records []hostlog.Record
	ended   chan bool
}

func watch(t *testing.T, mechanism string) *session {
	t.Helper()
	return watchIn(t, Options{Mechanism: mechanism, Starts: true})
}

func watchIn(t *testing.T, o Options) *session {
	t.Helper()
	w, err := Watch(o)
	if err != nil {
		t.Fatalf("%s: %v", o.Mechanism, err)
	}
	s := &session{Watcher: w, ended: make(chan bool)}
	go func() {
		defer close(s.ended)
		for r := range w.Records() {
			s.mu.Lock()
			s.records = append(s.records, r)
			s.mu.Unlock()
		}
	}()
	return s
}

// finish closes the watcher and returns all that it told.
func (s *session) finish(t *testing.T) []hostlog.Record {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	select {
	case <-s.ended:
	case <-time.After(10 * time.Second):
		t.Fatal("the channel of records is not closed")
	}
	return s.records
}

func of[T hostlog.Record](records []hostlog.Record) (out []T) {
	for _, r := range records {
		if one, ok := r.(T); ok {
			out = append(out, one)
		}
	}
	return out
}

// serve accepts connections and reads from them until they end.
func serve(t *testing.T, address string) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				io.Copy(io.Discard, c)
			}()
		}
	}()
	return l.Addr().(*net.TCPAddr).AddrPort()
}

// sniff tells a watcher of the SYNs that leave over loopback, as a capture
// would, with the kernel's time of each.
// Where it is not to ask, the watcher learns the times alone.
func sniff(t *testing.T, w *Watcher, ask bool) {
	t.Helper()
	protocol := binary.NativeEndian.Uint16([]byte{unix.ETH_P_ALL >> 8, unix.ETH_P_ALL & 0xff})
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, int(protocol))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 8<<20),
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 100_000}),
	); err != nil {
		t.Fatal(err)
	}
	stop, done := make(chan bool), make(chan bool)
	t.Cleanup(func() { close(stop); <-done; unix.Close(fd) })
	go func() {
		defer close(done)
		b, control := make([]byte, 256), make([]byte, 256)
		for {
			select {
			case <-stop:
				return
			default:
			}
			n, c, _, from, err := unix.Recvmsg(fd, b, control, 0)
			if err != nil {
				continue
			}
			if l, ok := from.(*unix.SockaddrLinklayer); !ok || l.Pkttype != unix.PACKET_OUTGOING {
				continue
			}
			if local, remote, ok := synOf(b[:n]); ok {
				if ask {
					w.Seen(local, remote, stampOf(control[:c]))
				} else {
					w.book.syn(tupleOf(local, remote), stampOf(control[:c]))
				}
			}
		}
	}()
}

// synOf reads an IP packet that is a SYN without ACK.
func synOf(b []byte) (local, remote netip.AddrPort, ok bool) {
	var from, to netip.Addr
	var tcp []byte
	switch {
	case len(b) >= 40 && b[0]>>4 == 6 && b[6] == unix.IPPROTO_TCP:
		from, to, tcp = netip.AddrFrom16([16]byte(b[8:])), netip.AddrFrom16([16]byte(b[24:])), b[40:]
	case len(b) >= 20 && b[0]>>4 == 4 && b[9] == unix.IPPROTO_TCP:
		from, to, tcp = netip.AddrFrom4([4]byte(b[12:])), netip.AddrFrom4([4]byte(b[16:])), b[min(int(b[0]&15)*4, len(b)):]
	}
	if len(tcp) < 20 || tcp[13]&0x12 != 0x02 {
		return local, remote, false
	}
	return netip.AddrPortFrom(from, binary.BigEndian.Uint16(tcp)), netip.AddrPortFrom(to, binary.BigEndian.Uint16(tcp[2:])), true
}

func stampOf(control []byte) int64 {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return 0
	}
	for _, m := range messages {
		if m.Header.Type == unix.SCM_TIMESTAMPNS && len(m.Data) >= 16 {
			return int64(binary.NativeEndian.Uint64(m.Data))*second + int64(binary.NativeEndian.Uint64(m.Data[8:]))
		}
	}
	return 0
}

// eventually asks every 10 ms whether something is so, until it is or 10 s have
// passed: who learns it may have to wait for a processor.
func eventually(so func() bool) bool {
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if so() {
			return true
		}
		if time.Now().After(end) {
			return false
		}
	}
}

// rate is how many of some connections have the right owner.
type rate struct{ Right, Unknown, Wrong int }

// judge asks for the owner of connections, at the moment when each was made
// and just before it was closed.
func (s *session) judge(list []truth) (r rate) {
	for _, c := range list {
		verdict := &r.Right
		for _, at := range []int64{c.Done, c.Ending} {
			pid, ok := s.Owner(c.Local, c.Remote, at)
			switch {
			case ok && pid != c.PID:
				verdict = &r.Wrong
			case !ok && verdict != &r.Wrong:
				verdict = &r.Unknown
			}
		}
		*verdict++
	}
	return r
}

// judgeAll judges until all have the right owner, or waiting has not helped.
func (s *session) judgeAll(list []truth) (r rate) {
	eventually(func() bool {
		r = s.judge(list)
		return r.Right == len(list)
	})
	return r
}
