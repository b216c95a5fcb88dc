//go:build !linux && !windows

package main

import "runtime"

// systemName names the system in a case file.
func systemName() string {
	if runtime.GOOS == "darwin" {
		return "macOS"
	}
	return runtime.GOOS
}
