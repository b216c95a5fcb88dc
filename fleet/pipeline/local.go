package pipeline

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	_ "unsafe" // for go:linkname

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

// Prism and the worker pools of Beam's SDK ask nobody who they are, and Prism
// listens on all interfaces: whoever reaches it can have it start any program
// (environment type PROCESS). Neither lets its caller choose the address or options
// of its server. gRPC has options for all servers of a process, for its own modules
// alone; there is no other way in.
//
//go:linkname globalServerOptions google.golang.org/grpc/internal.AddGlobalServerOptions
var globalServerOptions any // func(...grpc.ServerOption)

var closingServers sync.Once

// onlyLocal makes all gRPC servers that this process starts from now on close
// connections from elsewhere than this machine and, where the system tells (Linux),
// from other users than this process's and root.
func onlyLocal() error {
	var err error
	closingServers.Do(func() {
		add, ok := globalServerOptions.(func(...grpc.ServerOption))
		if !ok {
			err = fmt.Errorf("gRPC %s takes no options for all servers: Prism would listen to anybody", grpc.Version)
			return
		}
		add(grpc.Creds(local{insecure.NewCredentials()}))
	})
	return err
}

// local is no encryption, but for connections of this machine alone.
type local struct {
	credentials.TransportCredentials
}

func (l local) Clone() credentials.TransportCredentials {
	return local{l.TransportCredentials.Clone()}
}

func (l local) ServerHandshake(c net.Conn) (net.Conn, credentials.AuthInfo, error) {
	if err := admit(c.RemoteAddr(), c.LocalAddr()); err != nil {
		return nil, nil, err
	}
	return l.TransportCredentials.ServerHandshake(c)
}

// userOf tells whose a connection's other end is. Tests have others, while servers
// are asking.
var userOf atomic.Value // func(from, to netip.AddrPort) (uid int, known bool)

func init() { userOf.Store(socketUser) }

// admit reports who is not to be spoken to.
func admit(remote, own net.Addr) error {
	from, err := netip.ParseAddrPort(remote.String())
	if err != nil {
		return err
	}
	to, err := netip.ParseAddrPort(own.String())
	if err != nil {
		return err
	}
	if !from.Addr().Unmap().IsLoopback() {
		return fmt.Errorf("a connection from %s, which is not this machine", from)
	}
	uid, known := userOf.Load().(func(_, _ netip.AddrPort) (int, bool))(from, to)
	if known && uid != os.Geteuid() && uid != 0 {
		return fmt.Errorf("a connection of another user (%d)", uid)
	}
	return nil
}

// socketUser returns the user that has the socket at from which is connected with
// to. A socket that cannot be found has user -1; known is false where the system
// has no list of them.
func socketUser(from, to netip.AddrPort) (uid int, known bool) {
	// The kernel lists sockets piece by piece: one may slip through.
	for range 5 {
		for _, path := range []string{"/proc/self/net/tcp", "/proc/self/net/tcp6"} {
			raw, err := os.ReadFile(path)
			if err != nil {
				continue
			}
			known = true
			if uid, ok := findSocket(string(raw), from, to); ok {
				return uid, true
			}
		}
		if !known {
			return -1, false
		}
		time.Sleep(10 * time.Millisecond)
	}
	return -1, true
}

// findSocket reads a list of proc(5), /proc/net/tcp.
func findSocket(list string, from, to netip.AddrPort) (uid int, ok bool) {
	for line := range strings.Lines(list) {
		f := strings.Fields(line)
		if len(f) < 8 || !isEndpoint(f[1], from) || !isEndpoint(f[2], to) {
			continue
		}
		if uid, err := strconv.Atoi(f[7]); err == nil {
			return uid, true
		}
	}
	return 0, false
}

// isEndpoint reports whether a text like 0100007F:1F90 is an address and port. The
// address stands there in words of 32 bits as the machine has them.
func isEndpoint(text string, want netip.AddrPort) bool {
	host, port, _ := strings.Cut(text, ":")
	n, err := strconv.ParseUint(port, 16, 16)
	if err != nil || uint16(n) != want.Port() {
		return false
	}
	raw, err := hex.DecodeString(host)
	if err != nil || len(raw)%4 != 0 {
		return false
	}
	for i := 0; i < len(raw); i += 4 {
		binary.BigEndian.PutUint32(raw[i:], binary.NativeEndian.Uint32(raw[i:]))
	}
	a, ok := netip.AddrFromSlice(raw)
	return ok && a.Unmap() == want.Addr().Unmap()
}
