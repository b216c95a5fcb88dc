package probe

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"goproxytrace/analyze/diagnose"
)

// lookup makes one lookup, by the system's way or by asking one resolver.
func (r *Runner) lookup(ctx context.Context, lane Lane, arm Arm) *Attempt {
	a := &Attempt{Lane: lane, Arm: arm, Begin: r.o.Now(), Stage: diagnose.StageDNS, Remote: lane.Resolver}
	defer func() { a.Ended = r.o.Now() }()
	limited, cancel := context.WithTimeout(ctx, r.o.Timing.Lookup)
	defer cancel()
	if arm == SystemLookup {
		list, err := net.DefaultResolver.LookupNetIP(limited, "ip", a.Host)
		for i := range list {
			list[i] = list[i].Unmap()
		}
		a.Answers = []Answer{{Addresses: list, After: r.o.Now().Sub(a.Begin)}}
		a.judgeSystem(ctx, err)
		return a
	}
	kind := dnsmessage.TypeA
	if arm == AskAAAA {
		kind = dnsmessage.TypeAAAA
	}
	err := r.question(limited, a, kind)
	a.judgeAnswers(ctx, err)
	return a
}

func (a *Attempt) judgeSystem(ctx context.Context, err error) {
	var d *net.DNSError
	switch {
	case err == nil && len(a.Answers[0].Addresses) > 0:
		a.pass()
		if sink := sinkhole(a.Answers[0].Addresses); sink.IsValid() {
			a.die(diagnose.DNSSinkhole, fmt.Sprintf("the answer %v leads nowhere", sink))
		}
		return
	case err == nil:
		a.die(diagnose.DNSNoData, "no address")
		return
	}
	a.fail(ctx, diagnose.StageDNS, err)
	a.Class, a.Place, a.Level = diagnose.DNSServFail, anywhere, diagnose.Consistent
	if errors.As(err, &d) {
		switch {
		case d.IsNotFound:
			a.Class = diagnose.DNSNXDomain
		case d.IsTimeout:
			a.Class, a.End = diagnose.DNSNoAnswer, Timeout
		}
	}
	if a.End == Timeout {
		a.Class = diagnose.DNSNoAnswer
	}
}

func (a *Attempt) die(c diagnose.Class, detail string) {
	a.Stage, a.End, a.Class, a.Detail = diagnose.StageDNS, Failed, c, detail
	a.Place, a.Level = anywhere, diagnose.Consistent
}

// afterFirst is how long a second answer to a question is waited for: a forger
// is faster than the resolver by less than a round trip.
const afterFirst = 1500 * time.Millisecond

// question asks once and takes all answers.
func (r *Runner) question(ctx context.Context, a *Attempt, kind dnsmessage.Type) error {
	name, err := dnsmessage.NewName(strings.TrimSuffix(a.Host, ".") + ".")
	if err != nil {
		return fmt.Errorf("%q is no name: %w", a.Host, err)
	}
	var random [2]byte
	rand.Read(random[:])
	id := binary.BigEndian.Uint16(random[:])
	q, err := ask(id, dnsmessage.Question{Name: name, Type: kind, Class: dnsmessage.ClassINET})
	if err != nil {
		return err
	}
	var d net.Dialer
	c, err := d.DialContext(ctx, "udp", a.Resolver.String())
	if err != nil {
		return err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })()
	if u, ok := c.LocalAddr().(*net.UDPAddr); ok {
		a.Local = u.AddrPort()
	}
	begin := r.o.Now()
	if _, err := c.Write(q); err != nil {
		return err
	}
	buf := make([]byte, 4096)
	for {
		n, err := c.Read(buf)
		if err != nil {
			if len(a.Answers) > 0 {
				return nil
			}
			return limitOr(ctx, err)
		}
		answer, ok := readAnswer(buf[:n], id, kind)
		if !ok {
			continue // answers nothing that was asked
		}
		if len(a.Answers) == 0 {
			_ = c.SetReadDeadline(time.Now().Add(min(afterFirst, r.o.Timing.Lookup)))
		}
		answer.After = r.o.Now().Sub(begin)
		a.Answers = append(a.Answers, answer)
		if len(a.Answers) >= maxAnswers {
			return nil
		}
	}
}

// readAnswer reads the answer to a question; ok is false for anything else.
func readAnswer(b []byte, id uint16, kind dnsmessage.Type) (a Answer, ok bool) {
	var m dnsmessage.Message
	if m.Unpack(b) != nil || !m.Response || m.ID != id || len(m.Questions) != 1 || m.Questions[0].Type != kind {
		return a, false
	}
	return Answer{Addresses: addressesOf(&m), RCode: rcodeName(m.RCode)}, true
}

// maxAnswers bounds the answers to one question that are kept.
const maxAnswers = 8

// limitOr is the deadline where that ended it: closing the socket gives
// another error.
func limitOr(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return context.DeadlineExceeded
	}
	return err
}

// ask builds a question as Go's resolver does, with EDNS0 (RFC 6891).
func ask(id uint16, q dnsmessage.Question) ([]byte, error) {
	b := dnsmessage.NewBuilder(nil, dnsmessage.Header{ID: id, RecursionDesired: true, AuthenticData: true})
	err := errors.Join(b.StartQuestions(), b.Question(q), b.StartAdditionals())
	var h dnsmessage.ResourceHeader
	const room = 1232
	err = errors.Join(err, h.SetEDNS0(room, dnsmessage.RCodeSuccess, false), b.OPTResource(h, dnsmessage.OPTResource{}))
	if err != nil {
		return nil, err
	}
	return b.Finish()
}

func addressesOf(m *dnsmessage.Message) (out []netip.Addr) {
	for i := range m.Answers {
		switch body := m.Answers[i].Body.(type) {
		case *dnsmessage.AResource:
			out = append(out, netip.AddrFrom4(body.A))
		case *dnsmessage.AAAAResource:
			out = append(out, netip.AddrFrom16(body.AAAA))
		}
	}
	slices.SortFunc(out, netip.Addr.Compare)
	return out
}

var rcodes = map[dnsmessage.RCode]string{
	dnsmessage.RCodeSuccess: "NOERROR", dnsmessage.RCodeFormatError: "FORMERR", dnsmessage.RCodeServerFailure: "SERVFAIL",
	dnsmessage.RCodeNameError: "NXDOMAIN", dnsmessage.RCodeNotImplemented: "NOTIMP", dnsmessage.RCodeRefused: "REFUSED",
}

func rcodeName(c dnsmessage.RCode) string {
	if s, ok := rcodes[c]; ok {
		return s
	}
	return fmt.Sprintf("RCODE%d", c)
}

// judgeAnswers judges what came back to one question.
func (a *Attempt) judgeAnswers(ctx context.Context, err error) {
	if len(a.Answers) == 0 {
		a.fail(ctx, diagnose.StageDNS, err)
		a.Class, a.Place, a.Level = diagnose.DNSNoAnswer, anywhere, diagnose.Consistent
		if a.End == Refused || a.End == Unreachable {
			a.Class = diagnose.DNSUnreachable
		}
		return
	}
	first := &a.Answers[0]
	for _, other := range a.Answers[1:] {
		if !slices.Equal(first.Addresses, other.Addresses) || first.RCode != other.RCode {
			a.die(diagnose.DNSForged, fmt.Sprintf("one question, two answers: %s, then %s", first, other))
			return
		}
	}
	switch {
	case first.RCode == "NXDOMAIN":
		a.die(diagnose.DNSNXDomain, first.RCode)
	case first.RCode == "REFUSED":
		a.die(diagnose.DNSRefused, first.RCode)
	case first.RCode != "NOERROR":
		a.die(diagnose.DNSServFail, first.RCode)
	case sinkhole(first.Addresses).IsValid():
		a.die(diagnose.DNSSinkhole, fmt.Sprintf("the answer %v leads nowhere", sinkhole(first.Addresses)))
	default:
		// No address of one family is how most names are.
		a.pass()
	}
}

// String is how an answer is quoted.
func (a Answer) String() string {
	if len(a.Addresses) == 0 {
		return a.RCode
	}
	var list []string
	for _, x := range a.Addresses {
		list = append(list, x.String())
	}
	return strings.Join(list, ", ")
}

// sinkhole finds an address that no server of the public network has: the
// unspecified one and loopback. Private ones may be a company's own proxy.
func sinkhole(list []netip.Addr) netip.Addr {
	for _, a := range list {
		if a = a.Unmap(); a.IsUnspecified() || a.IsLoopback() {
			return a
		}
	}
	return netip.Addr{}
}
