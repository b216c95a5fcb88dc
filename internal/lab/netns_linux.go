package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Missing names what this machine lacks for the lab; empty means ready.
func Missing() []string {
	var out []string
	if os.Geteuid() != 0 {
		out = append(out, "root")
	}
	for _, tool := range []string{"ip", "nft", "dumpcap", "go"} {
		if _, err := exec.LookPath(tool); err != nil {
			out = append(out, tool)
		}
	}
	if len(out) > 0 {
		return out
	}
	// Containers often have root without the right to make namespaces.
	if err := inNewNamespace(); err != nil {
		out = append(out, "network namespaces ("+err.Error()+")")
	}
	return out
}

func inNewNamespace() error {
	done := make(chan error)
	go func() {
		// Never unlocked: the thread ends with the goroutine.
		runtime.LockOSThread()
		done <- unix.Unshare(unix.CLONE_NEWNET)
	}()
	return <-done
}

// Lab is the network of one running scenario.
type Lab struct {
	client, router, server string // namespace names
	cleanup                []func()
}

var counter atomic.Int64

// newLab makes the namespaces, the links and the router's table.
func newLab(ctx context.Context, forward []string) (l *Lab, err error) {
	base := namespacePrefix() + strconv.FormatInt(counter.Add(1), 36)
	l = &Lab{client: base + "c", router: base + "r", server: base + "s"}
	defer func() {
		if err != nil {
			l.close()
		}
	}()
	for _, ns := range []string{l.client, l.router, l.server} {
		if err := command(ctx, "", "ip", "netns", "add", ns); err != nil {
			return nil, err
		}
		l.cleanup = append(l.cleanup, func() { command(context.Background(), "", "ip", "netns", "del", ns) })
		if err := inNamespace(ns, func() error {
			// Neighbour and router discovery of IPv6 would only be noise.
			for _, f := range []string{"all", "default"} {
				os.WriteFile("/proc/sys/net/ipv6/conf/"+f+"/disable_ipv6", []byte("1"), 0)
			}
			return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0)
		}); err != nil {
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
	if err := os.WriteFile(filepath.Join(dir, "resolv.conf"), []byte("nameserver "+ResolverAddr+"\n"), 0o644); err != nil {
		return nil, err
	}
	batch := func(ns string, lines ...string) {
		if err == nil {
			err = command(ctx, strings.Join(lines, "\n")+"\n", "ip", "-n", ns, "-batch", "-")
		}
	}
	batch(l.client, "link set lo up", "link add eth0 type veth peer name lan netns "+l.router,
		"addr add "+ClientAddr+"/24 dev eth0", "link set eth0 up")
	batch(l.server, "link set lo up", "link add eth0 type veth peer name wan netns "+l.router,
		"addr add "+ServerAddr+"/24 dev eth0", "addr add "+ResolverAddr+"/24 dev eth0", "link set eth0 up",
		"route add default via 203.0.113.1")
	batch(l.router, "addr add "+RouterAddr+"/24 dev lan", "addr add 203.0.113.1/24 dev wan", "link set lan up", "link set wan up")
	batch(l.client, "route add default via "+RouterAddr)
	if err != nil {
		return nil, err
	}
	table := "table inet lab {\n chain forward {\n  type filter hook forward priority 0;\n  " + strings.Join(forward, "\n  ") + "\n }\n}\n"
	return l, command(ctx, table, "ip", "netns", "exec", l.router, "nft", "-f", "-")
}

// Forward puts a statement in front of the router's forward chain.
func (l *Lab) Forward(statement string) error {
	return command(context.Background(), "insert rule inet lab forward "+statement+"\n", "ip", "netns", "exec", l.router, "nft", "-f", "-")
}

// close undoes everything in reverse order.
func (l *Lab) close() {
	for i := len(l.cleanup) - 1; i >= 0; i-- {
		l.cleanup[i]()
	}
	l.cleanup = nil
}

func command(ctx context.Context, stdin string, argv ...string) error {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	if stdin != "" {
		cmd.Stdin = strings.NewReader(stdin)
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(argv, " "), err, bytes.TrimSpace(out))
	}
	return nil
}

// inNamespace runs f in the named network namespace. Sockets that f opens stay
// there; goroutines that it starts do not.
func inNamespace(name string, f func() error) error {
	done := make(chan error)
	go func() {
		// Never unlocked: the thread must not serve another goroutine.
		runtime.LockOSThread()
		done <- func() error {
			fd, err := unix.Open(filepath.Join("/run/netns", name), unix.O_RDONLY|unix.O_CLOEXEC, 0)
			if err != nil {
				return fmt.Errorf("open namespace %s: %w", name, err)
			}
			defer unix.Close(fd)
			if err := unix.Setns(fd, unix.CLONE_NEWNET); err != nil {
				return fmt.Errorf("enter namespace %s: %w", name, err)
			}
			return f()
		}()
	}()
	return <-done
}

// process is a program started in a namespace, with its children a process
// group of its own.
type process struct {
	cmd  *exec.Cmd
	done chan struct{}
	err  error
}

func start(ns string, cmd *exec.Cmd) (*process, error) {
	path, err := exec.LookPath("ip")
	if err != nil {
		return nil, err
	}
	cmd.Args = append([]string{"ip", "netns", "exec", ns, cmd.Path}, cmd.Args[1:]...)
	cmd.Path = path
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, done: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

func (p *process) signal(s syscall.Signal) {
	select {
	case <-p.done: // reaped: its id may be another's by now
	default:
		syscall.Kill(-p.cmd.Process.Pid, s)
	}
}

// stop ends the process, politely first.
func (p *process) stop(s syscall.Signal) error {
	p.signal(s)
	select {
	case <-p.done:
		return nil
	case <-time.After(5 * time.Second):
	}
	p.signal(syscall.SIGKILL)
	<-p.done
	return errors.New("did not end on " + s.String())
}
