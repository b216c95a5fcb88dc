//go:build freebsd || dragonfly

package casefile

func rlim(n int) int64 { return int64(n) }
