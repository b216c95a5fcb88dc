//go:build unix

package goproxy

import (
	"os/exec"
	"syscall"
)

// ownGroup makes a time-out end the command's children too: a go command may
// be a wrapper that starts the real one.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}
