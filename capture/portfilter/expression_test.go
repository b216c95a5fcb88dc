package portfilter

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// needTcpdump skips where tcpdump is not installed.
func needTcpdump(t *testing.T) {
	t.Helper()
	if _, err := lookCompiler(); err != nil {
		if os.Getenv("GOPROXYTRACE_CI") == "1" {
			t.Fatal("tcpdump is not installed, but GOPROXYTRACE_CI=1 asks for it")
		}
		t.Skip("needs tcpdump")
	}
}

// The ports as an expression mean the same to libpcap as the program does.
func TestExpressionEqualsProgram(t *testing.T) {
	needTcpdump(t)
	o := Options{Ports: []uint16{8443}}
	own, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	compiled := &Filter{}
	if compiled.ethernet, err = compile(o.Expression(linkEthernet), linkEthernet); err != nil {
		t.Fatal(err)
	}
	if compiled.raw, err = compile(o.Expression(linkRaw), linkRaw); err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		kind := uint16(etherIPv4)
		if c.packet[0]>>4 == 6 {
			kind = etherIPv6
		}
		if got, want := compiled.Match(linkRaw, c.packet), own.Match(linkRaw, c.packet); got != want {
			t.Errorf("%s on bare IP: the expression says %v, the program %v", c.name, got, want)
		}
		for _, types := range [][]uint16{{kind}, {etherVLAN, kind}, {etherSVLAN, etherVLAN, kind}} {
			frame := ethernet(c.packet, types...)
			if got, want := compiled.Match(linkEthernet, frame), own.Match(linkEthernet, frame); got != want {
				t.Errorf("%s with %d tags: the expression says %v, the program %v", c.name, len(types)-1, got, want)
			}
		}
	}
	arp := ethernet(make([]byte, 28), etherARP)
	if !compiled.Match(linkEthernet, arp) {
		t.Error("the expression leaves ARP out")
	}
}

func TestExpression(t *testing.T) {
	needTcpdump(t)
	f, err := New(Options{Ports: []uint16{8443}, Filter: "tcp dst port 9999"})
	if err != nil {
		t.Fatal(err)
	}
	if f.Text != "tcp dst port 9999" {
		t.Errorf("text %q", f.Text)
	}
	for _, c := range []struct {
		packet []byte
		want   bool
	}{{ipv4(6, 20, 0, 1, 9999), true}, {ipv4(6, 20, 0, 9999, 1), false}, {ipv4(6, 20, 0, 1, 8443), false}} {
		if f.Match(linkRaw, c.packet) != c.want || f.Match(linkEthernet, ethernet(c.packet, etherIPv4)) != c.want {
			t.Errorf("packet to %x: want %v", c.packet[20:24], c.want)
		}
	}
	// What only Ethernet has leaves bare IP packets out.
	f, err = New(Options{Filter: "ether host 02:00:00:00:00:01"})
	if err != nil {
		t.Fatal(err)
	}
	if f.Match(linkRaw, ipv4(6, 20, 0, 1, 443)) {
		t.Error("an Ethernet address matches a bare IP packet")
	}
	for _, wrong := range []string{"tcp prt 443", "-i eth0", "port 443 and"} {
		_, err := New(Options{Filter: wrong})
		var advised interface{ Hint() string }
		if !errors.As(err, &advised) || !strings.Contains(err.Error(), wrong) || !strings.Contains(advised.Hint(), "pcap-filter") {
			t.Errorf("%q: %v", wrong, err)
		}
	}
}

// Without tcpdump an expression is an error that says what to install, and
// ports work.
func TestExpressionWithoutCompiler(t *testing.T) {
	defer func(saved string) { compiler = saved }(compiler)
	compiler = filepath.Join(t.TempDir(), "tcpdump")
	_, err := New(Options{Filter: "tcp port 443"})
	var advised interface{ Hint() string }
	if !errors.As(err, &advised) || !strings.Contains(advised.Hint(), "install tcpdump") {
		t.Errorf("without tcpdump: %v", err)
	}
	if _, err := New(Options{Ports: []uint16{8443}}); err != nil {
		t.Errorf("ports without tcpdump: %v", err)
	}
}

func TestParseDecimal(t *testing.T) {
	good := "2\n40 0 0 12\n6 0 0 262144\n"
	if p, err := parseDecimal([]byte(good)); err != nil || len(p) != 2 || p[1].K != 262144 {
		t.Errorf("%v, %v", p, err)
	}
	for _, bad := range []string{"", "x\n", "0\n", "5000\n", "2\n40 0 0 12\n", "1\n40 0 0\n", "1\n6 0 0 0\n6 0 0 0\n", "1\n6 999 0 0\n"} {
		if _, err := parseDecimal([]byte(bad)); err == nil {
			t.Errorf("%q is taken for a program", bad)
		}
	}
}

// No expression can be taken for an option of the compiler.
func TestExpressionIsNoOption(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "compiler")
	if err := os.WriteFile(path, []byte("#!/bin/sh\nprintf '%s\\n' \"$@\" > '"+dir+"/arguments'\nprintf '1\\n6 0 0 1\\n'\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	if exec.Command(path).Run() != nil {
		t.Skip("needs a shell")
	}
	defer func(saved string) { compiler = saved }(compiler)
	compiler = path
	if _, err := New(Options{Filter: "-w stolen"}); err != nil {
		t.Fatal(err)
	}
	arguments, err := os.ReadFile(filepath.Join(dir, "arguments"))
	if lines := strings.Split(strings.TrimSpace(string(arguments)), "\n"); err != nil || lines[len(lines)-2] != "--" || lines[len(lines)-1] != "-w stolen" {
		t.Errorf("arguments %q, %v", arguments, err)
	}
}
