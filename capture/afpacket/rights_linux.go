package afpacket

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"goproxytrace/capture/engine/hint"
)

// Capabilities are what a capture and the naming of processes need of
// capabilities(7), as setcap takes them.
const Capabilities = "cap_net_raw,cap_net_admin,cap_bpf,cap_perfmon,cap_sys_ptrace"

// withRights adds advice to an error for which the user's rights, or the
// kernel, are to blame.
func withRights(err error) error {
	switch {
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return hint.New(fmt.Errorf("capture needs rights that this process does not have: %w", err), surroundings().advice())
	case errors.Is(err, unix.EAFNOSUPPORT), errors.Is(err, unix.ENOPROTOOPT), errors.Is(err, unix.EPROTONOSUPPORT):
		return hint.New(fmt.Errorf("%w: %w", errNoPacketSockets, err),
			"Capture on the machine that runs this system (the host of a sandbox or of WSL 1), or with another tool, and analyze the file.")
	}
	return err
}

// place is what decides the advice.
type place struct {
	// executable is the path of this program; empty where unknown.
	executable string
	// temporary is true where the program is gone after this run (go run).
	temporary bool
	container bool
	// root is true for user 0, who lacks the right all the same.
	root bool
	// frozen is true where neither sudo nor file capabilities can add
	// rights (PR_SET_NO_NEW_PRIVS).
	frozen bool
}

func surroundings() place {
	p := place{root: os.Geteuid() == 0, container: inContainer()}
	if path, err := os.Executable(); err == nil {
		if real, err := filepath.EvalSymlinks(path); err == nil {
			path = real
		}
		p.executable = path
		p.temporary = strings.Contains(path, string(filepath.Separator)+"go-build")
	}
	if n, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0); err == nil {
		p.frozen = n == 1
	}
	return p
}

// inContainer goes by the marks that container engines leave.
func inContainer() bool {
	for _, mark := range []string{"/.dockerenv", "/run/.containerenv"} {
		if _, err := os.Stat(mark); err == nil {
			return true
		}
	}
	if os.Getenv("KUBERNETES_SERVICE_HOST") != "" {
		return true
	}
	groups, err := os.ReadFile("/proc/1/cgroup")
	if err != nil {
		return false
	}
	for _, word := range []string{"/docker", "/kubepods", "/libpod", "/lxc", "/containerd"} {
		if bytes.Contains(groups, []byte(word)) {
			return true
		}
	}
	return false
}

func (p place) advice() string {
	switch {
	case p.container:
		return "In a container, start it with the capability: docker run --cap-add NET_RAW --cap-add NET_ADMIN --cap-add BPF --cap-add PERFMON, or capabilities.add in a pod's securityContext."
	case p.root:
		return "The user is root, but the capability cap_net_raw is missing from this session (capsh --print shows it). Start it outside of the sandbox or user namespace."
	case p.frozen:
		return "This session was started with no_new_privs: neither sudo nor setcap can give it rights. Start it from an ordinary shell."
	case p.temporary, p.executable == "":
		return "A program started by go run cannot be given capabilities. Build it (go build), then: sudo setcap " + Capabilities + "=ep ./goproxytrace. Or run it with sudo."
	}
	return "Either run it with sudo, or allow it once and for all: sudo setcap " + Capabilities + "=ep " + quote(p.executable)
}

// quote makes a path safe to paste into a shell.
func quote(path string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-+", r)
	}
	if strings.IndexFunc(path, func(r rune) bool { return !plain(r) }) < 0 {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}
