package hostlog

import (
	"fmt"
	"net/netip"
	"strings"
	"time"
	"unicode/utf8"

	"goproxytrace/internal/terminal"
)

// maxMessage bounds MESSAGE, in bytes.
const maxMessage = 1 << 10

// message makes one harmless line of a text.
func message(format string, args ...any) string {
	return cut(terminal.Clean(cut(RedactText(fmt.Sprintf(format, args...)), maxMessage)), maxMessage)
}

// cut shortens s to n bytes, between characters.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for i := n; i > 0 && i > n-utf8.UTFMax; i-- {
		if utf8.RuneStart(s[i]) {
			return s[:i]
		}
	}
	return s[:n]
}

func end(a netip.AddrPort) string {
	if !a.Addr().IsValid() {
		return "an unknown address"
	}
	return a.String()
}

func who(pid uint32) string {
	if pid == 0 {
		return "no process"
	}
	return fmt.Sprintf("PID %d", pid)
}

// span is the time between two moments, in milliseconds at the finest.
func span(from, to int64) string {
	return time.Duration(max(to-from, 0)).Round(time.Millisecond).String()
}

// Message is part of Record.
func (c *Claim) Message() string {
	verb := "connects from"
	if c.Server {
		verb = "accepted at"
	}
	s := fmt.Sprintf("PID %d %s %s, peer %s", c.PID, verb, end(c.Local), end(c.Remote))
	if c.Until != 0 {
		s += ", closed after " + span(c.Time, c.Until)
	}
	if c.Source != "" {
		s += fmt.Sprintf(" (%s)", c.Source)
	}
	return message("%s", s)
}

// Message is part of Record.
func (p *Process) Message() string {
	name := p.Name
	if name == "" {
		name = "unnamed"
	}
	s := fmt.Sprintf("%s (PID %d", name, p.PID)
	if p.Parent != 0 {
		s += fmt.Sprintf(", started by PID %d", p.Parent)
	}
	s += ")"
	if p.Container != "" {
		s += fmt.Sprintf(" in container %.12s", p.Container)
	}
	if len(p.Args) > 0 {
		s += ": " + strings.Join(RedactArgs(p.Args), " ")
	}
	return message("%s", s)
}

// Message is part of Record.
func (x *Exit) Message() string {
	switch {
	case x.Signal != 0:
		return message("PID %d was ended by signal %d", x.PID, x.Signal)
	case x.Code < 0:
		return message("PID %d ended", x.PID)
	}
	return message("PID %d ended with exit code %d", x.PID, x.Code)
}

// Message is part of Record.
func (a *Attempt) Message() string {
	s := fmt.Sprintf("PID %d: connect to %s", a.PID, end(a.Remote))
	switch {
	case a.Error != "":
		s += " failed with " + a.Error
		if a.Ended > a.Time {
			s += " after " + span(a.Time, a.Ended)
		}
	case a.Ended != 0:
		s += " ended after " + span(a.Time, a.Ended)
	default:
		s += " is under way"
	}
	return message("%s", s)
}

// Message is part of Record.
func (s *Socket) Message() string {
	m := fmt.Sprintf("socket of %s, %s to %s: %s, %d bytes unread, %d unacknowledged", who(s.PID), end(s.Local), end(s.Remote), s.State, s.Unread, s.Unsent)
	if s.BytesReceived != nil {
		m += fmt.Sprintf(", %d received", *s.BytesReceived)
	}
	if s.Retransmits > 0 {
		m += fmt.Sprintf(", %d retransmissions unanswered", s.Retransmits)
	}
	if s.Probes > 0 {
		m += fmt.Sprintf(", %d probes unanswered", s.Probes)
	}
	if s.LastDataReceived != nil {
		m += fmt.Sprintf(", last data %s ago", time.Duration(*s.LastDataReceived)*time.Millisecond)
	}
	return message("%s", m)
}

// Message is part of Record.
func (s *Subject) Message() string {
	return message("the session is about PID %d and what it starts", s.PID)
}

// Message is part of Record.
func (l *Line) Message() string {
	if l.Stream == "" {
		return message("%s", l.Text)
	}
	return message("%s: %s", l.Stream, l.Text)
}

// Message is part of Record.
func (s *Setting) Message() string {
	m := s.Name + "=" + RedactSetting(s.Name, s.Value)
	if s.From != "" {
		m += " (" + s.From + ")"
	}
	return message("%s", m)
}

// Message is part of Record.
func (e *Event) Message() string {
	m := e.Text
	if e.Origin != "" {
		m = e.Origin + ": " + m
	}
	if e.PID != 0 {
		m += fmt.Sprintf(" (PID %d)", e.PID)
	}
	return message("%s", m)
}

// Message is part of Record.
func (u *Unread) Message() string { return message("%s: not readable because %s", u.Source, u.Why) }
