package lab

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Lab is the network of one running scenario, and what a scenario's hooks may
// do to it.
type Lab struct {
	client, router, middle, server string // namespace names
	box                            *Box
	cleanup                        []func()

	mu      sync.Mutex
	command *process // the go command, once it runs

	// overslept is how long a wait for the end of a body took where that was
	// too long, in nanoseconds.
	overslept atomic.Int64
}

var counter atomic.Int64

// newLab makes the namespaces, the links, the packet filters and the bridge.
func newLab(ctx context.Context, path *Path, seed uint64) (_ *Lab, err error) {
	base := namespacePrefix() + strconv.FormatInt(counter.Add(1), 36)
	l := &Lab{client: base + "c", router: base + "r", middle: base + "m", server: base + "s"}
	defer func() {
		if err != nil {
			l.close()
		}
	}()
	for _, ns := range []string{l.client, l.router, l.middle, l.server} {
		if err := command(ctx, "", "ip", "netns", "add", ns); err != nil {
			return nil, err
		}
		l.cleanup = append(l.cleanup, func() { command(context.Background(), "", "ip", "netns", "del", ns) })
		if err := inNamespace(ns, func() error { return sysctls(path.Family != IPv4Only && ns != l.middle) }); err != nil {
			return nil, err
		}
	}
	dir := filepath.Join("/etc/netns", l.client)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	l.cleanup = append(l.cleanup, func() {
		os.RemoveAll(dir)
		os.Remove("/etc/netns") // stays where others use it
	})
	if err := os.WriteFile(filepath.Join(dir, "resolv.conf"), []byte("nameserver "+resolverAddr.v4.String()+"\n"), 0o644); err != nil {
		return nil, err
	}
	if err := l.link(ctx, path); err != nil {
		return nil, err
	}
	if err := l.offloads(path.Plain); err != nil {
		return nil, err
	}
	for _, ns := range []string{l.client, l.server} {
		if err := inNamespace(ns, func() error { return path.transport(ns == l.client) }); err != nil {
			return nil, err
		}
	}
	for ns, chains := range map[string]map[string][]string{
		l.client: {"output": path.Output, "input": path.Input},
		l.router: {"forward": path.Forward},
	} {
		if err := command(ctx, ruleset(chains), "ip", "netns", "exec", ns, "nft", "-f", "-"); err != nil {
			return nil, err
		}
	}
	if l.box, err = openBox(l, l.middle, path, seed); err != nil {
		return nil, err
	}
	l.cleanup = append(l.cleanup, l.box.close)
	if path.Family != IPv4Only {
		l.settle(ctx)
	}
	for ns, lines := range map[string][]string{l.router: path.Router, l.client: path.Client} {
		if err := batch(ctx, ns, lines...); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// sysctls of a fresh namespace. Without IPv6 its neighbour and router
// discovery would only be noise.
func sysctls(six bool) error {
	value := "1"
	if six {
		value = "0"
	}
	for _, f := range []string{"all", "default"} {
		for name, v := range map[string]string{"disable_ipv6": value, "accept_dad": "0", "accept_ra": "0", "forwarding": "1"} {
			// A kernel without IPv6 has none of these.
			os.WriteFile("/proc/sys/net/ipv6/conf/"+f+"/"+name, []byte(v), 0)
		}
	}
	return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0)
}

// transport sets what the path asks of an end's TCP.
func (p *Path) transport(client bool) error {
	set := func(name, value string) error { return os.WriteFile("/proc/sys/net/ipv4/"+name, []byte(value), 0) }
	var errs []error
	if p.Unstamped {
		errs = append(errs, set("tcp_timestamps", "0"))
	}
	if p.Unselective {
		errs = append(errs, set("tcp_sack", "0"), set("tcp_dsack", "0"))
	}
	if p.Window > 0 && client {
		first := strconv.Itoa(min(p.Window, 131_072))
		errs = append(errs, set("tcp_rmem", "4096 "+first+" "+strconv.Itoa(p.Window)))
	}
	return errors.Join(errs...)
}

// link makes client - router - middlebox - server.
func (l *Lab) link(ctx context.Context, path *Path) error {
	six, far := path.Family != IPv4Only, strconv.Itoa(path.FarMTU)
	configure := func(device string, mtu int, list ...addresses) (lines []string) {
		lines = append(lines, "link set "+device+" mtu "+strconv.Itoa(mtu))
		for _, a := range list {
			lines = append(lines, "addr add "+a.v4.String()+"/24 dev "+device)
			if six {
				lines = append(lines, "addr add "+a.v6.String()+"/64 dev "+device+" nodad")
			}
		}
		return append(lines, "link set "+device+" up")
	}
	routes := func(via addresses) []string {
		lines := []string{"route add default via " + via.v4.String()}
		if six {
			lines = append(lines, "-6 route add default via "+via.v6.String())
		}
		return lines
	}
	everyone := []addresses{resolverAddr, tunnelAddr}
	for _, a := range siteAddrs {
		everyone = append(everyone, a)
	}
	slices.SortFunc(everyone, func(a, b addresses) int { return netip.Addr.Compare(a.v4, b.v4) })
	for _, step := range []struct {
		ns    string
		lines []string
	}{
		{l.client, append([]string{"link set lo up", "link add eth0 type veth peer name lan netns " + l.router}, configure("eth0", path.MTU, clientAddr)...)},
		{l.router, append([]string{"link set lo up", "link add wan type veth peer name near netns " + l.middle}, configure("wan", path.FarMTU, wanAddr)...)},
		{l.router, configure("lan", path.MTU, lanAddr)},
		// Addresses that nobody has are beyond the middlebox too.
		{l.router, []string{"route add 198.51.100.0/24 via " + siteAddrs[ProxyName].v4.String()}},
		{l.middle, []string{"link add away type veth peer name eth0 netns " + l.server, "link set near mtu " + far, "link set away mtu " + far, "link set near up", "link set away up"}},
		{l.server, append([]string{"link set lo up"}, configure("eth0", path.FarMTU, everyone...)...)},
		{l.server, routes(wanAddr)},
		{l.client, routes(lanAddr)},
	} {
		if err := batch(ctx, step.ns, step.lines...); err != nil {
			return err
		}
	}
	return nil
}

// settle waits until IPv6 neighbours know each other: a SYN that waits for
// them for a second is another story than the scenario's.
func (l *Lab) settle(ctx context.Context) {
	l.Client(func() {
		for range 100 {
			// Nobody listens there: the answer is an error that has come all
			// the way from the server.
			c, err := net.Dial("udp", net.JoinHostPort(resolverAddr.v6.String(), "9"))
			if err == nil {
				c.Write([]byte{0})
				c.SetReadDeadline(time.Now().Add(250 * time.Millisecond))
				_, err = c.Read(make([]byte, 1))
				c.Close()
			}
			if errors.Is(err, syscall.ECONNREFUSED) || ctx.Err() != nil {
				return
			}
		}
	})
}

func batch(ctx context.Context, ns string, lines ...string) error {
	if len(lines) == 0 {
		return nil
	}
	// ip -batch takes -6 only for the whole batch; a line of it runs alone.
	var rest []string
	for _, line := range lines {
		if six, ok := strings.CutPrefix(line, "-6 "); ok {
			if err := command(ctx, "", append([]string{"ip", "-6", "-n", ns}, strings.Fields(six)...)...); err != nil {
				return err
			}
			continue
		}
		rest = append(rest, line)
	}
	if len(rest) == 0 {
		return nil
	}
	return command(ctx, strings.Join(rest, "\n")+"\n", "ip", "-n", ns, "-batch", "-")
}

func ruleset(chains map[string][]string) string {
	var b strings.Builder
	b.WriteString("table inet lab {\n")
	for hook, statements := range chains {
		b.WriteString(" chain " + hook + " {\n  type filter hook " + hook + " priority 0;\n  " + strings.Join(statements, "\n  ") + "\n }\n")
	}
	b.WriteString("}\n")
	return b.String()
}

// Client runs f where the sockets that it opens are the client's.
func (l *Lab) Client(f func()) {
	// A lab that is gone already has no client to run it at.
	_ = inNamespace(l.client, func() error { f(); return nil })
}

// Cut makes the middlebox drop everything from now on.
func (l *Lab) Cut() { l.box.cut.Store(true) }

// calm is how long it takes until the client has all of a small body that was
// sent to it, and the server the acknowledgements: two round trips of slow start.
func (l *Lab) calm() time.Duration { return 300*time.Millisecond + 4*l.box.half }

// longestQuiet is how long after its last data an end of the connection is one in
// the middle of it (diagnose's midBody is a second).
const longestQuiet = 900 * time.Millisecond

// quiet waits as long as calm says, and until all that was sent is acknowledged. It
// returns how long that took.
func (l *Lab) quiet(ctx context.Context, c *net.TCPConn) time.Duration {
	began := time.Now()
	pause(ctx, l.calm())
	for !acknowledged(c) && ctx.Err() == nil && time.Since(began) < longestQuiet {
		pause(ctx, 5*time.Millisecond)
	}
	return time.Since(began)
}

// end waits until the body that is sent on a connection may end there.
func (l *Lab) end(ctx context.Context, c *net.TCPConn) {
	if d := l.quiet(ctx, c); d > max(longestQuiet, l.calm())+50*time.Millisecond {
		l.overslept.Store(int64(d))
	}
}

// acknowledged reports whether the other end has all that was written.
func acknowledged(c *net.TCPConn) (all bool) {
	raw, err := c.SyscallConn()
	if err != nil {
		return false
	}
	err = raw.Control(func(fd uintptr) {
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		all = err == nil && info.Unacked == 0 && info.Notsent_bytes == 0
	})
	return all && err == nil
}

// Pause, Interrupt and Kill send SIGSTOP, SIGINT and SIGKILL to the go
// command and its children.
func (l *Lab) Pause()     { l.signal(syscall.SIGSTOP) }
func (l *Lab) Interrupt() { l.signal(syscall.SIGINT) }
func (l *Lab) Kill()      { l.signal(syscall.SIGKILL) }

func (l *Lab) signal(s syscall.Signal) {
	l.mu.Lock()
	p := l.command
	l.mu.Unlock()
	if p != nil {
		p.signal(s)
	}
}

// close undoes everything in reverse order.
func (l *Lab) close() {
	for i := len(l.cleanup) - 1; i >= 0; i-- {
		l.cleanup[i]()
	}
	l.cleanup = nil
}
