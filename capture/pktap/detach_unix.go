//go:build unix

package pktap

import (
	"os/exec"
	"syscall"
)

// detach keeps a Ctrl-C on the terminal from tcpdump: it is told to stop when
// the capture is.
func detach(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }
