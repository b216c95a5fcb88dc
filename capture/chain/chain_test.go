package chain

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"goproxytrace/capture"
)

// fake is a capture in memory.
type fake struct {
	packets []capture.Packet
	events  int64
	end     error
	read    int
	closed  *int
}

func (f *fake) Read(b *capture.Batch) error {
	b.Packets = b.Packets[:0]
	if f.read == len(f.packets) {
		return f.end
	}
	b.Packets = append(b.Packets, f.packets[f.read])
	f.read++
	return nil
}

func (f *fake) Info() *capture.Info {
	return &capture.Info{
		Format: "pcapng", Sections: 1, Packets: int64(f.read) - f.events, Events: f.events, Bytes: int64(10 * f.read),
		Interfaces: []capture.Interface{{Name: "eth0"}}, Blocks: map[string]int64{"custom": 1}, Notes: []string{"note"},
		EventRecords: []capture.EventRecord{{Number: 1}}, Processes: []capture.Process{{PID: 7, Start: int64(len(f.packets))}},
	}
}

func (f *fake) Close() error { *f.closed++; return nil }

func (f *fake) Progress() (int64, int64) { return int64(f.read), int64(len(f.packets)) }

// ring opens fakes by name: each holds n packets from a time on.
func ring(closed *int, ends map[string]error) Opener {
	times := map[string]int64{"a": 300, "b": 100, "c": 200}
	return func(path string) (capture.Source, error) {
		if path == "missing" {
			return nil, errors.New("no such file")
		}
		f := &fake{end: io.EOF, closed: closed}
		if err := ends[path]; err != nil {
			f.end = err
		}
		if at, ok := times[path]; ok {
			// The first record carries no time, as in a file that begins
			// with an old packet or event.
			f.packets = []capture.Packet{{Number: 1}, {Number: 2, Time: at, HasTime: true, Interface: 0}, {Number: 3, Time: at + 1, HasTime: true, Interface: -1}}
		}
		return f, nil
	}
}

func readAll(s *Source) (string, error) {
	var b capture.Batch
	var out []string
	for {
		if err := s.Read(&b); err != nil {
			return strings.Join(out, " "), err
		}
		for _, p := range b.Packets {
			out = append(out, fmt.Sprintf("%d@%d/%d", p.Number, p.Time, p.Interface))
		}
	}
}

func TestChain(t *testing.T) {
	closed := 0
	s, err := Open([]string{"a", "empty", "b", "c"}, ring(&closed, nil))
	if err != nil {
		t.Fatal(err)
	}
	got, err := readAll(s)
	want := "1@0/0 2@100/0 3@101/-1 4@0/1 5@200/1 6@201/-1 7@0/2 8@300/2 9@301/-1"
	if got != want || !errors.Is(err, io.EOF) {
		t.Errorf("read %s, %v\nwant %s", got, err, want)
	}
	in := s.Info()
	if in.Packets != 9 || in.Bytes != 90 || len(in.Interfaces) != 4 || in.Interfaces[2].Section != 2 || in.Format != "pcapng" || in.Blocks["custom"] != 4 || len(in.Notes) != 1 {
		t.Errorf("Info = %+v", in)
	}
	if n := in.EventRecords[1].Number; n != 4 {
		t.Errorf("the second file's event is record %d, want 4", n)
	}
	var described []int64
	for _, p := range in.Processes {
		described = append(described, p.Start)
	}
	if want := []int64{3, 3, 3, 0}; !slices.Equal(described, want) {
		t.Errorf("processes of files with %v packets, want %v", described, want)
	}
	if read, total := s.Progress(); read != 9 || total != 9 {
		t.Errorf("progress %d of %d, want 9 of 9", read, total)
	}
	if err := s.Close(); err != nil || closed != 8 {
		t.Errorf("closed %d sources of 8: %v", closed, err)
	}
}

func TestDamageComesLast(t *testing.T) {
	closed := 0
	damage := &capture.DamageError{Offset: 77, Packet: 4, Reason: "cut"}
	s, err := Open([]string{"a", "b"}, ring(&closed, map[string]error{"b": damage}))
	if err != nil {
		t.Fatal(err)
	}
	got, err := readAll(s)
	if want := "6@301/-1"; !strings.HasSuffix(got, want) {
		t.Errorf("read %s, want the sound file too", got)
	}
	var d *capture.DamageError
	if !errors.As(err, &d) || d.Offset != 77 || d.Packet != 4 || d.Reason != "b: cut" {
		t.Errorf("error %v", err)
	}
	if damage.Reason != "cut" {
		t.Error("the source's own error was changed")
	}
}

func TestErrors(t *testing.T) {
	closed := 0
	if _, err := Open([]string{"a", "missing"}, ring(&closed, nil)); err == nil || closed != 1 {
		t.Errorf("a missing file: %v, %d closed", err, closed)
	}
	broken := errors.New("input/output error")
	opener := ring(&closed, map[string]error{"b": broken})
	s, err := Open([]string{"b", "a"}, opener)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := readAll(s); !errors.Is(err, broken) || !strings.Contains(err.Error(), "b: ") || strings.Contains(got, "300") {
		t.Errorf("read %s, %v", got, err)
	}
	closed = 0
	s, _ = Open([]string{"a"}, opener)
	var b capture.Batch
	if err := s.Read(&b); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil || closed != 2 {
		t.Errorf("closing in the middle: %v, %d closed", err, closed)
	}
	if err := s.Read(&b); !errors.Is(err, io.EOF) {
		t.Errorf("Read after Close: %v", err)
	}
}
