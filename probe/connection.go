package probe

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"time"

	"goproxytrace/analyze/diagnose"
)

// connection makes one attempt to connect, and goes as far as its arm asks.
func (r *Runner) connection(ctx context.Context, lane Lane, arm Arm) *Attempt {
	a := &Attempt{Lane: lane, Arm: arm, Begin: r.o.Now()}
	defer func() { a.Ended = r.o.Now() }()
	c := r.connect(ctx, a)
	if c == nil {
		return a
	}
	defer c.Close()
	// What the user stops ends at once. A deadline rather than a closed
	// connection, so that the kernel can still be asked how it stood.
	defer context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })()
	m := &meter{Conn: c}
	t := r.beyond(ctx, a, m)
	hello, received := m.counts()
	a.Received = received
	if lane.Via == "" {
		a.HelloBytes = hello
	}
	a.Socket = socketOf(c)
	a.classify()
	if t != nil {
		_ = t.Close() // the far end has said what counts
	}
	return a
}

// beyond does what comes after the TCP connection, and returns the TLS
// connection, nil where there is none.
func (r *Runner) beyond(ctx context.Context, a *Attempt, c net.Conn) *tls.Conn {
	if a.Arm == OtherPort {
		a.pass()
		return nil
	}
	if a.Via != "" {
		if c = r.through(ctx, a, c); c == nil {
			return nil
		}
	}
	t := r.handshake(ctx, a, c)
	switch {
	case t == nil:
	case a.Arm == NoMLKEM, a.Arm == Padded, a.Arm == OtherName, a.Arm == OtherAddress:
		a.pass()
	default:
		r.ask(ctx, a, t)
	}
	return t
}

// connect makes the TCP connection; nil where that fails.
func (r *Runner) connect(ctx context.Context, a *Attempt) *net.TCPConn {
	a.Stage = diagnose.StageConnect
	to := netip.AddrPortFrom(a.Address, a.Port)
	if a.Arm == OtherPort {
		to = netip.AddrPortFrom(a.Address, otherPort)
	}
	limited, cancel := context.WithTimeout(ctx, r.o.Timing.Connect)
	defer cancel()
	var err error
	if a.Via != "" {
		if to, err = proxyAddress(limited, r.proxy(&a.Lane)); err != nil {
			a.fail(ctx, diagnose.StageDNS, fmt.Errorf("the proxy's address: %w", err))
			a.classify()
			return nil
		}
	}
	segment := 0
	if a.Arm == SmallSegments {
		segment = smallSegment
	}
	a.Remote = to
	c, local, err := dial(limited, to, segment)
	a.Local = local
	if err != nil {
		a.fail(ctx, diagnose.StageConnect, err)
		a.classify()
		return nil
	}
	a.Connect = r.o.Now().Sub(a.Begin)
	return c
}

// otherPort is one that an address with a web server usually answers on, if
// only by refusing.
const otherPort = 80

// proxyAddress finds the configured proxy, by name or address.
func proxyAddress(ctx context.Context, proxy *url.URL) (netip.AddrPort, error) {
	host, port := proxy.Hostname(), proxyPort(proxy)
	if a, err := netip.ParseAddr(host); err == nil {
		return netip.AddrPortFrom(a, port), nil
	}
	list, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return netip.AddrPort{}, err
	}
	return netip.AddrPortFrom(list[0].Unmap(), port), nil
}

func proxyPort(u *url.URL) uint16 {
	if n, err := strconv.ParseUint(u.Port(), 10, 16); err == nil {
		return uint16(n)
	}
	if u.Scheme == "https" {
		return 443
	}
	return 80
}

// through asks the proxy for a tunnel; nil where that fails.
func (r *Runner) through(ctx context.Context, a *Attempt, c net.Conn) net.Conn {
	way, status, err := tunnel(ctx, c, r.proxy(&a.Lane), net.JoinHostPort(a.Host, strconv.Itoa(int(a.Port))), r.o.Timing.Request)
	if err != nil {
		a.fail(ctx, diagnose.StageProxy, err)
		if status != 0 {
			a.End, a.HTTP = Status, status
		}
		return nil
	}
	return way
}

// handshake does TLS; nil where that fails. For a name that is not the
// address's own any answer will do.
func (r *Runner) handshake(ctx context.Context, a *Attempt, c net.Conn) *tls.Conn {
	name := a.Host
	if a.Arm == OtherName {
		name = r.o.HarmlessName
	}
	var rejected error
	config := clientConfig(a.Arm, name)
	config.VerifyConnection = func(cs tls.ConnectionState) error {
		a.Chain = chainOf(&cs, name)
		a.TLSVersion, a.ALPN = tls.VersionName(cs.Version), cs.NegotiatedProtocol
		if a.Arm != OtherName && a.Arm != OtherAddress {
			rejected = verify(&cs, name)
		}
		return rejected
	}
	begin := r.o.Now()
	_ = c.SetDeadline(time.Now().Add(r.o.Timing.TLS))
	if ctx.Err() != nil { // the deadline that ends it at once came before
		_ = c.SetDeadline(time.Unix(1, 0))
	}
	t := tls.Client(c, config)
	err := t.Handshake()
	switch {
	case err == nil:
		a.TLS = r.o.Now().Sub(begin)
		return t
	case rejected != nil:
		a.Stage, a.End, a.Detail = diagnose.StageTLS, Certificate, rejected.Error()
	default:
		a.fail(ctx, diagnose.StageTLS, err)
		if a.End == Alert && (a.Arm == OtherName || a.Arm == OtherAddress) {
			a.pass() // it has answered
		}
	}
	return nil
}

// ask makes the request.
func (r *Runner) ask(ctx context.Context, a *Attempt, t *tls.Conn) {
	_ = t.SetDeadline(time.Now().Add(r.o.Timing.Request))
	host := a.Host
	if a.Port != 443 {
		host = net.JoinHostPort(host, strconv.Itoa(int(a.Port)))
	}
	status, location, first, err := request(ctx, t, host, r.o.path(a.Host))
	a.HTTP, a.Location, a.FirstByte = status, location, first
	switch {
	case err != nil:
		a.fail(ctx, diagnose.StageHTTP, err)
	case !fine(status):
		a.Stage, a.End = diagnose.StageHTTP, Status
	default:
		a.pass()
	}
}

func (a *Attempt) pass() {
	a.Stage, a.End, a.Class, a.Detail = diagnose.StageDone, Passed, diagnose.OK, ""
}

// fail notes where and how it ended. What the user has stopped says nothing.
func (a *Attempt) fail(ctx context.Context, stage diagnose.Stage, err error) {
	a.Stage, a.End, a.Detail, a.Errno = stage, endOf(err), err.Error(), errorName(err)
	if ctx.Err() != nil {
		a.End = Stopped
	}
	a.Cut = a.End == Timeout
}
