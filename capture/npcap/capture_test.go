package npcap

import (
	"bytes"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"goproxytrace/capture"
)

// adapter plays the driver: it hands out frames, and nothing for ever after.
type adapter struct {
	mu      sync.Mutex
	frames  []frame
	link    capture.LinkType
	fail    error // after the frames, in place of silence
	dropped uint64
	closed  bool
}

type frame struct {
	at   int64
	data string
}

func (a *adapter) LinkType() capture.LinkType { return a.link }
func (a *adapter) Dropped() (uint64, error)   { return a.dropped, nil }
func (a *adapter) Close()                     { a.closed = true }

func (a *adapter) Next() ([]byte, int64, int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.frames) == 0 {
		if a.fail != nil {
			return nil, 0, 0, a.fail
		}
		time.Sleep(time.Millisecond)
		return nil, 0, 0, ErrTimeout
	}
	f := a.frames[0]
	a.frames = a.frames[1:]
	return []byte(f.data), f.at, len(f.data), nil
}

func start(t *testing.T, adapters map[string]*adapter, o Options) *Capture {
	t.Helper()
	c, err := open(o, func(a *Adapter) (Handle, error) {
		if h := adapters[a.Name]; h != nil {
			return h, nil
		}
		return nil, errors.New("access denied")
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// drain reads to the end.
func drain(t *testing.T, c *Capture) (packets []capture.Packet, end error) {
	t.Helper()
	var b capture.Batch
	for began := time.Now(); time.Since(began) < 10*time.Second; {
		if err := c.Read(&b); err != nil {
			return packets, err
		}
		for _, p := range b.Packets {
			p.Data = bytes.Clone(p.Data)
			packets = append(packets, p)
		}
	}
	t.Fatal("Read does not end")
	return nil, nil
}

func TestAdaptersMerged(t *testing.T) {
	base := time.Now().UnixNano()
	mac := "\x02\x00\x00\x00\x00\x01"
	peer := "\x02\x00\x00\x00\x00\x02"
	wifi, loop := &adapter{link: 1, dropped: 3}, &adapter{}
	for i := range 100 {
		wifi.frames = append(wifi.frames, frame{base + int64(i)*20, peer + mac + "\x08\x00"})
		loop.frames = append(loop.frames, frame{base + int64(i)*20 + 10, "\x02\x00\x00\x00E"})
	}
	wifi.frames = append(wifi.frames, frame{base + 5000, mac + peer + "\x08\x00"})
	c := start(t, map[string]*adapter{"wifi": wifi, "loop": loop}, Options{Adapters: []Adapter{
		{Name: "wifi", Label: "Wi-Fi", Hardware: net.HardwareAddr(mac)},
		{Name: "gone", Label: "VPN"},
		{Name: "loop", Loopback: true},
	}})
	c.Stop()
	packets, err := drain(t, c)
	if !errors.Is(err, io.EOF) || len(packets) != 201 {
		t.Fatalf("%d packets, then %v", len(packets), err)
	}
	if !slices.IsSortedFunc(packets, func(a, b capture.Packet) int { return int(a.Time - b.Time) }) {
		t.Error("the packets of the adapters are not in order")
	}
	for i, p := range packets {
		want := capture.Outbound
		if p.Interface == 1 {
			want = capture.DirectionUnknown
		} else if i == 200 {
			want = capture.Inbound
		}
		if p.Number != int64(i+1) || p.Direction != want || p.FCSLen != -1 || p.Loopback != (p.Interface == 1) {
			t.Errorf("packet %d: %+v", i+1, p)
		}
	}
	info, n := c.Info(), c.Counters()
	if n.Received != 204 || n.Dropped != 3 || n.Delivered != 201 {
		t.Errorf("counters: %+v", n)
	}
	for i, want := range []uint64{101, 100} {
		if f := info.Interfaces[i]; *f.Delivered != want || *f.Received != *f.Delivered+*f.OSDropped {
			t.Errorf("interface %d: received %d, delivered %d, dropped %d", i, *f.Received, *f.Delivered, *f.OSDropped)
		}
	}
	if len(info.Notes) != 1 || !strings.Contains(info.Notes[0], "VPN: access denied") {
		t.Errorf("notes: %q", info.Notes)
	}
	if err := c.Close(); err != nil || !wifi.closed || !loop.closed {
		t.Errorf("Close: %v; closed %v, %v", err, wifi.closed, loop.closed)
	}
}

func TestIdleStopsPromptly(t *testing.T) {
	c := start(t, map[string]*adapter{"wifi": {link: 1}}, Options{Adapters: []Adapter{{Name: "wifi"}}})
	defer c.Close()
	var b capture.Batch
	if err := c.Read(&b); err != nil || len(b.Packets) != 0 {
		t.Fatalf("an idle Read returned %d packets, %v", len(b.Packets), err)
	}
	began := time.Now()
	c.Stop()
	if packets, err := drain(t, c); !errors.Is(err, io.EOF) || len(packets) != 0 || time.Since(began) > time.Second {
		t.Errorf("%d packets and %v after %v", len(packets), err, time.Since(began))
	}
}

// An adapter that is pulled out leaves its packets, and the others go on.
func TestAdapterRemoved(t *testing.T) {
	removed := errors.New("the device was removed")
	base := time.Now().UnixNano()
	usb, wifi := &adapter{fail: removed, frames: []frame{{base, "a"}}}, &adapter{}
	c := start(t, map[string]*adapter{"usb": usb, "wifi": wifi}, Options{Adapters: []Adapter{{Name: "usb", Label: "USB"}, {Name: "wifi"}}})
	defer c.Close()
	time.Sleep(20 * time.Millisecond)
	wifi.mu.Lock()
	wifi.frames = append(wifi.frames, frame{time.Now().UnixNano(), "b"})
	wifi.mu.Unlock()
	time.Sleep(20 * time.Millisecond)
	c.Stop()
	packets, err := drain(t, c)
	if !errors.Is(err, io.EOF) || len(packets) != 2 || string(packets[1].Data) != "b" {
		t.Fatalf("%d packets, then %v", len(packets), err)
	}
	if notes := c.Info().Notes; len(notes) != 1 || !strings.Contains(notes[0], "USB: the capture broke off: the device was removed") {
		t.Errorf("notes: %q", notes)
	}

	alone := start(t, map[string]*adapter{"usb": {fail: removed, frames: []frame{{base, "a"}}}}, Options{Adapters: []Adapter{{Name: "usb", Label: "USB"}}})
	defer alone.Close()
	if packets, err := drain(t, alone); !errors.Is(err, removed) || len(packets) != 1 {
		t.Errorf("the only adapter: %d packets, then %v", len(packets), err)
	}
}

// stuck never returns from a read, as some drivers do where nothing comes.
type stuck struct{ *adapter }

func (stuck) Next() ([]byte, int64, int, error) { select {} }

func TestStuckDriver(t *testing.T) {
	usable := &adapter{frames: []frame{{time.Now().UnixNano(), "a"}}}
	c, err := open(Options{Adapters: []Adapter{{Name: "stuck", Label: "VPN"}, {Name: "usable"}}}, func(a *Adapter) (Handle, error) {
		if a.Name == "stuck" {
			return stuck{&adapter{}}, nil
		}
		return usable, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	c.Stop()
	packets, err := drain(t, c)
	if !errors.Is(err, io.EOF) || len(packets) != 1 {
		t.Errorf("%d packets, then %v", len(packets), err)
	}
	if notes := c.Info().Notes; len(notes) != 1 || !strings.Contains(notes[0], "VPN: the capture broke off: the driver does not return") {
		t.Errorf("notes: %q", notes)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

// Close does not wait for a reader that went away while its queue was full.
func TestCloseWithFullQueue(t *testing.T) {
	a := &adapter{}
	big := strings.Repeat("x", 1<<20)
	for i := range 40 {
		a.frames = append(a.frames, frame{int64(i), big})
	}
	c := start(t, map[string]*adapter{"wifi": a}, Options{Adapters: []Adapter{{Name: "wifi"}}})
	time.Sleep(50 * time.Millisecond)
	done := make(chan error, 1)
	go func() { done <- c.Close() }()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("Close hangs")
	}
}

func TestAdvice(t *testing.T) {
	for _, test := range []struct {
		state state
		want  string
	}{
		{state{}, "Install Npcap"},
		{state{loaded: true, version: "WinPcap version 4.1.3, based on libpcap version 1.0"}, "Uninstall it and install Npcap"},
		{state{loaded: true, version: "Npcap version 1.79, based on libpcap", adminOnly: true}, "administrators only"},
		{state{loaded: true, version: "Npcap version 1.79, based on libpcap", adminOnly: true, elevated: true}, "net start npcap"},
		{state{loaded: true, version: "Npcap version 1.79, based on libpcap"}, "started as administrator"},
	} {
		if got := test.state.advice(); !strings.Contains(got, test.want) {
			t.Errorf("%+v: %q does not say %q", test.state, got, test.want)
		}
	}
}
