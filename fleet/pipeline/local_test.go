package pipeline

import (
	"context"
	"net"
	"net/netip"
	"os"
	"runtime"
	"testing"
	"time"

	jobpb "github.com/apache/beam/sdks/v2/go/pkg/beam/model/jobmanagement_v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// A job server takes a job, which may be to start any program, from its own user on
// this machine and from nobody else.
func TestPrismServesItsOwnUserAlone(t *testing.T) {
	at, err := InsidePrism(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ask := func() error {
		conn, err := grpc.NewClient(at, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		_, err = jobpb.NewJobServiceClient(conn).DescribePipelineOptions(ctx, &jobpb.DescribePipelineOptionsRequest{})
		return err
	}
	if err := ask(); err != nil {
		t.Fatalf("the same user: %v", err)
	}
	defer userOf.Store(userOf.Load())
	userOf.Store(func(_, _ netip.AddrPort) (int, bool) { return os.Geteuid() + 1, true })
	if err := ask(); err == nil {
		t.Error("another user was answered")
	}
}

func TestAdmit(t *testing.T) {
	defer userOf.Store(userOf.Load())
	tcp := func(s string) net.Addr { return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(s)) }
	for _, c := range []struct {
		name, remote, own string
		uid               int
		known, want       bool
	}{
		{"this user", "127.0.0.1:40000", "127.0.0.1:8073", os.Geteuid(), true, true},
		{"this user by IPv6", "[::1]:40000", "[::1]:8073", os.Geteuid(), true, true},
		{"IPv4 on a socket for both", "[::ffff:127.0.0.1]:40000", "[::ffff:127.0.0.1]:8073", os.Geteuid(), true, true},
		{"root", "127.0.0.1:40000", "127.0.0.1:8073", 0, true, true},
		{"a system without a list", "127.0.0.1:40000", "127.0.0.1:8073", -1, false, true},
		{"another user", "127.0.0.1:40000", "127.0.0.1:8073", os.Geteuid() + 1, true, false},
		{"a socket that is gone", "127.0.0.1:40000", "127.0.0.1:8073", -1, true, false},
		{"another machine", "192.0.2.7:40000", "192.0.2.1:8073", os.Geteuid(), true, false},
		{"another machine by IPv6", "[2001:db8::7]:40000", "[2001:db8::1]:8073", os.Geteuid(), true, false},
		{"another machine in an IPv6 address", "[::ffff:192.0.2.7]:40000", "[::ffff:192.0.2.1]:8073", os.Geteuid(), false, false},
	} {
		userOf.Store(func(_, _ netip.AddrPort) (int, bool) { return c.uid, c.known })
		if err := admit(tcp(c.remote), tcp(c.own)); (err == nil) != c.want {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestSocketUser(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux lists whose sockets are")
	}
	l, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	from, to := netip.MustParseAddrPort(c.LocalAddr().String()), netip.MustParseAddrPort(c.RemoteAddr().String())
	if uid, known := socketUser(from, to); uid != os.Geteuid() || !known {
		t.Errorf("user %d, %v; want %d", uid, known, os.Geteuid())
	}
	if uid, known := socketUser(netip.AddrPortFrom(from.Addr(), 1), to); uid != -1 || !known {
		t.Errorf("no such socket: user %d, %v", uid, known)
	}
}
