package main

import (
	"bytes"
	"crypto/tls"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"goproxytrace/capture"
	"goproxytrace/capture/pcapfile"
	"goproxytrace/internal/packets"
	"goproxytrace/internal/terminal"
)

// hostileName stands where a server name should.
const hostileName = "evil\x1b[31m\x1b]0;title\x07\u202e\u2066\u0085\x7f\u200b\u2028\xff<script>&=.example"

// clientHello records what crypto/tls sends for a server name.
func clientHello(t *testing.T, name string) []byte {
	t.Helper()
	client, server := net.Pipe()
	defer server.Close()
	go func() {
		_ = tls.Client(client, &tls.Config{ServerName: name, InsecureSkipVerify: true}).Handshake()
	}()
	b := make([]byte, 16<<10)
	if err := server.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	n, err := server.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	return b[:n]
}

// question is a DNS query for name, whose labels are given by dots.
func question(name string) []byte {
	b := []byte{0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0}
	for l := range strings.SplitSeq(name, ".") {
		b = append(b, byte(len(l)))
		b = append(b, l...)
	}
	return append(b, 0, 0, 1, 0, 1)
}

func writeHostileCapture(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w, err := pcapfile.NewWriter(f, pcapfile.WriterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.AddInterface(&capture.Interface{Name: "eth0" + hostileName, LinkType: 1, Filter: hostileName}); err != nil {
		t.Fatal(err)
	}
	hello := clientHello(t, hostileName)
	toServer := packets.TCP("192.0.2.10:40000", "198.51.100.1:443")
	fromServer := toServer.Reply()
	query := packets.UDP("192.0.2.10:40001", "192.0.2.53:53").Payload(question(hostileName))
	nxdomain := question(hostileName)
	nxdomain[2], nxdomain[3] = 0x81, 0x83
	end := uint32(1001 + len(hello))
	for i, p := range []*packets.Packet{
		query,
		query.Reply().Payload(nxdomain),
		toServer.Clone().Flags(packets.SYN).Seq(1000).MSS(1460),
		fromServer.Clone().Flags(packets.SYN).Seq(5000).Ack(1001).MSS(1460),
		toServer.Clone().Seq(1001).Ack(5001),
		toServer.Clone().Seq(1001).Ack(5001).Payload(hello),
		fromServer.Clone().Seq(5001).Ack(end),
		fromServer.Clone().Flags(packets.RST).Seq(5001).Ack(end),
	} {
		b := p.Ethernet()
		if err := w.WritePacket(&capture.Packet{
			Number: int64(i + 1), Time: 1_700_000_000e9 + int64(i)*20e6, HasTime: true, Data: b, Length: len(b),
			LinkType: 1, FCSLen: -1, Comment: hostileName,
		}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
}

// Whatever a capture holds, nothing of it reaches a terminal, a browser or a
// spreadsheet unescaped.
func TestHostileNames(t *testing.T) {
	program, dir := program(t), t.TempDir()
	writeHostileCapture(t, filepath.Join(dir, "case.pcapng"))
	for _, args := range [][]string{
		{"case.pcapng"}, {"--lang=zh", "case.pcapng"}, {"--json", "case.pcapng"}, {"--markdown", "--no-redact", "case.pcapng"}, {"--connections=-", "case.pcapng"}, {"--frames", "case.pcapng"},
		{"--host", "evil\x1b[31m", "case.pcapng"}, {"--fail-on", "evil\x1b[31m\u202e", "case.pcapng"}, {"\x1b[31m\u202e.pcapng"},
	} {
		cmd := exec.Command(program, append([]string{"analyze"}, args...)...)
		cmd.Dir, cmd.Env = dir, testEnv()
		out, _ := cmd.CombinedOutput() // some of these fail, and say so
		if len(out) == 0 {
			t.Errorf("%q prints nothing", args)
		}
		frames := args[0] == "--frames"
		for i, r := range string(out) {
			ok := terminal.Harmless(r) || r == '\n' || frames && r == '\t'
			if !ok || r == '\ufffd' {
				t.Errorf("%q prints %U: %q", args, r, out[max(0, i-40):min(len(out), i+10)])
				break
			}
		}
		switch args[0] {
		case "--json":
			if bytes.ContainsAny(out, "<>&") {
				t.Error("JSON holds <, > or &")
			}
		case "--host", "--fail-on", "\x1b[31m\u202e.pcapng":
			continue
		}
		if !bytes.Contains(out, []byte("evil")) {
			t.Errorf("%q does not show the name at all:\n%s", args, out)
		}
	}
}
