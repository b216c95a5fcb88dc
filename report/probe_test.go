package report

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
	"time"

	"goproxytrace/analyze/diagnose"
	"goproxytrace/internal/terminal"
	"goproxytrace/probe"
	"goproxytrace/report/messages"
)

// insulting is what a far end may say: escapes, bidirectional controls, markup.
const insulting = "bad\x1b[31m\u202e<script>\nnew line"

// tried are attempts on a host whose name is blocked and one that passes.
func tried() (probe.Options, []*probe.Attempt) {
	o := probe.Options{Targets: []probe.Target{{Host: "proxy.example", Port: 443}, {Host: "second.example", Port: 443}}}
	at := time.Date(2026, 11, 28, 20, 0, 0, 0, time.UTC)
	var all []*probe.Attempt
	add := func(host, address string, arm probe.Arm, end probe.End, shadowed bool) *probe.Attempt {
		a := &probe.Attempt{
			Lane: probe.Lane{Host: host, Port: 443, Address: netip.MustParseAddr(address)}, Arm: arm, Begin: at, Ended: at.Add(time.Second),
			Remote: netip.MustParseAddrPort(address + ":443"), Local: netip.MustParseAddrPort("192.0.2.7:40000"),
			Stage: diagnose.StageDone, End: end, Class: diagnose.OK, ByPackets: true, Shadowed: shadowed,
		}
		if end != probe.Passed {
			a.Stage, a.Class, a.Detail, a.Level, a.Place = diagnose.StageTLS, diagnose.TLSReset, insulting, diagnose.Suggested, []diagnose.Place{diagnose.Network}
		}
		at = at.Add(3 * time.Second)
		all = append(all, a)
		return a
	}
	for range 2 {
		add("proxy.example", "203.0.113.10", probe.Default, probe.Reset, false)
		add("proxy.example", "203.0.113.10", probe.NoMLKEM, probe.Reset, true)
		add("proxy.example", "203.0.113.10", probe.OtherName, probe.Passed, false)
		add("proxy.example", "203.0.113.10", probe.NoMLKEM, probe.Reset, false)
		a := add("second.example", "203.0.113.12", probe.Default, probe.Passed, false)
		a.HTTP, a.Location, a.Chain = 302, "https://"+insulting, []probe.Certified{{Issuer: "CN=" + insulting, Public: true}}
	}
	return o, all
}

func probeDocument(l messages.Language) *Probe {
	o, all := tried()
	return BuildProbe(probe.Judge(o, all), all, ProbeOptions{Version: "v1", Language: l, Platform: diagnose.Linux, Captured: true})
}

func TestProbeText(t *testing.T) {
	for _, l := range messages.Languages {
		for _, columns := range []int{40, 80, 120} {
			var b bytes.Buffer
			if err := WriteProbeText(&b, probeDocument(l), terminal.Output{Columns: columns}); err != nil {
				t.Fatal(err)
			}
			text := b.String()
			for _, bad := range []string{"\x1b", "\u202e", "<script>\n"} {
				if strings.Contains(text, bad) {
					t.Errorf("%s, %d columns: %q reaches the terminal", l, columns, bad)
				}
			}
			for _, want := range []string{"proxy.example", "second.example", "203.0.113.10", "tls.reset", "name", "203.0.113.12"} {
				if !strings.Contains(text, want) {
					t.Errorf("%s, %d columns: %q is missing:\n%s", l, columns, want, text)
				}
			}
			for line := range strings.Lines(text) {
				// Words that are for copying stay whole.
				if w := terminal.Width(strings.TrimRight(line, "\n")); w > columns && strings.Count(strings.TrimSpace(line), " ") > 1 && columns > 40 {
					t.Errorf("%s, %d columns: %d wide: %q", l, columns, w, line)
				}
			}
		}
	}
}

func TestProbeJSON(t *testing.T) {
	d := probeDocument(messages.English)
	var b bytes.Buffer
	if err := WriteProbeJSON(&b, d); err != nil {
		t.Fatal(err)
	}
	if bytes.ContainsAny(b.Bytes(), "\x1b") || strings.Contains(b.String(), "\u202e") {
		t.Error("control characters are in the file as they are")
	}
	var back Probe
	if err := json.Unmarshal(b.Bytes(), &back); err != nil {
		t.Fatal(err)
	}
	v := &back.Verdict
	if back.Schema != ProbeSchema || v.Cause != "name" || v.Class != "tls.reset" || v.Level != "strongly-suggested" || strings.Join(v.Place, " ") != "network" {
		t.Errorf("%+v", v)
	}
	if len(back.Hosts) != 2 || len(back.Attempts) != 10 || back.Hosts[1].Matrix[0].Location == "" {
		t.Errorf("%d hosts, %d attempts", len(back.Hosts), len(back.Attempts))
	}
	for _, c := range back.Hosts[0].Matrix {
		if c.Arm == "no-mlkem" && (c.Died != 2 || c.Shadowed != 2) {
			t.Errorf("%+v", c)
		}
	}
}

// --fail-on takes the class of any host; a host that passed holds for none.
func TestProbeFailOn(t *testing.T) {
	d := probeDocument(messages.English)
	for list, want := range map[string]bool{"any": true, "tls.*": true, "tls.reset": true, "dns.*": false} {
		s, err := ParseClasses(list)
		if err != nil {
			t.Fatal(err)
		}
		if s.HoldsProbe(d) != want {
			t.Errorf("%s: %v", list, !want)
		}
	}
	d.Hosts = d.Hosts[1:]
	if s, _ := ParseClasses("any"); s.HoldsProbe(d) {
		t.Error("a host that passed is a death")
	}
}
