//go:build !unix

package goproxy

import "os/exec"

// ownGroup does nothing where there are no process groups: a time-out then
// ends the command alone, and exec.Cmd.WaitDelay stops waiting for the rest.
func ownGroup(*exec.Cmd) {}
