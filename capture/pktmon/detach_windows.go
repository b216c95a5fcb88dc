package pktmon

import (
	"os/exec"
	"syscall"

	"golang.org/x/sys/windows"
)

// detach gives a command a console of its own that nobody sees: a Ctrl-C in
// ours, or its window's close, is not to end it while it ends the capture.
func detach(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{HideWindow: true, CreationFlags: windows.CREATE_NO_WINDOW | windows.CREATE_NEW_PROCESS_GROUP}
}
