//go:build !windows

package terminal

func isWindowsBrokenPipe(error) bool { return false }
