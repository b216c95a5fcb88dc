package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// maxRSS returns the largest resident size of a process that has ended, in KiB.
func maxRSS(s *os.ProcessState) int64 {
	if u, ok := s.SysUsage().(*syscall.Rusage); ok {
		return int64(u.Maxrss)
	}
	return 0
}

// workersOf returns the worker processes that a process has started.
func workersOf(parent int) (pids []int) {
	list, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", parent))
	for _, path := range list {
		raw, _ := os.ReadFile(path)
		for _, field := range bytes.Fields(raw) {
			line, _ := os.ReadFile(filepath.Join("/proc", string(field), "cmdline"))
			if pid, err := strconv.Atoi(string(field)); err == nil && bytes.Contains(line, []byte("\x00worker\x00")) {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}
