//go:build unix

package main

import (
	"os"
	"runtime"
	"syscall"
)

// peakResident is the process's largest resident set in bytes.
func peakResident(s *os.ProcessState) int64 {
	u, ok := s.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0
	}
	if runtime.GOOS == "darwin" {
		return int64(u.Maxrss)
	}
	return int64(u.Maxrss) << 10
}
