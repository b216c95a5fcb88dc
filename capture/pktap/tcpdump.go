package pktap

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"goproxytrace/capture/engine/hint"
)

// System is the tcpdump that macOS comes with; others do not know pktap.
const System = "/usr/sbin/tcpdump"

const (
	// startLimit bounds the wait for tcpdump to listen, endLimit that for it
	// to end after it was told to.
	startLimit = 10 * time.Second
	endLimit   = 3 * time.Second
	// maxSaid bounds what is kept of its messages.
	maxSaid = 64
)

// tcpdump is the running program.
type tcpdump struct {
	cmd    *exec.Cmd
	stdout io.ReadCloser
	// listening is closed when it says that it listens; quiet when it has
	// closed its standard error.
	listening, quiet chan struct{}

	mu      sync.Mutex
	said    []string
	stopped bool
}

// launch starts tcpdump and returns once it listens.
func launch(path string, interfaces []string) (*tcpdump, error) {
	arguments := []string{"-i", device(interfaces), "-n", "-s", "0", "-U", "-w", "-"}
	d := &tcpdump{cmd: exec.Command(path, arguments...), listening: make(chan struct{}), quiet: make(chan struct{})}
	var err error
	if d.stdout, err = d.cmd.StdoutPipe(); err != nil {
		return nil, err
	}
	stderr, err := d.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	detach(d.cmd)
	if err := d.cmd.Start(); err != nil {
		return nil, hint.New(fmt.Errorf("start %s: %w", path, err), "The capture on macOS uses the tcpdump that comes with the system.")
	}
	go d.listen(stderr)
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	select {
	case <-d.listening:
		return d, nil
	case <-d.quiet:
	case <-ctx.Done():
	}
	d.kill()
	cause := errors.Join(d.cmd.Wait(), ctx.Err())
	return nil, hint.New(fmt.Errorf("%s does not capture: %s: %w", path, d.last(), cause), advice(d.last()))
}

// device is what tcpdump takes after -i.
func device(interfaces []string) string {
	if len(interfaces) == 0 || slices.Contains(interfaces, "any") {
		return "pktap,all"
	}
	return "pktap," + strings.Join(interfaces, ",")
}

// listen collects what tcpdump says.
func (d *tcpdump) listen(stderr io.Reader) {
	defer close(d.quiet)
	lines := bufio.NewScanner(stderr)
	heard := false
	for lines.Scan() {
		text := strings.TrimSpace(lines.Text())
		if !heard && strings.Contains(text, "listening on") {
			heard = true
			close(d.listening)
		}
		d.mu.Lock()
		d.said = append(d.said, text)
		if len(d.said) > maxSaid {
			d.said = slices.Delete(d.said, 0, 1)
		}
		d.mu.Unlock()
	}
	// A line too long for the scanner must not block tcpdump.
	_, _ = io.Copy(io.Discard, stderr)
}

// last returns the last message that is not one of the usual ones.
func (d *tcpdump) last() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, text := range slices.Backward(d.said) {
		if text != "" && !strings.Contains(text, "listening on") && !countLine.MatchString(text) {
			return strings.TrimPrefix(text, "tcpdump: ")
		}
	}
	return "it says nothing"
}

var countLine = regexp.MustCompile(`^(\d+) packets? (captured|received by filter|dropped by kernel|dropped by interface)$`)

// drops returns how many packets tcpdump counted as dropped; false before it
// has said so, which it does when it ends.
func (d *tcpdump) drops() (n uint64, known bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, text := range d.said {
		m := countLine.FindStringSubmatch(text)
		if m == nil || !strings.HasPrefix(m[2], "dropped") {
			continue
		}
		if v, err := strconv.ParseUint(m[1], 10, 64); err == nil {
			n, known = n+v, true
		}
	}
	return n, known
}

// stop tells tcpdump to write out what it has and end, and ends it where it
// does not.
func (d *tcpdump) stop() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.stopped {
		return
	}
	d.stopped = true
	if d.cmd.Process.Signal(syscall.SIGINT) != nil {
		_ = d.cmd.Process.Kill()
		return
	}
	time.AfterFunc(endLimit, d.kill)
}

// wasStopped reports whether the end was asked for.
func (d *tcpdump) wasStopped() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.stopped
}

// kill ends tcpdump at once; an error says that it has ended.
func (d *tcpdump) kill() { _ = d.cmd.Process.Kill() }

func advice(text string) string {
	lower := strings.ToLower(text)
	if strings.Contains(lower, "permission") || strings.Contains(lower, "not permitted") || strings.Contains(lower, "bpf") {
		return "Run it with sudo: the pktap interface, which tells the owners of packets, is for root alone. (ChmodBPF, which comes with Wireshark, opens the ordinary interfaces only.)"
	}
	return "Try the same by hand: sudo " + System + " -i pktap,all -c 1"
}
