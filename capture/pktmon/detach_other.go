//go:build !windows

package pktmon

import "os/exec"

func detach(*exec.Cmd) {}
