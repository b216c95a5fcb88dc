package owner

import (
	"encoding/binary"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"goproxytrace/capture/hostlog"
)

// diagRow is a struct inet_diag_msg with attributes.
func diagRow(family byte, attributes ...byte) []byte {
	b := make([]byte, sizeofDiagMessage, sizeofDiagMessage+len(attributes))
	b[0], b[1] = family, tcpEstablished
	binary.BigEndian.PutUint16(b[4:], 40000)
	binary.BigEndian.PutUint16(b[6:], 443)
	copy(b[8:], []byte{192, 0, 2, 7})
	copy(b[24:], []byte{198, 51, 100, 1})
	if family == afINET6 {
		copy(b[8:], slices.Concat(make([]byte, 10), []byte{255, 255, 192, 0, 2, 7}))
		copy(b[24:], slices.Concat(make([]byte, 10), []byte{255, 255, 198, 51, 100, 1}))
	}
	binary.NativeEndian.PutUint32(b[44:], 5)
	binary.NativeEndian.PutUint32(b[48:], 1)
	binary.NativeEndian.PutUint32(b[68:], 77)
	return append(b, attributes...)
}

func TestParseDiag(t *testing.T) {
	for _, family := range []byte{afINET, afINET6} {
		s, ok := parseDiag(diagRow(family))
		if !ok || s.local != here || s.remote != there || s.cookie != 1<<32|5 || s.inode != 77 || s.state != tcpEstablished || s.info != nil {
			t.Errorf("family %d: %+v %t", family, s, ok)
		}
	}
	header := func(length, kind uint16) []byte {
		return binary.NativeEndian.AppendUint16(binary.NativeEndian.AppendUint16(nil, length), kind)
	}
	s, _ := parseDiag(diagRow(afINET, slices.Concat(header(5, 9), []byte{1, 0, 0, 0}, header(7, inetDiagInfo), []byte{1, 2, 3})...))
	if string(s.info) != "\x01\x02\x03" {
		t.Errorf("info %v", s.info)
	}
	for name, b := range map[string][]byte{
		"empty": nil, "short": diagRow(afINET)[:sizeofDiagMessage-1], "unknown family": diagRow(1),
	} {
		if s, ok := parseDiag(b); ok {
			t.Errorf("%s: %+v", name, s)
		}
	}
	for name, b := range map[string][]byte{
		"attribute longer than the message": header(100, inetDiagInfo), "attribute without end": header(0, inetDiagInfo), "half an attribute": {1},
	} {
		if s, ok := parseDiag(diagRow(afINET, b...)); !ok || s.info != nil {
			t.Errorf("%s: %+v %t", name, s, ok)
		}
	}
}

// TestRowTimes reads a table of several messages, of which the kernel makes the
// next when one is taken, and is late with what it does not take at once: that
// a socket was there is known of the time before.
func TestRowTimes(t *testing.T) {
	needRoot(t)
	if !alone(t) {
		return
	}
	const sockets = 1000
	for range sockets {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
	}
	d, err := openDiag(0)
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	began := time.Now().UnixNano()
	last, messages, rows := int64(0), 0, 0
	var late int64 // until when the row before this message was late
	if err := d.dump(1<<tcpListen, false, func(s *diagSocket) {
		rows++
		if s.asked < began || s.asked > s.time {
			t.Errorf("row %d, begun %d ns before, was made between %d and %d", rows, s.asked-began, s.asked, s.time)
		}
		if s.time == last {
			return
		}
		last = s.time
		if messages++; messages > 1 && s.asked >= late {
			t.Errorf("message %d was there before %d, its rows say %d", messages, late, s.asked)
		}
		late = time.Now().UnixNano()
		time.Sleep(20 * time.Millisecond)
	}); err != nil {
		t.Fatal(err)
	}
	if rows < sockets || messages < 3 {
		t.Errorf("%d rows in %d messages", rows, messages)
	}
}

// TestDescribe reads struct tcp_info of every length, as older kernels have it.
func TestDescribe(t *testing.T) {
	info := make([]byte, 240)
	for at, v := range map[int]uint32{infoUnacked: 3, infoTotalRetrans: 9, infoLastReceived: 70, infoSendWindow: 65535, infoMinRTT: 1<<32 - 1, infoRTT: 12} {
		binary.NativeEndian.PutUint32(info[at:], v)
	}
	for at, v := range map[int]uint64{infoAcked: 101, infoReceived: 50, infoSent: 120, infoRetransBytes: 20} {
		binary.NativeEndian.PutUint64(info[at:], v)
	}
	info[infoRetransmits], info[infoProbes] = 4, 2
	row := diagSocket{state: tcpEstablished, local: here, remote: there, unread: 5, unsent: 6, info: info}
	s := row.describe(7)
	if s.PID != 7 || s.State != "ESTABLISHED" || s.Unread != 5 || s.Unsent != 6 || s.Retransmits != 4 || s.Probes != 2 || s.Unacked != 3 || s.TotalRetransmits != 9 ||
		s.RTT != 12 || s.MinRTT != 0 || *s.BytesReceived != 50 || *s.BytesSent != 120 || *s.LastDataReceived != 70 || *s.SendWindow != 65535 {
		t.Errorf("%+v", s)
	}
	// The SYN is one of the 101, and 20 of 120 were sent again.
	if *s.BytesAcked != 100 {
		t.Errorf("%d bytes acknowledged, want 100", *s.BytesAcked)
	}
	// The peer's FIN counts, but is no data.
	row.state = tcpCloseWait
	if s := row.describe(7); s.Unread != 4 || *s.BytesReceived != 49 || s.State != "CLOSE-WAIT" {
		t.Errorf("%+v", s)
	}
	row.state = tcpSynSent
	if s := row.describe(7); s.Unsent != 0 || s.LastDataSent != nil || s.SendWindow != nil {
		t.Errorf("%+v", s)
	}
	for n := range info {
		row.state, row.info = tcpEstablished, info[:n]
		s := row.describe(7)
		if (s.BytesSent != nil) != (n >= infoSent+8) || (s.SendWindow != nil) != (n >= infoSendWindow+4) {
			t.Errorf("with %d bytes: %+v", n, s)
		}
	}
}

// TestDamagedEvents decodes events of every length, and arguments that say to
// be longer than they are.
func TestDamagedEvents(t *testing.T) {
	e := &ebpfWatcher{w: newWatcher(Options{}), clock: bootClock(), conns: map[uint64]*conn{}, called: map[uint64]*hostlog.Attempt{}}
	for kind := range uint32(eventExit + 2) {
		b := make([]byte, prSize)
		binary.NativeEndian.PutUint32(b, kind)
		binary.NativeEndian.PutUint32(b[prArgs:], 1<<31)
		binary.NativeEndian.PutUint32(b[prPID:], 12)
		for n := range b {
			e.event(b[:n])
		}
	}
	for _, c := range []struct {
		b    string
		size int
		want []string
	}{
		{"", 0, nil},
		{"a\x00b\x00", 4, []string{"a", "b"}},
		{"a\x00\x00", 3, []string{"a", ""}},
		{"a\x00b", 3, []string{"a", "b"}},
		{"a\x00bcd", 9, []string{"a", "bcd", cutMark}},
		{"a\xff\x00", 3, []string{"a?"}},
		{"a\x00", -4, nil},
	} {
		if got := arguments([]byte(c.b), c.size); !slices.Equal(got, c.want) {
			t.Errorf("%q of %d: %q, want %q", c.b, c.size, got, c.want)
		}
	}
	if whole, cut := cutArgs([]string{"a", "bcd", cutMark}); !cut || !slices.Equal(whole, []string{"a"}) {
		t.Errorf("%q %t", whole, cut)
	}
	if _, cut := cutArgs([]string{"a", "b"}); cut {
		t.Error("whole arguments are taken for cut ones")
	}
}

// TestSocketLife plays what the kernel tells of sockets.
func TestSocketLife(t *testing.T) {
	const cookie = 55
	event := func(kind, old, now int, at int64, pid uint32, errno uint32) []byte {
		b := make([]byte, evSize)
		n := binary.NativeEndian
		n.PutUint32(b[evKind:], uint32(kind))
		n.PutUint32(b[evError:], errno)
		n.PutUint64(b[evTime:], uint64(at))
		n.PutUint64(b[evCookie:], cookie)
		n.PutUint32(b[evPID:], pid)
		n.PutUint16(b[evFamily:], afINET)
		b[evOld], b[evNew] = byte(old), byte(now)
		copy(b[evLocal:], []byte{192, 0, 2, 7})
		copy(b[evRemote:], []byte{198, 51, 100, 1})
		if kind != eventState || old != tcpClose {
			binary.BigEndian.PutUint16(b[evLocalPort:], 40000)
		}
		binary.BigEndian.PutUint16(b[evPeerPort:], 443)
		return b
	}
	for name, c := range map[string]struct {
		events [][]byte
		want   []string
	}{
		"answered": {[][]byte{
			event(eventState, tcpClose, tcpSynSent, second, 7, 0), event(eventPort, 0, 0, second+10, 0, 0),
			event(eventState, tcpSynSent, tcpEstablished, 2*second, 0, 0), event(eventState, tcpFinWait2, tcpClose, 3*second, 0, 0),
		}, []string{"process 7", "claim 7 client 40000 open", "claim 7 client 40000 closed"}},
		"local port known late": {[][]byte{
			event(eventState, tcpClose, tcpSynSent, second, 7, 0), event(eventState, tcpSynSent, tcpEstablished, 2*second, 0, 0),
		}, []string{"process 7", "claim 7 client 40000 open"}},
		"refused": {[][]byte{
			event(eventState, tcpClose, tcpSynSent, second, 7, 0), event(eventPort, 0, 0, second+10, 0, 0),
			event(eventState, tcpSynSent, tcpClose, 2*second, 0, 111),
		}, []string{"process 7", "claim 7 client 40000 open", "claim 7 client 40000 closed", "attempt 7 ECONNREFUSED"}},
		"given up": {[][]byte{
			event(eventState, tcpClose, tcpSynSent, second, 7, 0), event(eventState, tcpSynSent, tcpClose, 2*second, 7, 0),
		}, []string{"process 7", "claim 7 client 40000 open", "claim 7 client 40000 closed", "attempt 7 "}},
		"accepted, owner known by what it receives": {[][]byte{
			event(eventState, tcpSynRecv, tcpEstablished, second, 0, 0), event(eventUse, 0, 0, 2*second, 9, 0),
			event(eventUse, 0, 0, 3*second, 10, 0),
		}, []string{"process 9", "claim 9 server 40000 open"}},
		"accepted, owner known by its close": {[][]byte{
			event(eventState, tcpSynRecv, tcpEstablished, second, 0, 0), event(eventState, tcpEstablished, tcpFinWait1, 2*second, 9, 0),
		}, []string{"process 9", "claim 9 server 40000 open"}},
		"accepted and never used": {[][]byte{
			event(eventState, tcpSynRecv, tcpEstablished, second, 0, 0), event(eventState, tcpEstablished, tcpClose, 2*second, 0, 0),
		}, nil},
		"begun before it was watched": {[][]byte{
			event(eventState, tcpSynSent, tcpEstablished, second, 0, 0), event(eventState, tcpFinWait2, tcpClose, 2*second, 0, 0),
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWatcher(Options{})
			e := &ebpfWatcher{w: w, clock: bootClock(), conns: map[uint64]*conn{}, called: map[uint64]*hostlog.Attempt{}}
			for _, b := range c.events {
				e.event(b)
			}
			w.out.close()
			var got []string
			for r := range w.Records() {
				switch r := r.(type) {
				case *hostlog.Process:
					got = append(got, "process "+itoa(r.PID))
				case *hostlog.Claim:
					words := []string{"claim", itoa(r.PID), "client", itoa(uint32(r.Local.Port())), "open"}
					if r.Server {
						words[2] = "server"
					}
					if r.Until != 0 {
						words[4] = "closed"
					}
					got = append(got, strings.Join(words, " "))
				case *hostlog.Attempt:
					got = append(got, "attempt "+itoa(r.PID)+" "+r.Error)
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("told %q, want %q", got, c.want)
			}
		})
	}
}

func itoa(n uint32) string { return strconv.FormatUint(uint64(n), 10) }

func TestContainer(t *testing.T) {
	id := strings.Repeat("0123456789abcdef", 4)
	for text, want := range map[string]string{
		"0::/system.slice/docker-" + id + ".scope\n":                               id,
		"12:pids:/docker/" + id + "\n":                                             id,
		"0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-" + id + ".scope\n": id,
		"0::/machine.slice/libpod-" + id + ".scope/container\n":                    id,
		"0::/user.slice/user-1000.slice/session-1.scope\n":                         "",
		"0::/\n":                                "",
		"":                                      "",
		"0::/x/" + id + "0\n":                   "",
		"1:name=systemd:/docker/" + id + "/a\n": id,
	} {
		if got := container(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	var d hostlog.Process
	statusFields(&d, "Name:\tx\nUid:\t1000\t0\t0\t0\nNSpid:\t4120\t17\t3\n")
	if !d.HasUID || d.UID != 0 || d.PIDInContainer != 3 {
		t.Errorf("%+v", d)
	}
	d = hostlog.Process{}
	statusFields(&d, "Uid:\nNSpid:\t4120\n")
	if d.HasUID || d.PIDInContainer != 0 {
		t.Errorf("%+v", d)
	}
}
