//go:build !windows

package pktmon

// system is empty: only Windows has the program, tests bring their own.
func system() string { return "" }

func elevated() bool { return true }
