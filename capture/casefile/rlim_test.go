//go:build unix && !freebsd && !dragonfly

package casefile

func rlim(n int) uint64 { return uint64(n) }
