package hostevents

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"goproxytrace/capture/hostlog"
)

// packetText is what nf_log_syslog.c writes of a TCP segment.
const packetText = `IN= OUT=eth0 SRC=192.0.2.2 DST=203.0.113.9 LEN=60 TOS=0x00 PREC=0x00 TTL=64 ID=54321 DF PROTO=TCP SPT=40000 DPT=443 WINDOW=64240 RES=0x00 SYN URGP=0`

const (
	exported = "__CURSOR=s=1;i=2\n__REALTIME_TIMESTAMP=1700000000123456\n_TRANSPORT=kernel\nSYSLOG_IDENTIFIER=kernel\nMESSAGE=egress: " + packetText + "\n\n"
	jsonLine = `{"__REALTIME_TIMESTAMP":"1700000000123456","_TRANSPORT":"kernel","MESSAGE":"egress: ` + packetText + `"}` + "\n"
	ufwLine  = "2023-11-14T22:13:20.123456+00:00 host kernel: [12345.678901] [UFW BLOCK] " + packetText + "\n"
)

func packetBlock(action hostlog.Action, rule string) *hostlog.Block {
	return &hostlog.Block{
		Time: 1700000000123456000, Action: action, Local: ap("192.0.2.2:40000"), Remote: ap("203.0.113.9:443"),
		Origin: "kernel log", Rule: rule, Segment: hostlog.SegmentSYN, Layer: "netfilter output",
	}
}

func TestKernelLines(t *testing.T) {
	binaryField := "__CURSOR=x\n__REALTIME_TIMESTAMP=1700000000123456\n_TRANSPORT=kernel\nMESSAGE\n" +
		string(binary.LittleEndian.AppendUint64(nil, uint64(len("egress: "+packetText)))) + "egress: " + packetText + "\n"
	logged := packetBlock(hostlog.Logged, `log prefix "egress:"`)
	for name, c := range map[string]struct {
		text string
		want *hostlog.Block
	}{
		"journal export":        {exported, logged},
		"a binary field":        {binaryField, logged},
		"journal JSON":          {jsonLine, logged},
		"bytes in JSON":         {strings.Replace(jsonLine, `"egress: `+packetText+`"`, jsonBytes("egress: "+packetText), 1), logged},
		"rsyslog":               {ufwLine, packetBlock(hostlog.Blocked, `log prefix "[UFW BLOCK]"`)},
		"dmesg with ISO time":   {"2023-11-14T22:13:20,123456+00:00 " + packetText + "\n", packetBlock(hostlog.Logged, "")},
		"what ufw only noted":   {strings.Replace(ufwLine, "UFW BLOCK", "UFW AUDIT", 1), packetBlock(hostlog.Logged, `log prefix "[UFW AUDIT]"`)},
		"a prefix that says so": {strings.Replace(ufwLine, "[UFW BLOCK]", "DROP", 1), packetBlock(hostlog.Logged, `log prefix "DROP"`)},
	} {
		if diff := cmp.Diff([]hostlog.Record{c.want}, read(t, c.text), sameAddr); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	in := strings.NewReplacer("IN= OUT=eth0", "IN=eth0 OUT= MAC=00:01", "SRC=192.0.2.2 DST=203.0.113.9", "SRC=203.0.113.9 DST=192.0.2.2", "SPT=40000 DPT=443", "SPT=443 DPT=40000").Replace(exported)
	if b := blocksIn(read(t, in)); len(b) != 1 || !b[0].Inbound || b[0].Local != ap("192.0.2.2:40000") || b[0].Layer != "netfilter input" {
		t.Errorf("of an incoming segment: %+v", b)
	}
	// The look-alikes: a program that writes what the kernel would; a segment
	// that is forwarded; another protocol; a line without a year.
	for _, s := range []string{
		strings.Replace(exported, "_TRANSPORT=kernel", "_TRANSPORT=syslog", 1),
		strings.Replace(ufwLine, "kernel:", "logger:", 1),
		strings.Replace(ufwLine, "host kernel:", "host sh[1]: x kernel:", 1),
		strings.Replace(exported, "IN= OUT", "IN=br0 OUT", 1),
		strings.Replace(exported, "PROTO=TCP", "PROTO=UDP", 1),
		"Nov 14 22:13:20 host kernel: " + packetText + "\n",
	} {
		var l Log
		_ = l.Add(strings.NewReader(s))
		if got := l.Records(); len(got) > 0 {
			t.Errorf("%.60q: %v", s, got)
		}
	}
}

func jsonBytes(s string) string {
	var b strings.Builder
	for i := range len(s) {
		fmt.Fprintf(&b, ",%d", s[i])
	}
	return "[" + b.String()[1:] + "]"
}

// TestOwnEntries wants goproxytrace's own records back from an exported journal.
func TestOwnEntries(t *testing.T) {
	want := &hostlog.Attempt{Time: 5, PID: 7, Remote: ap("203.0.113.9:443"), Error: "EPERM", Source: hostlog.KernelEvent}
	s := "__REALTIME_TIMESTAMP=1\n"
	for name, v := range hostlog.Fields(want) {
		s += name + "=" + v + "\n"
	}
	if diff := cmp.Diff([]hostlog.Record{want}, read(t, s), sameAddr); diff != "" {
		t.Error(diff)
	}
}

func TestHostileJournal(t *testing.T) {
	long := "__REALTIME_TIMESTAMP=1\nMESSAGE=" + strings.Repeat("x", 1<<20) + "\n\n" + exported
	if got := read(t, long); len(got) != 1 {
		t.Errorf("behind a long line: %v", got)
	}
	for name, s := range map[string]string{
		"a field longer than the file": exported + "MESSAGE\n" + string(binary.LittleEndian.AppendUint64(nil, 1<<62)) + "x",
		"a field without length":       exported + "MESSAGE\nabc",
		"JSON that is none":            jsonLine + "{\"a\":\n",
		"a line without end":           jsonLine + strings.Repeat("x", 4<<20),
	} {
		var l Log
		if err := l.Add(strings.NewReader(s)); err == nil {
			t.Errorf("%s: no error", name)
		}
		if got := l.Records(); len(got) != 1 {
			t.Errorf("%s: %v, want the record before", name, got)
		}
	}
}

// TestLoggedSegments holds what the flags of a logged packet say of it: what a
// filter drops of a connection that is over is no attempt to connect.
func TestLoggedSegments(t *testing.T) {
	for flags, want := range map[string]hostlog.Segment{
		"LEN=60 RES=0x00 SYN":         hostlog.SegmentSYN,
		"LEN=60 RES=0x00 ACK SYN":     hostlog.SegmentSYNACK,
		"LEN=52 RES=0x00 ACK FIN":     hostlog.SegmentOther,
		"LEN=40 RES=0x00 RST":         hostlog.SegmentOther,
		"LEN=1500 RES=0x00 ACK":       hostlog.SegmentData,
		"LEN=76 RES=0x00 ACK PSH":     hostlog.SegmentData,
		"LEN=76 RES=0x00 ACK PSH FIN": hostlog.SegmentData,
		"LEN=52 RES=0x00 ACK":         "",
	} {
		var l Log
		l.packetLine(1, "[UFW BLOCK] IN=eth0 OUT= MAC=02 SRC=203.0.113.9 DST=192.0.2.10 PROTO=TCP SPT=443 DPT=40000 WINDOW=501 "+flags+" URGP=0")
		if b := blocksIn(l.Records()); len(b) != 1 || b[0].Segment != want || !b[0].Inbound {
			t.Errorf("%s: %+v, want %q", flags, b, want)
		}
	}
}
