package etw

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"strconv"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
)

// The sizes and places are those of the Windows SDK's headers for 64 bits.
func TestLayout(t *testing.T) {
	var p traceProperties
	var f traceLogfile
	var r eventRecord
	for _, c := range []struct {
		name      string
		got, want uintptr
	}{
		{"WNODE_HEADER", unsafe.Sizeof(p.wnode), 48},
		{"EVENT_TRACE_PROPERTIES", unsafe.Offsetof(p.name), 120},
		{"EVENT_TRACE_PROPERTIES.LoggerThreadId", unsafe.Offsetof(p.loggerThread), 104},
		{"ENABLE_TRACE_PARAMETERS", unsafe.Sizeof(enableParameters{}), 48},
		{"EVENT_FILTER_DESCRIPTOR", unsafe.Sizeof(filterDescriptor{}), 16},
		{"EVENT_FILTER_EVENT_ID.Events", unsafe.Offsetof(filterEvents{}.events), 4},
		{"EVENT_TRACE", unsafe.Sizeof(eventTrace{}), 88},
		{"TRACE_LOGFILE_HEADER", unsafe.Sizeof(traceLogfileHeader{}), 280},
		{"EVENT_TRACE_LOGFILEW", unsafe.Sizeof(f), 448},
		{"EVENT_TRACE_LOGFILEW.LogFileMode", unsafe.Offsetof(f.mode), 28},
		{"EVENT_TRACE_LOGFILEW.EventRecordCallback", unsafe.Offsetof(f.eventCallback), 424},
		{"EVENT_TRACE_LOGFILEW.Context", unsafe.Offsetof(f.context), 440},
		{"EVENT_RECORD", unsafe.Sizeof(r), 112},
		{"EVENT_HEADER.ProviderId", unsafe.Offsetof(r.provider), 24},
		{"EVENT_HEADER.EventDescriptor", unsafe.Offsetof(r.descriptor), 40},
		{"EVENT_RECORD.UserDataLength", unsafe.Offsetof(r.userDataLength), 86},
		{"EVENT_RECORD.UserData", unsafe.Offsetof(r.userData), 96},
		{"EVENT_RECORD.UserContext", unsafe.Offsetof(r.userContext), 104},
	} {
		if c.got != c.want {
			t.Errorf("%s: %d, want %d", c.name, c.got, c.want)
		}
	}
}

// An event reaches the session that its record names.
func TestRecord(t *testing.T) {
	var got []Event
	s := &Session{id: lastID.Add(1), take: func(e Event) { got = append(got, e) }}
	b := raw(t, local4+remote4+"00000000 39050000"+rest)
	r := &eventRecord{provider: guids[TCPIP], userData: unsafe.Pointer(&b[0]), userDataLength: uint16(len(b)), timeStamp: 116444736000000000 + 10}
	r.descriptor.id = 1031
	s.event(r)
	r.userDataLength -= 20 // the process is cut off
	s.event(r)
	r.provider.Data1++
	s.event(r)
	s.event(&eventRecord{provider: guids[KernelNetwork]})
	want := Event{Kind: Proceeding, PID: 1337, Local: at4, Remote: to4, Time: 1000}
	if len(got) != 1 || got[0] != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestNames(t *testing.T) {
	for name, want := range map[string]uint32{
		sessionName + "17.1": 17, sessionName + "17": 17, sessionName: 0, sessionName + "x.1": 0, "NT Kernel Logger": 0, "xgoproxytrace owners 17.1": 0,
	} {
		if pid, ok := processOf(name); pid != want || ok != (want != 0) {
			t.Errorf("%q: process %d, %v; want %d", name, pid, ok, want)
		}
	}
	if !runs(uint32(os.Getpid())) || runs(0x7ffffffc) {
		t.Error("this process does not run, or one that is none does")
	}
}

// Where the system lets us, a connection of our own is told of; where it does
// not, that is an error and no more.
func TestOpen(t *testing.T) {
	events := make(chan Event, 4096)
	s, err := Open(func(e Event) {
		select {
		case events <- e:
		default:
		}
	})
	if err != nil {
		var errno windows.Errno
		if !errors.As(err, &errno) {
			t.Errorf("the error has no number: %v", err)
		}
		t.Logf("no trace here: %v", err)
		return
	}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp4", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	local := netip.MustParseAddrPort(c.LocalAddr().String())
	limit := time.After(10 * time.Second)
	for found := false; !found; {
		select {
		case e := <-events:
			found = e.Local == local && e.Kind == Connected && e.PID == uint32(os.Getpid())
		case <-limit:
			t.Fatal("no event of a connection from " + local.String() + " by process " + strconv.Itoa(os.Getpid()))
		}
	}
	if err := s.Close(); err != nil || s.Err() != nil {
		t.Errorf("%v, %v", err, s.Err())
	}
}
