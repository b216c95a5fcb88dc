package live

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"goproxytrace/analyze"
	"goproxytrace/analyze/goproxy"
	"goproxytrace/capture"
	"goproxytrace/capture/hostlog"
	"goproxytrace/internal/packets"
	"goproxytrace/live/command"
)

func TestTuple(t *testing.T) {
	p := packets.TCP("192.0.2.1:40000", "198.51.100.1:443").Flags(packets.SYN).Seq(1).MSS(1460)
	six := packets.TCP("[2001:db8::1]:40000", "[2001:db8::2]:443").Flags(packets.SYN | packets.ACK).Seq(1)
	ethernet := p.Ethernet()
	ip := ethernet[14:]
	tagged := slices.Concat(ethernet[:12], []byte{0x81, 0, 0, 5, 0x08, 0}, ip)
	fragment := slices.Clone(ip)
	fragment[7] = 1
	udp := slices.Clone(ip)
	udp[9] = 17
	options := slices.Concat(six.Ethernet()[14:20], []byte{60, 64}, six.Ethernet()[22:54], []byte{6, 0, 0, 0, 0, 0, 0, 0}, six.Ethernet()[54:])
	options[5] += 8
	for _, tt := range []struct {
		name  string
		link  capture.LinkType
		data  []byte
		want  string
		flags byte
	}{
		{"ethernet", linkEthernet, ethernet, "192.0.2.1:40000 198.51.100.1:443", flagSYN},
		{"vlan", linkEthernet, tagged, "192.0.2.1:40000 198.51.100.1:443", flagSYN},
		{"raw", linkRaw, ip, "192.0.2.1:40000 198.51.100.1:443", flagSYN},
		{"cooked", linkSLL, append(make([]byte, 16), ip...), "192.0.2.1:40000 198.51.100.1:443", flagSYN},
		{"cooked 2", linkSLL2, append(make([]byte, 20), ip...), "192.0.2.1:40000 198.51.100.1:443", flagSYN},
		{"null", linkNull, append(make([]byte, 4), ip...), "192.0.2.1:40000 198.51.100.1:443", flagSYN},
		{"six", linkEthernet, six.Ethernet(), "[2001:db8::1]:40000 [2001:db8::2]:443", flagSYN | flagACK},
		{"six with options", linkRaw, options, "[2001:db8::1]:40000 [2001:db8::2]:443", flagSYN | flagACK},
		{"later fragment", linkRaw, fragment, "", 0},
		{"udp", linkRaw, udp, "", 0},
		{"unknown link", 999, ip, "", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := tupleOf(&capture.Packet{LinkType: tt.link, Data: tt.data})
			text := ""
			if ok {
				text = got.src.String() + " " + got.dst.String()
			}
			if text != tt.want || got.flags != tt.flags && ok || got.payload {
				t.Errorf("%q, flags %x, payload %v; want %q, %x", text, got.flags, got.payload, tt.want, tt.flags)
			}
			for n := range tt.data { // no part of it makes trouble
				tupleOf(&capture.Packet{LinkType: tt.link, Data: tt.data[:n]})
			}
		})
	}
}

func FuzzTuple(f *testing.F) {
	f.Add(uint16(1), packets.TCP("192.0.2.1:40000", "198.51.100.1:443").Flags(packets.SYN).Ethernet())
	f.Add(uint16(101), packets.TCP("[2001:db8::1]:1", "[2001:db8::2]:443").Ethernet()[14:])
	f.Fuzz(func(_ *testing.T, link uint16, data []byte) {
		tupleOf(&capture.Packet{LinkType: capture.LinkType(link), Data: data})
	})
}

func TestEnds(t *testing.T) {
	service := func(p uint16) bool { return p == 443 || p == 53 }
	a, b := netip.MustParseAddrPort("127.0.0.1:40000"), netip.MustParseAddrPort("127.0.0.1:443")
	c := netip.MustParseAddrPort("127.0.0.1:8080")
	for _, tt := range []struct {
		name     string
		src, dst netip.AddrPort
		flags    byte
		packet   capture.Packet
		local    string
	}{
		{"sent", a, b, flagACK, capture.Packet{Direction: capture.Outbound}, "127.0.0.1:40000"},
		{"received", b, a, flagACK, capture.Packet{Direction: capture.Inbound}, "127.0.0.1:40000"},
		{"unknown direction", a, b, flagSYN, capture.Packet{}, ""},
		{"loopback from the client", a, b, flagACK, capture.Packet{Loopback: true, Direction: capture.Inbound}, "127.0.0.1:40000"},
		{"loopback from the server", b, a, flagACK, capture.Packet{Loopback: true, Direction: capture.Inbound}, "127.0.0.1:40000"},
		{"loopback SYN", a, c, flagSYN, capture.Packet{Loopback: true}, "127.0.0.1:40000"},
		{"loopback SYN+ACK", c, a, flagSYN | flagACK, capture.Packet{Loopback: true}, "127.0.0.1:40000"},
		{"loopback, neither known", a, c, flagACK, capture.Packet{Loopback: true}, ""},
	} {
		x := tuple{src: tt.src, dst: tt.dst, flags: tt.flags}
		local, _, ok := x.ends(&tt.packet, service)
		if got := map[bool]string{true: local.String()}[ok]; got != tt.local {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.local)
		}
	}
}

func TestActivity(t *testing.T) {
	a, b := netip.MustParseAddrPort("192.0.2.1:1"), netip.MustParseAddrPort("198.51.100.1:443")
	var x activity
	send := func(from, to netip.AddrPort, flags byte) {
		x.segment(&tuple{src: from, dst: to, flags: flags})
	}
	steps := []struct {
		from, to netip.AddrPort
		flags    byte
		open     int
	}{
		{a, b, flagSYN, 1}, {b, a, flagSYN | flagACK, 1}, {a, b, flagFIN | flagACK, 1}, {a, b, flagFIN | flagACK, 1}, // its own FIN again
		{b, a, flagFIN | flagACK, 0}, {a, b, flagACK, 0}, {a, b, flagSYN, 1}, {b, a, flagRST, 0}, {b, a, flagFIN, 0},
	}
	for i, s := range steps {
		send(s.from, s.to, s.flags)
		if got := x.now().Open; got != s.open {
			t.Errorf("after step %d: %d open, want %d", i, got, s.open)
		}
	}
	for i := range maxOpen + 10 {
		at := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 1)
		send(at, b, flagSYN)
	}
	if got := x.now(); got.Open != maxOpen || !got.Lost {
		t.Errorf("%+v", got)
	}
}

func TestSettled(t *testing.T) {
	const hold = 200 * time.Millisecond
	ended := time.Unix(1000, 0)
	after := func(d time.Duration) time.Time { return ended.Add(d) }
	for _, tt := range []struct {
		name string
		now  time.Duration
		a    Activity
		want bool
	}{
		{"all closed, too early for the ring", 900 * time.Millisecond, Activity{}, false},
		{"all closed", 1300 * time.Millisecond, Activity{Last: after(1200 * time.Millisecond)}, true},
		{"one open, its FIN may be answered", 1300 * time.Millisecond, Activity{Open: 1, Last: after(0)}, false},
		{"one open and quiet", 2300 * time.Millisecond, Activity{Open: 1, Last: after(time.Second)}, true},
		{"one open and busy", 2300 * time.Millisecond, Activity{Open: 1, Last: after(2 * time.Second)}, false},
		{"never quiet", 5 * time.Second, Activity{Open: 1, Last: after(5 * time.Second)}, true},
		{"too many to follow", 1300 * time.Millisecond, Activity{Lost: true, Last: after(time.Second)}, false},
	} {
		if got := settled(after(tt.now), ended, tt.a, hold); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

func TestPorts(t *testing.T) {
	s := goproxy.Settings{GOPROXY: "https://user:secret@proxy.example:8443|http://other.example,direct", GOSUMDB: "off"}
	env := map[string]string{"HTTPS_PROXY": "http://user:secret@gate.example:3128", "http_proxy": "cache.example:8080", "ALL_PROXY": "socks5://[2001:db8::1]", "HTTP_PROXY": "::bad"}
	proxies := Proxies(func(n string) string { return env[n] })
	want := []goproxy.Endpoint{{Host: "gate.example", Port: 3128}, {Host: "cache.example", Port: 8080}, {Host: "2001:db8::1", Port: 1080}}
	if !slices.Equal(proxies, want) {
		t.Errorf("proxies %v, want %v", proxies, want)
	}
	got := Ports(append(s.Endpoints(), proxies...), []uint16{9443, 443})
	if want := []uint16{22, 53, 80, 443, 1080, 3128, 8080, 8443, 9443}; !slices.Equal(got, want) {
		t.Errorf("ports %v, want %v", got, want)
	}
}

// Settings come from the environment where no go command is asked, without
// what may be a secret.
func TestSettings(t *testing.T) {
	o := command.Options{Env: []string{
		"GOPROXY=https://user:secret@proxy.example,direct", "HTTPS_PROXY=http://user:secret@gate.example:3128", "SSL_CERT_FILE=/etc/ca.pem",
		"GIT_SSH_COMMAND=ssh -v", "GIT_CONFIG_VALUE_0=Authorization: Basic c2VjcmV0", "GIT_TOKEN=secret", "HOME=/home/secret", "no_proxy=internal.example", "GODEBUG=tlsmlkem=0",
	}}
	var got []string
	for _, r := range Settings(t.Context(), o, false, time.Unix(1, 0)) {
		// What is written, and analysed.
		written, err := hostlog.Parse(hostlog.Fields(r))
		if err != nil {
			t.Fatal(err)
		}
		s := written.(*hostlog.Setting)
		got = append(got, fmt.Sprintf("%s=%s (%s)", s.Name, s.Value, s.From))
	}
	text := strings.Join(got, "\n")
	if strings.Contains(text, "secret") || strings.Contains(text, "c2VjcmV0") {
		t.Errorf("a secret in\n%s", text)
	}
	for _, want := range []string{"GOPROXY=https://xxxxx@proxy.example,direct (environment)", "HTTPS_PROXY=http://xxxxx@gate.example:3128 (environment)",
		"GIT_CONFIG_VALUE_0=(set) (environment)", "SSL_CERT_FILE=/etc/ca.pem (environment)", "GIT_SSH_COMMAND=ssh -v (environment)", "GIT_TOKEN=xxxxx (environment)", "no_proxy=internal.example (environment)", "GODEBUG=tlsmlkem=0 (environment)"} {
		if !slices.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

// GOTOOLCHAIN is found where the go command finds it, without letting that
// fetch anything.
func TestToolchain(t *testing.T) {
	root, user := t.TempDir(), filepath.Join(t.TempDir(), "env")
	if err := os.WriteFile(filepath.Join(root, "go.env"), []byte("# defaults\nGOTOOLCHAIN=auto\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	none := func(string) string { return "" }
	if got := toolchain(none, user, root); got != "auto" {
		t.Errorf("the toolchain's own: %q", got)
	}
	if err := os.WriteFile(user, []byte("GOPROXY=off\nGOTOOLCHAIN=go1.99.0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := toolchain(none, user, root); got != "go1.99.0" {
		t.Errorf("the user's: %q", got)
	}
	if got := toolchain(func(string) string { return "local" }, user, root); got != "local" {
		t.Errorf("the environment's: %q", got)
	}
}

// Events tell of a connection when it comes, changes and goes, and not of
// every packet.
func TestEvents(t *testing.T) {
	var b bytes.Buffer
	e := NewEvents(&b, func() time.Time { return time.Unix(100, 0) })
	v := &analyze.View{Connections: []analyze.ViewConnection{{ID: 3, Client: "192.0.2.1:1", Server: "198.51.100.1:443", Stage: analyze.ViewConnect, Start: 90e9}}}
	c := &v.Connections[0]
	e.View(v)
	e.View(v)
	c.FromClient = 10
	e.View(v)
	c.Stage, c.ServerName, c.LastPayload = analyze.ViewTLS, "proxy.example", 95e9
	e.View(v)
	c.Reset = true
	e.View(v)
	c.Stage, c.Class = analyze.ViewDone, "tls.reset"
	e.View(v)
	var none *Events
	none.View(v)
	none.Write("x", nil)
	var got []string
	for line := range strings.Lines(b.String()) {
		var x struct {
			Event string
			Body  Seen
		}
		if err := json.Unmarshal([]byte(line), &x); err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%s %s %v %d %s", x.Event, x.Body.Stage, x.Body.Flags, x.Body.QuietMS, x.Body.Class))
	}
	want := []string{"connection.opened connect [] 10000 ", "connection.changed tls [] 5000 ", "connection.changed tls [reset] 5000 ", "connection.closed done [reset] 5000 tls.reset"}
	if !slices.Equal(got, want) {
		t.Errorf("events\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestInvoker(t *testing.T) {
	env := map[string]string{"SUDO_UID": "54321", "SUDO_GID": "54322", "SUDO_USER": "gopher"}
	get := func(n string) string { return env[n] }
	if u := Invoker(0, get); u == nil || u.UID != 54321 || u.GID != 54322 || u.Name != "gopher" {
		t.Errorf("%+v", u)
	}
	if u := Invoker(1000, get); u != nil {
		t.Errorf("an ordinary user with the variables of sudo: %+v", u)
	}
	env["SUDO_UID"] = "0"
	if u := Invoker(0, get); u != nil {
		t.Errorf("root called sudo: %+v", u)
	}
}

func TestTree(t *testing.T) {
	var tree Tree
	tree.Add(10, "go")
	for _, p := range []hostlog.Process{{PID: 11, Parent: 10, Name: "git"}, {PID: 12, Parent: 11}, {PID: 20, Parent: 1}, {PID: 21}} {
		tree.Take(&p)
	}
	for pid, want := range map[uint32]bool{10: true, 11: true, 12: true, 20: false, 21: false, 0: false} {
		if tree.Has(pid) != want {
			t.Errorf("process %d: %v", pid, !want)
		}
	}
}
