package pktmon

import (
	"path/filepath"

	"golang.org/x/sys/windows"
)

// system is where Windows has pktmon.exe. The environment is not asked: what
// runs here runs as administrator.
func system() string {
	dir, err := windows.GetSystemDirectory()
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "pktmon.exe")
}

func elevated() bool { return windows.GetCurrentProcessToken().IsElevated() }
