package dnswire

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
)

// Bounds on what is kept of one message.
const (
	maxAnswers = 64
	maxErrors  = 8
	maxText    = 256 // bytes of an extended error's text
)

// Message is what matters of one DNS message.
type Message struct {
	ID     uint16
	OpCode uint8
	// RCode is the response code with the bits that EDNS adds (RCodeName);
	// zero is success.
	RCode         uint16
	Response      bool
	Truncated     bool
	Authoritative bool
	// Questions counts the questions; Name, Type and Class are the first
	// one's, zero without one. The root is ".".
	Questions int
	Name      string
	Type      uint16
	Class     uint16
	// Answers lists the answer section in order, at most 64; AnswerCount
	// counts what was read of it.
	Answers     []Answer
	AnswerCount int
	// SOA is true where the authority section holds a start of authority,
	// which marks NXDOMAIN and "no data" answers (RFC 2308); Zone is its
	// owner.
	SOA  bool
	Zone string
	// OPT is true where the message carries EDNS (RFC 6891). UDPSize is then
	// the sender's payload size in bytes (section 6.2.3), Options how many
	// options came with it.
	OPT     bool
	UDPSize uint16
	Options int
	// Errors lists extended errors, at most 8.
	Errors []ExtendedError
}

// Answer is one record of an answer section.
type Answer struct {
	Name string
	Type uint16
	// TTL is in seconds.
	TTL uint32
	// Addr is the address of an A or AAAA record, else the zero Addr.
	Addr netip.Addr
	// Target is the name of a CNAME record, else "".
	Target string
}

// data is what two answers must share to say the same.
func (a *Answer) data() string {
	if a.Addr.IsValid() {
		return a.Addr.String()
	}
	return strconv.Itoa(int(a.Type)) + " " + strings.ToLower(a.Target)
}

// ExtendedError is an extended DNS error (RFC 8914).
type ExtendedError struct {
	// Code is its number (ExtendedErrorName).
	Code uint16
	// Text is at most 256 bytes of what the server added, unescaped.
	Text string
}

// NoData reports whether the message says that the name exists without such
// records.
func (m *Message) NoData() bool {
	if !m.Response || m.RCode != 0 || m.Truncated {
		return false
	}
	for i := range m.Answers {
		if m.Answers[i].Type == m.Type {
			return false
		}
	}
	return true
}

const optExtendedError = 15

var errShort = errors.New("message is shorter than its header")

// Parse reads a message. With an error comes what was read before it.
func Parse(b []byte) (Message, error) {
	var m Message
	var p dnsmessage.Parser
	if len(b) < 12 {
		return m, errShort
	}
	h, err := p.Start(b)
	if err != nil {
		return m, fmt.Errorf("header: %w", err)
	}
	m.ID, m.Response, m.OpCode = h.ID, h.Response, uint8(h.OpCode)
	m.RCode, m.Truncated, m.Authoritative = uint16(h.RCode), h.Truncated, h.Authoritative
	for {
		q, err := p.Question()
		if errors.Is(err, dnsmessage.ErrSectionDone) {
			break
		}
		if err != nil {
			return m, fmt.Errorf("question %d: %w", m.Questions, err)
		}
		if m.Questions == 0 {
			m.Name, m.Type, m.Class = trim(q.Name), uint16(q.Type), uint16(q.Class)
		}
		m.Questions++
	}
	for {
		h, err := p.AnswerHeader()
		if errors.Is(err, dnsmessage.ErrSectionDone) {
			break
		}
		if err != nil {
			return m, fmt.Errorf("answer %d: %w", m.AnswerCount, err)
		}
		a := Answer{Name: trim(h.Name), Type: uint16(h.Type), TTL: h.TTL}
		switch h.Type {
		case dnsmessage.TypeA:
			var r dnsmessage.AResource
			if r, err = p.AResource(); err == nil {
				a.Addr = netip.AddrFrom4(r.A)
			}
		case dnsmessage.TypeAAAA:
			var r dnsmessage.AAAAResource
			if r, err = p.AAAAResource(); err == nil {
				a.Addr = netip.AddrFrom16(r.AAAA)
			}
		case dnsmessage.TypeCNAME:
			var r dnsmessage.CNAMEResource
			if r, err = p.CNAMEResource(); err == nil {
				a.Target = trim(r.CNAME)
			}
		default:
			err = p.SkipAnswer()
		}
		if err != nil {
			return m, fmt.Errorf("answer %d: %w", m.AnswerCount, err)
		}
		m.AnswerCount++
		if len(m.Answers) < maxAnswers {
			m.Answers = append(m.Answers, a)
		}
	}
	for n := 0; ; n++ {
		h, err := p.AuthorityHeader()
		if errors.Is(err, dnsmessage.ErrSectionDone) {
			break
		}
		if err == nil {
			err = p.SkipAuthority()
		}
		if err != nil {
			return m, fmt.Errorf("authority %d: %w", n, err)
		}
		if h.Type == dnsmessage.TypeSOA && !m.SOA {
			m.SOA, m.Zone = true, trim(h.Name)
		}
	}
	for n := 0; ; n++ {
		h, err := p.AdditionalHeader()
		if errors.Is(err, dnsmessage.ErrSectionDone) {
			return m, nil
		}
		if err == nil && h.Type == dnsmessage.TypeOPT {
			m.OPT, m.UDPSize = true, uint16(h.Class)
			m.RCode |= uint16(h.TTL>>24) << 4
			var r dnsmessage.OPTResource
			if r, err = p.OPTResource(); err == nil {
				m.Options = len(r.Options)
				m.options(r.Options)
			}
		} else if err == nil {
			err = p.SkipAdditional()
		}
		if err != nil {
			return m, fmt.Errorf("additional %d: %w", n, err)
		}
	}
}

func (m *Message) options(options []dnsmessage.Option) {
	for _, o := range options {
		if o.Code != optExtendedError || len(o.Data) < 2 || len(m.Errors) >= maxErrors {
			continue
		}
		text := o.Data[2:]
		m.Errors = append(m.Errors, ExtendedError{
			Code: uint16(o.Data[0])<<8 | uint16(o.Data[1]),
			Text: string(text[:min(len(text), maxText)]),
		})
	}
}

// trim returns a name without its last dot; the root is ".".
func trim(n dnsmessage.Name) string {
	s := n.String()
	if len(s) > 1 {
		s = strings.TrimSuffix(s, ".")
	}
	return s
}
