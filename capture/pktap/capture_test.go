//go:build unix

package pktap

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"goproxytrace/capture"
	"goproxytrace/capture/pcapfile"
	"goproxytrace/capture/portfilter"
)

// packet is an Ethernet frame of a TCP segment between two ports.
func packet(src, dst uint16) []byte {
	b := make([]byte, 54)
	b[12], b[14], b[23] = 8, 0x45, 6
	b[34], b[35], b[36], b[37] = byte(src>>8), byte(src), byte(dst>>8), byte(dst)
	return b
}

// script writes a program that behaves as tcpdump does: it says that it
// listens, writes a capture, and then does what then says.
func script(t *testing.T, ports [][2]uint16, cut int, then string) string {
	t.Helper()
	dir := t.TempDir()
	var file bytes.Buffer
	w, err := pcapfile.NewWriter(&file, pcapfile.WriterOptions{Application: "fixture"})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"en0", "utun3"} {
		if _, err := w.AddInterface(&capture.Interface{Name: name, LinkType: 1}); err != nil {
			t.Fatal(err)
		}
	}
	for i, p := range ports {
		frame := packet(p[0], p[1])
		err := w.WritePacket(&capture.Packet{
			Time: 1_700_000_000_000_000_000 + int64(i), HasTime: true, Data: frame, Length: len(frame), LinkType: 1,
			Interface: int32(i % 2), ProcessID: uint32(4000 + i), Direction: capture.Outbound, FCSLen: -1,
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	content := file.Bytes()[:file.Len()-cut]
	if err := os.WriteFile(filepath.Join(dir, "content"), content, 0o600); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "tcpdump")
	text := fmt.Sprintf("#!/bin/sh\necho \"$@\" > '%s/arguments'\n%s\n", dir, strings.ReplaceAll(then, "CONTENT", "'"+dir+"/content'"))
	if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// obedient ends on SIGINT, as tcpdump does, with its counts.
const obedient = `trap 'echo "5 packets captured" >&2; echo "9 packets received by filter" >&2; echo "2 packets dropped by kernel" >&2; exit 0' INT
echo "tcpdump: data link type PKTAP" >&2
echo "tcpdump: listening on pktap,all, link-type PKTAP (Apple DLT_PKTAP), snapshot length 524288 bytes" >&2
cat CONTENT
while :; do sleep 0.05; done`

var traffic = [][2]uint16{{50000, 443}, {50001, 9999}, {443, 50000}, {50002, 53}, {50003, 8443}}

// read collects packets until n have come or the capture ends.
func read(t *testing.T, c *Capture, n int) (packets []capture.Packet, end error) {
	t.Helper()
	var b capture.Batch
	for began := time.Now(); len(packets) < n; {
		if time.Since(began) > 10*time.Second {
			t.Fatalf("%d of %d packets after 10 s", len(packets), n)
		}
		if err := c.Read(&b); err != nil {
			return packets, err
		}
		packets = append(packets, b.Packets...)
	}
	return packets, nil
}

func TestCapture(t *testing.T) {
	program := script(t, traffic, 0, obedient)
	c, err := Open(Options{Program: program, Filter: portfilter.Options{Ports: []uint16{8443}}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	packets, err := read(t, c, 4)
	if err != nil {
		t.Fatal(err)
	}
	for i, pid := range []uint32{4000, 4002, 4003, 4004} {
		if p := packets[i]; p.ProcessID != pid || p.Number != int64(i+1) || p.Direction != capture.Outbound {
			t.Errorf("packet %d: %+v, want PID %d", i+1, p, pid)
		}
	}
	var b capture.Batch
	if err := c.Read(&b); err != nil || len(b.Packets) != 0 {
		t.Errorf("an idle Read returned %d packets, %v", len(b.Packets), err)
	}
	c.Stop()
	if _, err := read(t, c, 1); !errors.Is(err, io.EOF) {
		t.Fatalf("after Stop: %v", err)
	}
	n, info := c.Counters(), c.Info()
	if n.Received != 6 || n.Dropped != 2 || n.Delivered != 4 {
		t.Errorf("counters: %+v", n)
	}
	var sum uint64
	for _, f := range info.Interfaces {
		if *f.Received != *f.Delivered+*f.OSDropped || f.End == 0 {
			t.Errorf("interface %s: received %d, delivered %d, dropped %d", f.Name, *f.Received, *f.Delivered, *f.OSDropped)
		}
		sum += *f.Received
	}
	if sum != n.Received || info.Packets != 4 {
		t.Errorf("the interfaces received %d, in all %d; %d packets", sum, n.Received, info.Packets)
	}
	arguments, err := os.ReadFile(filepath.Join(filepath.Dir(program), "arguments"))
	if err != nil || strings.TrimSpace(string(arguments)) != "-i pktap,all -n -s 0 -U -w -" {
		t.Errorf("arguments %q, %v", arguments, err)
	}
}

// What tcpdump had taken in when it was told to stop is delivered.
func TestStopDelivers(t *testing.T) {
	c, err := Open(Options{Program: script(t, traffic, 0, strings.Replace(obedient, "cat CONTENT\n", "", 1)+"\n")})
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	late := `trap 'cat CONTENT; exit 0' INT
echo "listening on pktap,all" >&2
while :; do sleep 0.05; done`
	c, err = Open(Options{Program: script(t, traffic, 0, late), Interfaces: []string{"en0", "lo0"}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.Stop()
	c.Stop()
	packets, err := read(t, c, 99)
	if !errors.Is(err, io.EOF) || len(packets) != 3 {
		t.Errorf("%d packets, then %v", len(packets), err)
	}
}

// tcpdump may end by itself, which is no end of a capture, and it may have to
// be ended while it writes, which is.
func TestBrokenOff(t *testing.T) {
	dies := `echo "listening on pktap,all" >&2
cat CONTENT
echo "tcpdump: pcap_loop: The interface went down" >&2
exit 1`
	c, err := Open(Options{Program: script(t, traffic, 0, dies)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	packets, err := read(t, c, 99)
	if len(packets) != 3 || err == nil || errors.Is(err, io.EOF) || !strings.Contains(err.Error(), "The interface went down") {
		t.Errorf("%d packets, then %v", len(packets), err)
	}

	deaf := `trap '' INT
echo "listening on pktap,all" >&2
cat CONTENT
exec sleep 60`
	c, err = Open(Options{Program: script(t, traffic, 10, deaf)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	packets, err = read(t, c, 2)
	if len(packets) < 2 || err != nil {
		t.Fatalf("%d packets, %v", len(packets), err)
	}
	c.Stop()
	if _, err := read(t, c, 99); !errors.Is(err, io.EOF) {
		t.Errorf("after Stop: %v", err)
	}
	if notes := c.Info().Notes; len(notes) == 0 || !strings.Contains(notes[len(notes)-1], "ended while it wrote") {
		t.Errorf("notes: %q", notes)
	}
}

func TestCannotStart(t *testing.T) {
	for _, test := range []struct{ name, program, want, advice string }{
		{"no rights", script(t, nil, 0, "echo 'tcpdump: pktap,all: You do not have permission to capture on that device' >&2; exit 1"), "permission", "sudo"},
		{"not Apple's", script(t, nil, 0, "echo 'tcpdump: pktap,all: No such device exists' >&2; exit 1"), "No such device", "by hand"},
		{"absent", filepath.Join(t.TempDir(), "tcpdump"), "start ", "comes with the system"},
	} {
		c, err := Open(Options{Program: test.program})
		if err == nil {
			c.Close()
			t.Errorf("%s: it starts", test.name)
			continue
		}
		var advised interface{ Hint() string }
		if !errors.As(err, &advised) || !strings.Contains(err.Error(), test.want) || !strings.Contains(advised.Hint(), test.advice) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}
