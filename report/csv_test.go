package report

import (
	"bytes"
	"encoding/csv"
	"slices"
	"strings"
	"testing"

	"goproxytrace/analyze/diagnose"
)

func readCSV(t *testing.T, raw []byte) [][]string {
	t.Helper()
	lines, err := csv.NewReader(bytes.NewReader(raw)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

func TestCSV(t *testing.T) {
	r := fakeResult(12, "goproxy.cn")
	defer r.Connections.Close()
	var b bytes.Buffer
	c := NewCSV(&b)
	for _, file := range []string{"a.pcapng", "b.pcapng"} {
		if err := c.Write(Build(r, Options{File: file})); err != nil {
			t.Fatal(err)
		}
	}
	lines := readCSV(t, b.Bytes())
	if len(lines) != 1+2*12 {
		t.Fatalf("%d lines, want one header and 24 connections", len(lines))
	}
	dead := lines[1+7]
	for name, want := range map[string]string{
		"capture": "a.pcapng", "id": "7", "client": "192.0.2.10:40000", "server_name": "goproxy.cn", "process.pid": "4711",
		"process.name": "go", "server_process.pid": "", "stages_ms.first_byte": "80", "stages_ms.quiet": "0", "bytes.from_server": "7654321",
		"tcp.retransmissions": "3", "tcp.handshake_rtt_ms": "20.25", "tls.alpn": "h2 http/1.1", "tls.hello_retry": "false",
		"tls.alerts":        "from=client number=48 name=unknown_ca level=2 frame=15",
		"icmp":              "from=192.0.2.1 type=3 code=4 mtu=1400 frame=16",
		"proxy.target":      "",
		"start":             "2026-03-01T12:00:00.123456789Z",
		"verdict.class":     "tls.reset",
		"verdict.place":     "network remote",
		"verdict.died":      "true",
		"target":            "false",
		"tcp.rtt_mean_ms":   "",
		"tls.ja4":           "t13d",
		"stages_ms.tls":     "45",
		"verdict.level":     "proven",
		"bytes.from_client": "1800",
	} {
		i := slices.Index(lines[0], name)
		if i < 0 {
			t.Errorf("no column %s in %q", name, lines[0])
		} else if dead[i] != want {
			t.Errorf("%s = %q, want %q", name, dead[i], want)
		}
	}
	if n := slices.Index(lines[0], "verdict.evidence"); n < 0 || !strings.Contains(dead[n], "frame.number in {17..19}") {
		t.Errorf("the evidence's filter is missing in %q", dead)
	}
	if lines[13][0] != "b.pcapng" {
		t.Errorf("the second capture's lines begin with %q", lines[13][0])
	}
}

func TestCSVIsHarmless(t *testing.T) {
	for _, name := range []string{hostile, "=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", "\t=1", "a,b\"c\nd"} {
		r := fakeResult(1, name)
		var b bytes.Buffer
		if err := NewCSV(&b).Write(Build(r, Options{File: name})); err != nil {
			t.Fatal(err)
		}
		r.Connections.Close()
		checkHarmless(t, b.Bytes(), "")
		lines := readCSV(t, b.Bytes())
		if len(lines) != 2 {
			t.Fatalf("server name %q makes %d lines", name, len(lines))
		}
		for i, cell := range lines[1] {
			if cell != "" && strings.ContainsAny(cell[:1], "=+-@") {
				t.Errorf("server name %q: column %s is a formula: %q", name, lines[0][i], cell)
			}
		}
		if got := lines[1][0]; strings.ContainsAny(name[:1], "=+-@") && got != "'"+name {
			t.Errorf("capture name %q is written %q", name, got)
		}
	}
	if got := safe("goproxy.cn=1"); got != "goproxy.cn=1" {
		t.Errorf("a harmless cell became %q", got)
	}
}

func TestClassesAreComplete(t *testing.T) {
	seen := make(map[diagnose.Class]bool)
	for _, c := range classes {
		if seen[c] {
			t.Errorf("%s is listed twice", c)
		}
		seen[c] = true
	}
	for _, c := range declaredClasses(t) {
		if !seen[c] {
			t.Errorf("%s is declared in diagnose and not listed", c)
		}
	}
}
