package pktmon

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"goproxytrace/capture"
	"goproxytrace/capture/pcapfile"
	"goproxytrace/capture/pktmon/pktmontest"
	"goproxytrace/capture/portfilter"
)

// TestMain makes the test binary pktmon where the variable says so.
func TestMain(m *testing.M) {
	if os.Getenv(pktmontest.Variable) != "" {
		os.Exit(pktmontest.Main(os.Args[1:], os.Stdout))
	}
	os.Exit(m.Run())
}

var (
	host = net.HardwareAddr{2, 0, 0, 0, 0, 1}
	peer = net.HardwareAddr{2, 0, 0, 0, 0, 2}
)

// ip is an IPv4 packet of a TCP segment between two ports.
func ip(src, dst uint16) []byte {
	b := make([]byte, 40)
	b[0], b[3], b[9] = 0x45, 40, 6
	b[20], b[21], b[22], b[23] = byte(src>>8), byte(src), byte(dst>>8), byte(dst)
	return b
}

func ethernet(from, to net.HardwareAddr, packet []byte) []byte {
	return slices.Concat(to, from, []byte{8, 0}, packet)
}

// wifi is an 802.11 data frame to the access point, with QoS.
func wifi(packet []byte) []byte {
	header := make([]byte, 26)
	header[0], header[1] = 0x88, 0x01
	return slices.Concat(header, []byte{0xaa, 0xaa, 3, 0, 0, 0, 8, 0}, packet)
}

// traffic has what a host sends and gets over HTTPS, and something of a port
// that nobody asked for.
var traffic = [][]byte{
	ethernet(host, peer, ip(50000, 443)), ethernet(peer, host, ip(443, 50000)), ethernet(host, peer, ip(50001, 9999)),
	wifi(ip(50002, 443)), ip(50003, 8443),
}

// machine is a Windows with a pktmon.
type machine struct {
	t          *testing.T
	state, tmp string
	program    string
}

func newMachine(t *testing.T, frames [][]byte, behaviour ...string) *machine {
	t.Helper()
	m := &machine{t: t, state: t.TempDir(), tmp: t.TempDir()}
	var err error
	if m.program, err = os.Executable(); err != nil {
		t.Fatal(err)
	}
	t.Setenv(pktmontest.Variable, m.state)
	f, err := os.Create(filepath.Join(m.state, pktmontest.Source))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w, err := pcapfile.NewWriter(f, pcapfile.WriterOptions{})
	if err == nil {
		_, err = w.AddInterface(&capture.Interface{LinkType: 1})
	}
	for i, b := range frames {
		if err == nil {
			err = w.WritePacket(&capture.Packet{Time: 1_700_000_000_000_000_000 + int64(i)*1e6, HasTime: true, Data: b, Length: len(b), LinkType: 1, FCSLen: -1})
		}
	}
	if err == nil {
		err = w.Flush()
	}
	if err != nil {
		t.Fatal(err)
	}
	m.write(pktmontest.Behaviour, strings.Join(behaviour, " "))
	return m
}

func (m *machine) write(name, text string) {
	m.t.Helper()
	if err := os.WriteFile(filepath.Join(m.state, name), []byte(text), 0o600); err != nil {
		m.t.Fatal(err)
	}
}

func (m *machine) read(name string) string {
	b, err := os.ReadFile(filepath.Join(m.state, name))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		m.t.Fatal(err)
	}
	return string(b)
}

func (m *machine) options() Options {
	return Options{Program: m.program, Dir: m.tmp, Hardware: []net.HardwareAddr{host}, Filter: portfilter.Options{Ports: []uint16{8443}}}
}

func (m *machine) open() *Capture {
	m.t.Helper()
	c, err := Open(m.options())
	if err != nil {
		m.t.Fatal(err)
	}
	return c
}

// left fails where pktmon still captures or has filters, or traces lie about.
func (m *machine) left() {
	m.t.Helper()
	if s := m.read("session"); s != "" {
		m.t.Errorf("pktmon still captures: %s", s)
	}
	if f := m.read("filters"); f != "" {
		m.t.Errorf("filters are left: %s", f)
	}
	if entries, err := os.ReadDir(m.tmp); err != nil || len(entries) > 0 {
		m.t.Errorf("left behind: %v, %v", entries, err)
	}
}

// drain reads to the end.
func drain(t *testing.T, c *Capture) (packets []capture.Packet, end error) {
	t.Helper()
	for began := time.Now(); ; {
		var b capture.Batch
		if err := c.Read(&b); err != nil {
			return packets, err
		}
		packets = append(packets, b.Packets...)
		if time.Since(began) > time.Minute {
			t.Fatal("the capture does not end")
		}
	}
}

// Every version of pktmon yields the same: each packet that was asked for, at
// each component, with its direction and as what it is. Nothing is left.
func TestCapture(t *testing.T) {
	for _, test := range []struct {
		behaviour, note string
	}{
		{"", ""},
		{pktmontest.German, ""},
		{pktmontest.Old, ""},
		{pktmontest.Full, ""},
		{pktmontest.FewFilter, "captures everything meanwhile"},
		{pktmontest.Slow, ""},
		{pktmontest.Drops, "drop 7 packets"},
	} {
		t.Run(test.behaviour, func(t *testing.T) {
			m := newMachine(t, traffic, test.behaviour)
			c := m.open()
			var b capture.Batch
			if err := c.Read(&b); err != nil || len(b.Packets) != 0 {
				t.Fatalf("while it captures: %d packets, %v", len(b.Packets), err)
			}
			c.Stop()
			c.Stop()
			packets, err := drain(t, c)
			if !errors.Is(err, io.EOF) {
				t.Fatal(err)
			}
			var got []string
			for i, p := range packets {
				if p.Number != int64(i+1) {
					t.Errorf("packet %d has number %d", i+1, p.Number)
				}
				if i%pktmontest.Copies == 0 {
					got = append(got, fmt.Sprint(p.LinkType, p.Interface, p.Direction))
				}
			}
			want := []string{"1 0 2", "1 0 1", "105 1 0", "101 2 0"}
			if len(packets) != len(want)*pktmontest.Copies || !slices.Equal(got, want) {
				t.Errorf("%d packets, link types, interfaces and directions %v, want %v", len(packets), got, want)
			}
			info, n := c.Info(), c.Counters()
			if info.Packets != int64(len(packets)) || n.Delivered != uint64(len(packets)) || n.Dropped != 0 || len(info.Interfaces) != 3 || info.Interfaces[0].Received != nil || info.Interfaces[0].OSDropped != nil {
				t.Errorf("counters %+v, info %+v", n, info)
			}
			notes := strings.Join(info.Notes, "\n")
			if !strings.HasPrefix(notes, Remark) || !strings.Contains(notes, test.note) || test.note == "" && len(info.Notes) != 1 {
				t.Errorf("notes: %q", info.Notes)
			}
			if err := c.Close(); err != nil {
				t.Error(err)
			}
			m.left()
		})
	}
}

// The filters are set before the capture begins, each port in one of its own.
func TestFilters(t *testing.T) {
	m := newMachine(t, traffic)
	c := m.open()
	defer c.Close()
	want := "goproxytrace -t ICMP|goproxytrace -t ICMPv6|goproxytrace -d ARP|goproxytrace -p 22|goproxytrace -p 53|goproxytrace -p 80|goproxytrace -p 443|goproxytrace -p 8443"
	if got := strings.ReplaceAll(strings.TrimSpace(m.read("filters")), "\n", "|"); got != want {
		t.Errorf("filters %s, want %s", got, want)
	}
	var many []uint16
	for p := range uint16(40) {
		many = append(many, 1000+p)
	}
	c.Close()
	o := m.options()
	o.Filter.Ports = many
	c, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	if f := m.read("filters"); f != "" || !strings.Contains(strings.Join(c.Info().Notes, " "), "takes 32 filters") {
		t.Errorf("filters %q, notes %q", f, c.Info().Notes)
	}
	c.Close()
	m.left()
	o.Filter = portfilter.Options{Filter: "tcp port 443"}
	if _, err := Open(o); err == nil || !strings.Contains(err.Error(), "ports only") {
		t.Errorf("an expression: %v", err)
	}
}

// What others have set up in pktmon stays as it is, and they are told of.
func TestInUse(t *testing.T) {
	for _, test := range []struct {
		name, behaviour, filters, session string
		want                              error
		hint                              string
	}{
		{"filters of others", "", "mine -p 25\n", "", ErrBusy, "pktmon filter list shows them"},
		{"filters of others and ours", "", "goproxytrace -p 443\n<empty> -p 25\n", "", ErrBusy, "pktmon filter remove"},
		{"another capture", "", "", `C:\Users\me\PktMon.etl 1`, ErrBusy, "pktmon stop ends it"},
		{"another capture, in German", pktmontest.German, "", `C:\Users\me\PktMon.etl 1`, ErrBusy, "pktmon stop ends it"},
		{"one of ours", "", "goproxytrace -p 443\n", `C:\Temp\goproxytrace-pktmon-123\capture1.etl 1`, ErrLeft, "goproxytrace-pktmon-123; pktmon etl2pcap"},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := newMachine(t, nil, test.behaviour)
			m.write("filters", test.filters)
			m.write("session", test.session)
			for _, err := range []error{Examine(m.options()), func() error { _, err := Open(m.options()); return err }()} {
				var advised interface{ Hint() string }
				if !errors.Is(err, test.want) || !errors.As(err, &advised) || !strings.Contains(advised.Hint(), test.hint) {
					t.Errorf("%v", err)
				}
			}
			if m.read("filters") != test.filters || m.read("session") != test.session {
				t.Errorf("filters are now %q, the session %q", m.read("filters"), m.read("session"))
			}
			if log := m.read(pktmontest.Log); strings.Contains(log, "stop") || strings.Contains(log, "remove") {
				t.Errorf("commands: %s", log)
			}
		})
	}
}

// An older pktmon does not say whether it captures; it refuses to start.
func TestInUseBefore21H1(t *testing.T) {
	m := newMachine(t, nil, pktmontest.Old)
	m.write("session", `C:\Users\me\PktMon.etl 1`)
	_, err := Open(m.options())
	var advised interface{ Hint() string }
	if !errors.As(err, &advised) || !strings.Contains(advised.Hint(), "pktmon stop") {
		t.Errorf("%v", err)
	}
	if f := m.read("filters"); f != "" || m.read("session") == "" {
		t.Errorf("filters %q, session %q", f, m.read("session"))
	}
}

// Filters that a session which was killed has left go with the next.
func TestLeftFilters(t *testing.T) {
	m := newMachine(t, traffic)
	m.write("filters", "goproxytrace -p 4444\n")
	c := m.open()
	if f := m.read("filters"); strings.Contains(f, "4444") {
		t.Errorf("filters: %s", f)
	}
	c.Close()
	m.left()
}

// Filters that others set meanwhile stay.
func TestFiltersSetMeanwhile(t *testing.T) {
	m := newMachine(t, traffic)
	c := m.open()
	m.write("filters", m.read("filters")+"mine -p 25\n")
	c.Stop()
	if packets, err := drain(t, c); !errors.Is(err, io.EOF) || len(packets) == 0 {
		t.Errorf("%d packets, %v", len(packets), err)
	}
	if notes := strings.Join(c.Info().Notes, "\n"); !strings.Contains(notes, "are left in pktmon") || !strings.Contains(m.read("filters"), "mine") {
		t.Errorf("notes %s; filters %s", notes, m.read("filters"))
	}
	c.Close()
}

// A trace that cannot be converted is kept, and its place told.
func TestKept(t *testing.T) {
	for _, behaviour := range []string{pktmontest.Unable, pktmontest.Deaf} {
		t.Run(behaviour, func(t *testing.T) {
			m := newMachine(t, traffic, behaviour)
			c := m.open()
			c.Stop()
			packets, err := drain(t, c)
			told := strings.Join(c.Info().Notes, "\n") + fmt.Sprint(err)
			c.Close()
			if len(packets) != 0 || errors.Is(err, io.EOF) || !strings.Contains(told, c.Kept()) || c.Kept() == "" {
				t.Errorf("%d packets, then %v; kept %q, told %s", len(packets), err, c.Kept(), told)
			}
			if traces, err := filepath.Glob(filepath.Join(c.Kept(), "*.etl")); err != nil || len(traces) != 1 {
				t.Errorf("traces %q, %v", traces, err)
			}
		})
	}
}

// A capture of several traces loses one, and delivers the rest.
func TestOneTraceBroken(t *testing.T) {
	m := newMachine(t, traffic, pktmontest.Full)
	c := m.open()
	c.Stop()
	<-c.ended
	traces := c.traces()
	if len(traces) != 2 {
		t.Fatalf("traces: %q", traces)
	}
	if err := os.WriteFile(traces[0], []byte("?"), 0o600); err != nil {
		t.Fatal(err)
	}
	packets, err := drain(t, c)
	c.Close()
	if !errors.Is(err, io.EOF) || len(packets) == 0 || !strings.Contains(strings.Join(c.Info().Notes, "\n"), "is kept in "+traces[0]) {
		t.Errorf("%d packets, %v; notes %q", len(packets), err, c.Info().Notes)
	}
	if _, err := os.Stat(traces[0]); err != nil {
		t.Error(err)
	}
}

// A trace is read as soon as pktmon has begun the next.
func TestFullTrace(t *testing.T) {
	m := newMachine(t, traffic)
	c := m.open()
	defer c.Close()
	for name, text := range map[string]string{"capture1.etl": "0 1 0 0", "capture2.etl": "not yet whole"} {
		if err := os.WriteFile(filepath.Join(c.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var b capture.Batch
	if err := c.Read(&b); err != nil || len(b.Packets) == 0 || c.over() {
		t.Errorf("%d packets while pktmon runs, %v", len(b.Packets), err)
	}
	if err := c.Read(&b); err != nil || len(b.Packets) != 0 {
		t.Errorf("%d packets of a trace that is being written, %v", len(b.Packets), err)
	}
}

// A session that ends before it has begun leaves nothing; one that was broken
// off leaves what it captured.
func TestClose(t *testing.T) {
	m := newMachine(t, traffic)
	m.open().Close()
	m.left()
	c := m.open()
	var b capture.Batch
	if err := c.Read(&b); err != nil {
		t.Fatal(err)
	}
	c.Close()
	if traces, _ := filepath.Glob(filepath.Join(c.Kept(), "*.etl")); len(traces) != 1 || m.read("session") != "" || m.read("filters") != "" {
		t.Errorf("traces %q, session %q, filters %q", traces, m.read("session"), m.read("filters"))
	}
}

func TestAbsent(t *testing.T) {
	_, err := Open(Options{Program: filepath.Join(t.TempDir(), "pktmon.exe")})
	var advised interface{ Hint() string }
	if !errors.Is(err, ErrAbsent) || !errors.As(err, &advised) || !strings.Contains(advised.Hint(), "2004") {
		t.Errorf("%v", err)
	}
}

func TestLinkOf(t *testing.T) {
	ip6 := make([]byte, 60)
	ip6[0], ip6[5] = 0x60, 20
	fourAddresses := wifi(ip(1, 2))
	fourAddresses[1] = 3
	short := ip(1, 2)
	short[3] = 60
	for _, test := range []struct {
		name  string
		frame []byte
		want  capture.LinkType
	}{
		{"Ethernet", ethernet(host, peer, ip(1, 2)), linkEthernet},
		{"ARP", slices.Concat(peer, host, []byte{8, 6}, make([]byte, 28)), linkEthernet},
		{"VLAN", slices.Concat(peer, host, []byte{0x81, 0, 0, 5, 8, 0}, ip(1, 2)), linkEthernet},
		{"IPv4", ip(1, 2), linkRaw},
		{"IPv6", ip6, linkRaw},
		{"802.11", wifi(ip(1, 2)), linkWLAN},
		{"802.11, another header's length", fourAddresses, linkEthernet},
		{"802.11 management", slices.Concat([]byte{0x80}, wifi(ip(1, 2))[1:]), linkEthernet},
		{"an address that begins as 802.11 does", slices.Concat([]byte{0x88, 1, 0, 0, 0, 1}, host, []byte{8, 0}, ip(1, 2)), linkEthernet},
		{"an address that begins as IP does", slices.Concat([]byte{0x45, 0, 0, 54, 0, 1}, host, []byte{8, 0}, ip(1, 2)), linkEthernet},
		{"IPv4 cut off", short, linkEthernet},
		{"nothing", nil, linkEthernet},
		{"one byte", []byte{0x88}, linkEthernet},
	} {
		if got := linkOf(test.frame); got != test.want {
			t.Errorf("%s: link type %d, want %d", test.name, got, test.want)
		}
	}
}
