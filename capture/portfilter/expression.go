package portfilter

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"golang.org/x/net/bpf"

	"goproxytrace/capture"
	"goproxytrace/capture/engine/hint"
)

// compiler is the program that turns an expression into byte code. Loading
// libpcap into this process instead would make the executable depend on the C
// library and its loader, and so on the system it was built for.
var compiler = "tcpdump"

// compile has the system's tcpdump compile an expression. It opens no
// interface and needs no rights.
func compile(expression string, link capture.LinkType) ([]bpf.RawInstruction, error) {
	path, err := lookCompiler()
	if err != nil {
		return nil, hint.New(fmt.Errorf("filter expression %q: %w", expression, err),
			"An expression is compiled by tcpdump, which is not installed: apt install tcpdump, dnf install tcpdump or apk add tcpdump. Ports alone (--port) need nothing.")
	}
	name := "EN10MB"
	if link == linkRaw {
		name = "RAW"
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	// The expression follows "--": it is never an option.
	cmd := exec.CommandContext(ctx, path, "-ddd", "-n", "-y", name, "--", expression)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		if text := complaint(stderr.String()); text != "" {
			return nil, hint.New(fmt.Errorf("filter expression %q: %s", expression, text), "The syntax is tcpdump's, see pcap-filter(7).")
		}
		return nil, fmt.Errorf("filter expression %q: %s: %w", expression, path, err)
	}
	program, err := parseDecimal(stdout.Bytes())
	if err != nil {
		return nil, fmt.Errorf("filter expression %q: output of %s: %w", expression, path, err)
	}
	return program, nil
}

// lookCompiler looks where administrators' programs are, too: PATH of an
// ordinary user often lacks them.
func lookCompiler() (string, error) {
	path, err := exec.LookPath(compiler)
	if err == nil || strings.ContainsRune(compiler, '/') {
		return path, err
	}
	for _, dir := range []string{"/usr/sbin/", "/sbin/", "/usr/local/sbin/"} {
		if path, err := exec.LookPath(dir + compiler); err == nil {
			return path, nil
		}
	}
	return "", err
}

// complaint takes tcpdump's error out of what it printed.
func complaint(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	last := strings.TrimSpace(lines[len(lines)-1])
	_, after, found := strings.Cut(last, "tcpdump: ")
	if found {
		last = after
	}
	return last
}

// parseDecimal reads the output of -ddd: the number of instructions, then
// each as four decimal numbers.
func parseDecimal(text []byte) ([]bpf.RawInstruction, error) {
	lines := bufio.NewScanner(bytes.NewReader(text))
	var count int
	if !lines.Scan() {
		return nil, errors.New("empty")
	}
	if _, err := fmt.Sscanf(lines.Text(), "%d", &count); err != nil || count < 1 || count > 4096 {
		return nil, fmt.Errorf("count %q is not between 1 and 4096", lines.Text())
	}
	var program []bpf.RawInstruction
	for lines.Scan() {
		var i bpf.RawInstruction
		if _, err := fmt.Sscanf(lines.Text(), "%d %d %d %d", &i.Op, &i.Jt, &i.Jf, &i.K); err != nil {
			return nil, fmt.Errorf("instruction %d is %q: %w", len(program), lines.Text(), err)
		}
		program = append(program, i)
	}
	if len(program) != count {
		return nil, fmt.Errorf("%d instructions announced, %d found", count, len(program))
	}
	return program, nil
}
