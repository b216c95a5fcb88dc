package live

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"goproxytrace/capture/hostlog"
)

// stage is a host with processes and sockets that a test moves.
type stage struct {
	now       time.Time
	processes []hostlog.Process
	sockets   []hostlog.Socket
	records   []hostlog.Record
	fail      error
	tree      Tree
}

func (s *stage) attach(pids ...uint32) *Attach {
	s.now = time.Unix(1_700_000_000, 0)
	list := func() ([]hostlog.Process, error) { return s.processes, s.fail }
	return NewAttach(AttachOptions{
		PIDs: pids, Record: func(r hostlog.Record) { s.records = append(s.records, r) }, Tree: &s.tree, Now: func() time.Time { return s.now },
		Found: Found{
			GoProcesses: list,
			Family:      func([]uint32) ([]hostlog.Process, error) { return list() },
			Sockets: func([]uint32) ([]hostlog.Socket, error) {
				out := slices.Clone(s.sockets)
				for i := range out {
					out[i].Time = s.now.UnixNano()
				}
				return out, nil
			},
		},
	})
}

// run looks once a second until the watch has ended, at most limit seconds.
func (s *stage) run(a *Attach, limit int, each func(second int)) (Reason, int) {
	for i := range limit {
		if each != nil {
			each(i)
		}
		a.Look(i + 1)
		if r, done := a.enough(); done {
			a.last()
			return r, i
		}
		s.now = s.now.Add(time.Second)
	}
	return "", limit
}

func number[T any](n T) *T { return &n }

func tcpSocket(port uint16) hostlog.Socket {
	return hostlog.Socket{
		PID: 7, Local: netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), port), Remote: netip.MustParseAddrPort("198.51.100.1:443"),
		State: "ESTABLISHED", BytesAcked: number(uint64(1500)), BytesReceived: number(uint64(0)), LastAckReceived: number(uint32(20_000)),
		LastDataReceived: number(uint32(20_000)),
	}
}

func (s *stage) count() (processes, sockets int) {
	for _, r := range s.records {
		switch r.(type) {
		case *hostlog.Process:
			processes++
		case *hostlog.Socket:
			sockets++
		}
	}
	return processes, sockets
}

// age makes acknowledgements a second older, or answers a keep-alive.
func (s *stage) age(answer ...int) {
	for i := range s.sockets {
		k := &s.sockets[i]
		if k.LastAckReceived = number(*k.LastAckReceived + 1000); slices.Contains(answer, i) {
			k.LastAckReceived = number(uint32(40))
		}
	}
}

func TestSilence(t *testing.T) {
	s := &stage{processes: []hostlog.Process{{PID: 7, Name: "go"}}, sockets: []hostlog.Socket{tcpSocket(1)}}
	r, after := s.run(s.attach(), 100, func(int) { s.age() })
	if r != SilenceOver || after != 35 {
		t.Errorf("%q after %d s", r, after)
	}
	// Of a state that does not change, the first and the last are kept.
	if p, k := s.count(); p != 1 || k != 2 {
		t.Errorf("%d processes and %d sockets recorded", p, k)
	}
	if !s.tree.Has(7) {
		t.Error("the process is none of the session's")
	}
}

func TestKeepAlive(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(s *stage, second int)
		reason Reason
		after  int
	}{
		{"answered by all", func(s *stage, i int) {
			if i == 9 {
				s.age(0, 1)
			} else {
				s.age()
			}
		}, KeptAlive, 9},
		{"answered by one", func(s *stage, i int) {
			if i == 9 {
				s.age(0)
			} else {
				s.age()
			}
		}, SilenceOver, 35},
		// An answer within seconds of data may be to that data.
		{"too early", func(s *stage, i int) {
			if i == 2 {
				s.age(0, 1)
			} else {
				s.age()
			}
		}, KeptAlive, 6},
		{"progress meanwhile", func(s *stage, i int) {
			s.age()
			if i == 20 {
				s.sockets[0].BytesReceived = number(uint64(9000))
				s.age(0)
			}
		}, SilenceOver, 55},
		{"in flight", func(s *stage, i int) {
			s.age()
			s.sockets[0].Unacked = 1
			s.age(0, 1)
		}, SilenceOver, 35},
		{"not established", func(s *stage, i int) {
			s.sockets[1].State = "SYN-SENT"
			s.age(0, 1)
		}, SilenceOver, 35},
		{"kernel does not say", func(s *stage, i int) {
			for j := range s.sockets {
				s.sockets[j].LastAckReceived, s.sockets[j].BytesAcked = nil, nil
			}
		}, SilenceOver, 35},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := &stage{processes: []hostlog.Process{{PID: 7, Name: "go"}}, sockets: []hostlog.Socket{tcpSocket(1), tcpSocket(2)}}
			r, after := s.run(s.attach(), 100, func(i int) { tt.change(s, i) })
			if r != tt.reason || after != tt.after {
				t.Errorf("%q after %d s, want %q after %d s", r, after, tt.reason, tt.after)
			}
		})
	}
}

// Each change of a socket is recorded, and the state in which it went.
func TestChangesAreRecorded(t *testing.T) {
	s := &stage{processes: []hostlog.Process{{PID: 7}}, sockets: []hostlog.Socket{tcpSocket(1)}}
	s.run(s.attach(), 8, func(i int) {
		switch i {
		case 2:
			s.sockets[0].Unread = 100
		case 4:
			s.sockets[0].State = "CLOSE-WAIT"
		case 6:
			s.sockets = nil
		}
	})
	var states []string
	for _, r := range s.records {
		if k, ok := r.(*hostlog.Socket); ok {
			states = append(states, k.State)
		}
	}
	if want := "ESTABLISHED ESTABLISHED CLOSE-WAIT CLOSE-WAIT"; strings.Join(states, " ") != want {
		t.Errorf("states %q, want %q", states, want)
	}
}

func TestProcessesEnd(t *testing.T) {
	s := &stage{processes: []hostlog.Process{{PID: 7}}}
	if r, after := s.run(s.attach(7), 100, func(i int) {
		if i == 3 {
			s.processes = nil
		}
	}); r != ProcessesOver || after != 3 {
		t.Errorf("%q after %d s", r, after)
	}
	// The same PID with another start is another process.
	s = &stage{processes: []hostlog.Process{{PID: 7, Start: 1}}}
	s.run(s.attach(7), 4, func(i int) {
		if i == 2 {
			s.processes[0].Start = 2
		}
	})
	if p, _ := s.count(); p != 2 {
		t.Errorf("%d processes recorded", p)
	}
}

// A watch that begins without a go command waits for one, and its user ends
// it.
func TestNothingToWatchYet(t *testing.T) {
	s := &stage{}
	a := s.attach()
	if r, _ := s.run(a, 50, nil); r != "" {
		t.Errorf("ended: %q", r)
	}
	if text, _, _ := a.State(); !strings.Contains(text, "waiting for a go command") {
		t.Errorf("state %q", text)
	}
	s.processes = []hostlog.Process{{PID: 9, Name: "go"}}
	a.Look(51)
	s.processes = nil
	a.Look(52)
	if r, done := a.enough(); done {
		t.Errorf("ended: %q", r)
	}
	if p, _ := s.count(); p != 1 {
		t.Errorf("%d processes recorded", p)
	}
}

func TestDuration(t *testing.T) {
	s := &stage{processes: []hostlog.Process{{PID: 7}}}
	a := s.attach()
	a.o.Duration = 50 * time.Second
	if r, after := s.run(a, 100, nil); r != DurationOver || after != 50 {
		t.Errorf("%q after %d s", r, after)
	}
}

// The duration ends the watch at its time, also between two looks.
func TestDurationBetweenLooks(t *testing.T) {
	for _, d := range []time.Duration{300 * time.Millisecond, time.Second, 8 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			looks := 0
			a := NewAttach(AttachOptions{
				Found: Found{GoProcesses: func() ([]hostlog.Process, error) {
					looks++
					time.Sleep(40 * time.Millisecond) // so that the next is 5 s away
					return nil, nil
				}},
				Duration: d, Record: func(hostlog.Record) {}, Tree: &Tree{},
			})
			begin := time.Now()
			r := a.Run(t.Context())
			took := time.Since(begin)
			if r != DurationOver || took < d || took > d+50*time.Millisecond || looks > 4 {
				t.Errorf("%v: %q after %v and %d looks", d, r, took, looks)
			}
		})
	}
}

// A look that fails is no end of the processes.
func TestLookFails(t *testing.T) {
	s := &stage{processes: []hostlog.Process{{PID: 7}}}
	a := s.attach()
	if r, _ := s.run(a, 5, func(i int) {
		if i == 2 {
			s.processes, s.fail = nil, errors.New("permission denied")
		}
	}); r != "" || a.Err() == nil {
		t.Errorf("ended: %q, error %v", r, a.Err())
	}
}

// A watch costs little, also where looking at all processes takes long.
func TestRest(t *testing.T) {
	for took, want := range map[time.Duration]time.Duration{
		0: time.Second, 2 * time.Millisecond: time.Second, 6 * time.Millisecond: 3 * time.Second, time.Second: 5 * time.Second,
	} {
		if got := rest(took); got != want {
			t.Errorf("after a look of %v: %v, want %v", took, got, want)
		}
	}
}

func TestInterruptedWatch(t *testing.T) {
	s := &stage{processes: []hostlog.Process{{PID: 7}}, sockets: []hostlog.Socket{tcpSocket(1)}}
	a := s.attach()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if r := a.Run(ctx); r != Interrupted {
		t.Errorf("%q", r)
	}
	if _, k := s.count(); k != 2 {
		t.Errorf("%d sockets recorded, want the first state and the last", k)
	}
}

// A system that does not count a socket's bytes leaves it to the wire to say
// that something moves; one that does is believed.
func TestMovesOnTheWire(t *testing.T) {
	for _, tt := range []struct {
		name    string
		counted bool
		want    int // second of the end
	}{{"not counted", false, 55}, {"counted", true, 35}} {
		t.Run(tt.name, func(t *testing.T) {
			s := &stage{processes: []hostlog.Process{{PID: 7, Name: "go"}}, sockets: []hostlog.Socket{tcpSocket(1)}}
			if !tt.counted {
				s.sockets[0].BytesAcked, s.sockets[0].BytesReceived, s.sockets[0].LastAckReceived = nil, nil, nil
			}
			a := s.attach(7)
			var moved time.Time
			a.o.Moved = func() time.Time { return moved }
			reason, at := s.run(a, 90, func(second int) {
				if second <= 20 {
					moved = s.now
				}
				if tt.counted {
					s.age()
				}
			})
			if reason != SilenceOver || at != tt.want {
				t.Errorf("%q in second %d, want %q in second %d", reason, at, SilenceOver, tt.want)
			}
		})
	}
}
