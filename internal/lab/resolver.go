//go:build linux

package lab

import (
	"net/netip"

	"golang.org/x/net/dns/dnsmessage"
)

// silence is what a Lookup returns for no answer at all.
var silence = new(dnsmessage.Message)

// records answers a question with addresses.
func records(q dnsmessage.Question, list ...netip.Addr) *dnsmessage.Message {
	m := &dnsmessage.Message{}
	for _, a := range list {
		h := dnsmessage.ResourceHeader{Name: q.Name, Class: dnsmessage.ClassINET, TTL: 60}
		if a.Is4() {
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: h, Body: &dnsmessage.AResource{A: a.As4()}})
		} else {
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: h, Body: &dnsmessage.AAAAResource{AAAA: a.As16()}})
		}
	}
	return m
}

// Unresolved answers no question at all.
func Unresolved(dnsmessage.Question) *dnsmessage.Message { return silence }

// Rcode answers every question with a DNS error code.
func Rcode(code dnsmessage.RCode) func(dnsmessage.Question) *dnsmessage.Message {
	return func(dnsmessage.Question) *dnsmessage.Message {
		return &dnsmessage.Message{Header: dnsmessage.Header{RCode: code}}
	}
}

// Resolved answers questions for IPv4 addresses with these, any other with
// none.
func Resolved(list ...string) func(dnsmessage.Question) *dnsmessage.Message {
	return func(q dnsmessage.Question) *dnsmessage.Message {
		if q.Type != dnsmessage.TypeA {
			return &dnsmessage.Message{}
		}
		var addrs []netip.Addr
		for _, s := range list {
			addrs = append(addrs, netip.MustParseAddr(s))
		}
		return records(q, addrs...)
	}
}
