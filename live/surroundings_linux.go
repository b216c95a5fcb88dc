package live

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"goproxytrace/capture/hostlog"
	"goproxytrace/live/command"
)

// Surroundings returns how a running process was started: its environment,
// its directory, and the go command if it is one. False where this may not be
// read.
func Surroundings(p hostlog.Process) (o command.Options, ok bool) {
	dir := filepath.Join("/proc", strconv.FormatUint(uint64(p.PID), 10))
	env, err := os.ReadFile(filepath.Join(dir, "environ"))
	if err != nil {
		return o, false
	}
	st, err := os.Stat(dir)
	if err != nil {
		return o, false
	}
	o.Env = strings.FieldsFunc(string(env), func(r rune) bool { return r == 0 })
	if cwd, err := os.Readlink(filepath.Join(dir, "cwd")); err == nil {
		if st, err := os.Stat(cwd); err == nil && st.IsDir() {
			o.Dir = cwd
		}
	}
	if filepath.Base(p.Path) == "go" {
		o.Args = []string{p.Path}
	}
	// What another user's process is made of is run with that user's rights.
	owner, known := st.Sys().(*syscall.Stat_t)
	if !known {
		return o, false
	}
	if own := os.Geteuid(); int(owner.Uid) != own {
		if own != 0 {
			o.Args = nil
			return o, true
		}
		o.User = &command.User{UID: owner.Uid, GID: owner.Gid}
	}
	return o, true
}
