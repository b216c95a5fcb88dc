//go:build !linux

package probe

import "net"

// socketOf has nobody to ask on this system.
func socketOf(*net.TCPConn) *Socket { return nil }
