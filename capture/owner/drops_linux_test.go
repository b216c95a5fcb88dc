package owner

import (
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"goproxytrace/capture/engine/spacetest"
	"goproxytrace/capture/hostlog"
)

// TestDrops has packets of a connection dropped in many places, and holds that
// only what this host itself dropped is told of, with whose it was, which way it
// went and what it was.
func TestDrops(t *testing.T) {
	needRoot(t)
	if _, err := exec.LookPath("nft"); err != nil {
		if os.Getenv("GOPROXYTRACE_CI") == "1" {
			t.Fatal(err)
		}
		t.Skip("needs nft")
	}
	type want struct {
		inbound bool
		segment hostlog.Segment
		least   uint32
	}
	chain := func(family, hook string, rules ...string) string {
		out := "nft add table " + family + " t\nnft add chain " + family + " t c { type filter hook " + hook + " ; }\n"
		for _, r := range rules {
			out += "nft add rule " + family + " t c " + r + "\n"
		}
		return out
	}
	input, output := "input priority 0", "output priority 0"
	for name, x := range map[string]struct {
		near, far string
		server    string // address
		connects  bool
		want      []want
	}{
		"nothing":                      {connects: true},
		"nothing, IPv6":                {server: "[fd09::2]:443", connects: true},
		"a SYN before it leaves":       {near: chain("inet", output, "tcp dport 443 drop"), want: []want{{false, hostlog.SegmentSYN, 1}}},
		"the same, IPv6":               {near: chain("inet", output, "tcp dport 443 drop"), server: "[fd09::2]:443", want: []want{{false, hostlog.SegmentSYN, 1}}},
		"a SYN that is rejected":       {near: chain("inet", output, "tcp dport 443 reject with tcp reset"), want: []want{{false, hostlog.SegmentSYN, 1}}},
		"behind routing":               {near: chain("inet", "postrouting priority 0", "tcp dport 443 drop"), want: []want{{false, hostlog.SegmentSYN, 1}}},
		"the answer to a SYN":          {near: chain("inet", input, "tcp sport 443 drop"), want: []want{{true, hostlog.SegmentSYNACK, 1}}},
		"the answer, IPv6":             {near: chain("inet", input, "tcp sport 443 drop"), server: "[fd09::2]:443", want: []want{{true, hostlog.SegmentSYNACK, 1}}},
		"the answer, before routing":   {near: chain("inet", "prerouting priority -300", "tcp sport 443 drop"), want: []want{{true, hostlog.SegmentSYNACK, 1}}},
		"the answer, at its interface": {near: chain("netdev", "ingress device eth0 priority 0", "tcp sport 443 drop"), want: []want{{true, hostlog.SegmentSYNACK, 1}}},
		"what the client says":         {near: chain("inet", output, "tcp dport 443 ip length > 200 drop"), connects: true, want: []want{{false, hostlog.SegmentData, 2}}},
		"what the server says":         {near: chain("inet", input, "tcp sport 443 ip length > 200 drop"), connects: true, want: []want{{true, hostlog.SegmentData, 2}}},
		"by the far end's filter":      {far: chain("inet", input, "tcp dport 443 drop")},
		"by the far end, on its way out": {
			far: chain("inet", output, "tcp sport 443 drop")},
		// The packet still has its socket there.
		"at the far end's interface":    {far: chain("netdev", "ingress device eth0 priority 0", "tcp dport 443 drop")},
		"of another port":               {near: chain("inet", output, "tcp dport 444 drop"), connects: true},
		"of a port that nobody asks of": {near: chain("inet", output, "tcp dport 443 drop"), server: "10.9.0.2:8443", connects: true},
	} {
		if x.server == "" {
			x.server = "10.9.0.2:443"
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			near, far := spacetest.Pair(t)
			near.Run(x.near)
			far.Run(x.far)
			server := netip.MustParseAddrPort(x.server)
			far.Do(func() error { return echo(t, x.server) })
			var ns uint64
			near.Do(func() (err error) {
				ns, err = inode("/proc/thread-self/ns/net")
				return err
			})
			s := watchIn(t, Options{Mechanism: EBPF, Namespaces: []uint64{ns}, Ports: []uint16{443}})
			if why := s.Undropped(); why != "" {
				t.Fatal(why)
			}
			connected := false
			var local netip.AddrPort
			near.Do(func() error {
				d := net.Dialer{Timeout: 1500 * time.Millisecond}
				c, err := d.Dial("tcp", x.server)
				if err != nil {
					return nil
				}
				defer c.Close()
				connected, local = true, c.LocalAddr().(*net.TCPAddr).AddrPort()
				c.SetDeadline(time.Now().Add(1200 * time.Millisecond))
				if _, err := c.Write(make([]byte, 500)); err == nil {
					io.ReadFull(c, make([]byte, 500))
				}
				return nil
			})
			time.Sleep(100 * time.Millisecond)
			blocks := of[*hostlog.Block](s.finish(t))
			if connected != x.connects {
				t.Errorf("connected: %v, want %v", connected, x.connects)
			}
			var got []want
			for _, b := range blocks {
				if b.PID != uint32(os.Getpid()) || b.Remote != server || connected && b.Local != local || b.Action != hostlog.Blocked || b.Until < b.Time ||
					b.Provider == "" || time.Since(time.Unix(0, b.Time)) > 20*time.Second {
					t.Errorf("record %+v", b)
				}
				i := slices.IndexFunc(got, func(w want) bool { return w.inbound == b.Inbound && w.segment == b.Segment })
				if i < 0 {
					i = len(got)
					got = append(got, want{b.Inbound, b.Segment, 0})
				}
				got[i].least += b.Packets
			}
			for _, w := range x.want {
				if !slices.ContainsFunc(got, func(g want) bool { return g.inbound == w.inbound && g.segment == w.segment && g.least >= w.least }) {
					t.Errorf("got %v, want %v", got, x.want)
				}
			}
			if len(x.want) == 0 && len(got) > 0 {
				t.Errorf("got %v, want nothing", got)
			}
		})
	}
}

// echo sends back what comes, until the test ends.
func echo(t *testing.T, address string) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				io.Copy(c, c)
			}()
		}
	}()
	return nil
}

// TestDropsOfOthers holds that a flood of packets which the host drops and which
// are none of a connection of its own is told of by nobody and fills nothing. What
// the program costs then is logged.
func TestDropsOfOthers(t *testing.T) {
	needRoot(t)
	near, far := spacetest.Pair(t)
	near.Run("nft add table inet t\nnft add chain inet t c { type filter hook input priority 0 ; }\nnft add rule inet t c udp dport 9000 drop\nnft add rule inet t c tcp dport 443 drop")
	var ns uint64
	near.Do(func() (err error) {
		ns, err = inode("/proc/thread-self/ns/net")
		return err
	})
	stats, err := ebpf.EnableStats(uint32(unix.BPF_STATS_RUN_TIME))
	if err != nil {
		t.Fatal(err)
	}
	defer stats.Close()
	s := watchIn(t, Options{Mechanism: EBPF, Namespaces: []uint64{ns}, Ports: []uint16{443}})
	d := s.platform.(*ebpfWatcher).drops
	flood := func(address string) (runs uint64, each int64) {
		before, err := d.program.Stats()
		if err != nil {
			t.Fatal(err)
		}
		far.Do(func() error {
			c, err := net.Dial("udp", address)
			if err != nil {
				return err
			}
			defer c.Close()
			for range 50_000 {
				c.Write(make([]byte, 100)) // nobody listens: that is no error
			}
			return nil
		})
		after, err := d.program.Stats()
		if err != nil {
			t.Fatal(err)
		}
		runs = after.RunCount - before.RunCount
		return runs, (after.Runtime - before.Runtime).Nanoseconds() / max(int64(runs), 1)
	}
	for name, address := range map[string]string{"dropped by a rule": "10.9.0.1:9000", "to a port without a socket": "10.9.0.1:9001"} {
		runs, each := flood(address)
		if runs < 10_000 {
			t.Errorf("%s: the program ran %d times only", name, runs)
		}
		t.Logf("%s: %d runs, %d ns each", name, runs, each)
	}
	far.Do(func() error {
		// SYNs from outside: they answer nothing.
		for range 3 {
			syn := net.Dialer{Timeout: 20 * time.Millisecond}
			if c, err := syn.Dial("tcp", "10.9.0.1:443"); err == nil {
				c.Close()
			}
		}
		return nil
	})
	limits := d.limits()
	if blocks := of[*hostlog.Block](s.finish(t)); len(blocks) > 0 || len(limits) > 0 {
		t.Errorf("records %v, limits %q", blocks, limits)
	}
}
