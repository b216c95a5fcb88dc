package lab

import (
	"net"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
)

// serveLookups starts the resolver.
func (l *Lab) serveLookups(s *Scenario) error {
	var pc net.PacketConn
	err := inNamespace(l.server, func() (err error) {
		pc, err = net.ListenPacket("udp", net.JoinHostPort(resolverAddr.v4.String(), "53"))
		return err
	})
	if err != nil {
		return err
	}
	l.cleanup = append(l.cleanup, func() { pc.Close() })
	go answerLookups(pc, s)
	return nil
}

func answerLookups(pc net.PacketConn, s *Scenario) {
	buf := make([]byte, 4096)
	for {
		n, from, err := pc.ReadFrom(buf)
		if err != nil {
			return
		}
		var q dnsmessage.Message
		if q.Unpack(buf[:n]) != nil || len(q.Questions) != 1 {
			continue
		}
		var a *dnsmessage.Message
		if s.Lookup != nil {
			a = s.Lookup(q.Questions[0])
		}
		if a == nil {
			a = zone(q.Questions[0], s.Path.Family)
		}
		if a == silence {
			continue
		}
		// A copy: a hook may give the same message to several lookups.
		reply := *a
		reply.ID, reply.Response, reply.RecursionDesired, reply.RecursionAvailable = q.ID, true, q.RecursionDesired, true
		reply.Questions = q.Questions
		if b, err := reply.Pack(); err == nil {
			pc.WriteTo(b, from)
		}
	}
}

// zone answers for the sites.
func zone(q dnsmessage.Question, family Family) *dnsmessage.Message {
	a, ok := siteAddrs[strings.TrimSuffix(q.Name.String(), ".")]
	switch {
	case !ok:
		return &dnsmessage.Message{Header: dnsmessage.Header{RCode: dnsmessage.RCodeNameError}}
	case q.Type == dnsmessage.TypeA && family != IPv6Only:
		return records(q, a.v4)
	case q.Type == dnsmessage.TypeAAAA && family != IPv4Only:
		return records(q, a.v6)
	}
	return &dnsmessage.Message{}
}
