package main

import (
	"fmt"

	"golang.org/x/sys/windows"
)

// systemName names the system in a case file.
func systemName() string {
	v := windows.RtlGetVersion()
	return fmt.Sprintf("Windows %d.%d.%d", v.MajorVersion, v.MinorVersion, v.BuildNumber)
}
