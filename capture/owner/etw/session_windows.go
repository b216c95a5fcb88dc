package etw

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
)

var (
	advapi32       = windows.NewLazySystemDLL("advapi32.dll")
	startTrace     = advapi32.NewProc("StartTraceW")
	controlTrace   = advapi32.NewProc("ControlTraceW")
	enableTraceEx2 = advapi32.NewProc("EnableTraceEx2")
	openTrace      = advapi32.NewProc("OpenTraceW")
	processTrace   = advapi32.NewProc("ProcessTrace")
	closeTrace     = advapi32.NewProc("CloseTrace")
	queryAllTraces = advapi32.NewProc("QueryAllTracesW")
)

var guids = map[Provider]windows.GUID{
	TCPIP:         {Data1: 0x2f07e2ee, Data2: 0x15db, Data3: 0x40f1, Data4: [8]byte{0x90, 0xef, 0x9d, 0x7b, 0xa2, 0x82, 0x18, 0x8a}},
	KernelNetwork: {Data1: 0x7dd42a49, Data2: 0x5329, Data3: 0x4832, Data4: [8]byte{0x8d, 0xfd, 0x43, 0xd9, 0x79, 0x15, 0x3a, 0x88}},
}

// keywords choose the groups of events that have ours: ut:ConnectPath and
// ut:ClosePath, and both address families.
var keywords = map[Provider]uint64{TCPIP: 0x4_0000_0000 | 0x10_0000_0000, KernelNetwork: 0x30}

const (
	// sessionName is followed by the number of its process.
	sessionName = "goproxytrace owners "
	// flushEvery is how long the system may keep events to itself: by itself it
	// hands them over once a buffer is full, or after a second.
	flushEvery = 50 * time.Millisecond
	// endLimit bounds the wait for the last events.
	endLimit = 2 * time.Second

	controlQuery, controlStop, controlFlush = 0, 1, 3

	levelInformation = 4
)

// Session is a trace under way.
type Session struct {
	take   func(Event)
	name   *uint16
	handle uint64 // of the session
	reader uint64 // of what is read from it
	id     uintptr
	stop   chan struct{}
	done   chan struct{} // ProcessTrace has returned
	tick   sync.WaitGroup
	failed atomic.Pointer[error]
	lost   atomic.Uint64
}

// sessions are those whose events the one callback takes, by the number that
// is their context: callbacks are never freed.
var (
	sessions sync.Map // uintptr to *Session
	lastID   atomic.Uintptr
	callback = sync.OnceValue(func() uintptr {
		return windows.NewCallback(func(r *eventRecord) uintptr {
			if s, ok := sessions.Load(r.userContext); ok {
				s.(*Session).event(r)
			}
			return 0
		})
	})
)

// Open begins a session; take is called for each event, by one goroutine at a
// time, until Close returns. It needs administrator's rights, or membership in
// Performance Log Users.
func Open(take func(Event)) (_ *Session, err error) {
	if unsafe.Sizeof(uintptr(0)) != 8 {
		return nil, fmt.Errorf("not available on %s", runtime.GOARCH)
	}
	if err := openTrace.Find(); err != nil {
		return nil, err
	}
	stopLeft()
	s := &Session{take: take, stop: make(chan struct{}), done: make(chan struct{}), id: lastID.Add(1)}
	if s.name, err = windows.UTF16PtrFromString(sessionName + strconv.Itoa(os.Getpid()) + "." + strconv.Itoa(int(s.id))); err != nil {
		return nil, err
	}
	p := newProperties()
	p.wnode.clientContext = 1 // time from the performance counter, converted for us
	p.wnode.flags = 0x20000   // WNODE_FLAG_TRACED_GUID
	p.bufferSize = 64         // KiB; each processor has two at least
	p.logFileMode = 0x100     // EVENT_TRACE_REAL_TIME_MODE
	p.flushTimer = 1
	p.logFileNameOffset = 0 // no file
	status, _, _ := startTrace.Call(uintptr(unsafe.Pointer(&s.handle)), uintptr(unsafe.Pointer(s.name)), uintptr(unsafe.Pointer(p)))
	if errno := windows.Errno(status); errno != 0 {
		if errno == windows.ERROR_ACCESS_DENIED {
			return nil, fmt.Errorf("start a trace: %w (it takes an administrator, or a member of Performance Log Users)", errno)
		}
		return nil, fmt.Errorf("start a trace: %w", errno)
	}
	defer func() {
		if err != nil {
			s.control(controlStop)
			sessions.Delete(s.id)
		}
	}()
	if err := s.enable(TCPIP); err != nil {
		return nil, err
	}
	// It tells of less, by another way; without it the rest works.
	_ = s.enable(KernelNetwork)
	sessions.Store(s.id, s)
	file := &traceLogfile{loggerName: s.name, mode: 0x100 | 0x10000000, eventCallback: callback(), context: s.id} // real time, EVENT_RECORD
	reader, _, lastErr := openTrace.Call(uintptr(unsafe.Pointer(file)))
	if s.reader = uint64(reader); s.reader == ^uint64(0) {
		return nil, fmt.Errorf("read a trace: %w", lastErr)
	}
	go s.read()
	s.tick.Go(s.flush)
	return s, nil
}

// enable has a provider write the events that are asked for, and no others.
func (s *Session) enable(p Provider) error {
	guid, list := guids[p], identifiers[p]
	events := &filterEvents{in: 1}
	events.count = uint16(copy(events.events[:], list))
	filter := &filterDescriptor{at: events, size: uint32(4 + 2*len(list)), kind: 0x80000200} // EVENT_FILTER_TYPE_EVENT_ID
	parameters := &enableParameters{version: 2, filters: filter, filterCount: 1}
	const enableProvider = 1
	status, _, _ := enableTraceEx2.Call(uintptr(s.handle), uintptr(unsafe.Pointer(&guid)), enableProvider, levelInformation,
		uintptr(keywords[p]), 0, 0, uintptr(unsafe.Pointer(parameters)))
	if errno := windows.Errno(status); errno != 0 {
		return fmt.Errorf("enable events of provider %s: %w", guid.String(), errno)
	}
	return nil
}

// read hands the events to the callback until the session is stopped.
func (s *Session) read() {
	defer close(s.done)
	status, _, _ := processTrace.Call(uintptr(unsafe.Pointer(&s.reader)), 1, 0, 0)
	select {
	case <-s.stop:
	default:
		err := fmt.Errorf("the trace has ended: %w", windows.Errno(status))
		if status == 0 {
			err = errors.New("the trace was ended by somebody")
		}
		s.failed.Store(&err)
	}
}

// flush keeps events from waiting in the system's buffers.
func (s *Session) flush() {
	t := time.NewTicker(flushEvery)
	defer t.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-s.done:
			return
		case <-t.C:
			s.control(controlFlush)
		}
	}
}

func (s *Session) control(code uintptr) *traceProperties {
	p := newProperties()
	if status, _, _ := controlTrace.Call(uintptr(s.handle), 0, uintptr(unsafe.Pointer(p)), code); status != 0 {
		return nil
	}
	return p
}

// event takes one event.
func (s *Session) event(r *eventRecord) {
	for p, guid := range guids {
		if r.provider != guid {
			continue
		}
		if e, ok := parse(p, r.descriptor.id, r.payload()); ok {
			e.Time = unixNanoseconds(r.timeStamp)
			s.take(e)
		}
	}
}

// unixNanoseconds converts a FILETIME.
func unixNanoseconds(t int64) int64 {
	f := windows.Filetime{LowDateTime: uint32(t), HighDateTime: uint32(t >> 32)}
	return f.Nanoseconds()
}

// Err says why the session has ended before its Close; nil while it runs.
func (s *Session) Err() error {
	if err := s.failed.Load(); err != nil {
		return *err
	}
	return nil
}

// Lost counts the events that were lost, as far as is known: the whole after
// Close.
func (s *Session) Lost() uint64 {
	if p := s.control(controlQuery); p != nil {
		s.lost.Store(uint64(p.eventsLost) + uint64(p.realTimeLost))
	}
	return s.lost.Load()
}

// Close ends the session. The events before it are still taken.
func (s *Session) Close() error {
	s.Lost()
	close(s.stop)
	s.tick.Wait()
	s.control(controlFlush)
	var err error
	if s.control(controlStop) == nil && s.Err() == nil {
		err = errors.New("the trace could not be stopped: logman stop -ets with its name does that, logman query -ets shows it")
	}
	select {
	case <-s.done:
	case <-time.After(endLimit):
	}
	// Fails with ERROR_CTX_CLOSE_PENDING where events are still delivered.
	_, _, _ = closeTrace.Call(uintptr(s.reader))
	select {
	case <-s.done:
	case <-time.After(endLimit):
	}
	sessions.Delete(s.id)
	return err
}

// maxTraces is how many sessions a system has at most.
const maxTraces = 64

// stopLeft stops sessions of processes that were killed.
func stopLeft() {
	if queryAllTraces.Find() != nil {
		return
	}
	list := make([]*traceProperties, maxTraces)
	for i := range list {
		list[i] = newProperties()
	}
	var n uint32
	if status, _, _ := queryAllTraces.Call(uintptr(unsafe.Pointer(unsafe.SliceData(list))), maxTraces, uintptr(unsafe.Pointer(&n))); status != 0 {
		return
	}
	for _, p := range list[:min(n, maxTraces)] {
		name := windows.UTF16ToString(p.name[:])
		if pid, ok := processOf(name); ok && !runs(pid) {
			if s, err := windows.UTF16PtrFromString(name); err == nil {
				_, _, _ = controlTrace.Call(0, uintptr(unsafe.Pointer(s)), uintptr(unsafe.Pointer(newProperties())), controlStop)
			}
		}
	}
}

// processOf reads the process from a session's name; false where it is none of
// ours.
func processOf(name string) (uint32, bool) {
	rest, ok := strings.CutPrefix(name, sessionName)
	if !ok {
		return 0, false
	}
	number, _, _ := strings.Cut(rest, ".")
	pid, err := strconv.ParseUint(number, 10, 32)
	return uint32(pid), err == nil
}

// runs reports whether a process runs this program.
func runs(pid uint32) bool {
	h, err := windows.OpenProcess(windows.PROCESS_QUERY_LIMITED_INFORMATION, false, pid)
	if err != nil {
		// One that may not be opened is there.
		return !errors.Is(err, windows.ERROR_INVALID_PARAMETER)
	}
	defer windows.CloseHandle(h)
	var code uint32
	const stillActive = 259
	if windows.GetExitCodeProcess(h, &code) == nil && code != stillActive {
		return false
	}
	buf := make([]uint16, windows.MAX_LONG_PATH)
	size := uint32(len(buf))
	own, err := os.Executable()
	if err != nil || windows.QueryFullProcessImageName(h, 0, &buf[0], &size) != nil {
		return true
	}
	return strings.EqualFold(filepath.Base(windows.UTF16ToString(buf[:size])), filepath.Base(own))
}
