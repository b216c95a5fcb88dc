package scrub

import (
	"strconv"
	"strings"

	"goproxytrace/capture/annotations"
	"goproxytrace/capture/hostlog"
	"goproxytrace/capture/pcapfile"
	"goproxytrace/redact"
)

// entry returns the fields of the journal entry that takes a record's place and
// number: goproxytrace's own entries with what is private replaced, and of all
// others nothing but that there was one.
func entry(r *redact.Redactor, data []byte) map[string]string {
	fields := pcapfile.JournalFields(data)
	if _, own := fields[hostlog.KindField]; own {
		record, err := hostlog.Parse(fields)
		if err == nil && replace(r, record) {
			out := hostlog.Fields(record)
			if again := fields[hostlog.RepeatedField]; again == "1" {
				out[hostlog.RepeatedField] = again
			}
			return out
		}
	}
	out := map[string]string{"SYSLOG_IDENTIFIER": "scrub"}
	if fields["MESSAGE"] != "" {
		out["MESSAGE"] = "(an entry of another program, left out)"
	}
	return out
}

// replace replaces what is private in a record. It reports whether it knows
// records of its type.
func replace(r *redact.Redactor, record hostlog.Record) bool {
	switch v := record.(type) {
	case *hostlog.Exit, *hostlog.Subject:
	case *hostlog.Claim:
		v.Local, v.Remote = r.AddrPort(v.Local), r.AddrPort(v.Remote)
	case *hostlog.Attempt:
		v.Local, v.Remote = r.AddrPort(v.Local), r.AddrPort(v.Remote)
		v.Error = r.Text(v.Error)
	case *hostlog.Socket:
		v.Local, v.Remote = r.AddrPort(v.Local), r.AddrPort(v.Remote)
	case *hostlog.Process:
		v.Path, v.Args, v.Container = r.Program(v.Path), r.Command(v.Args), ""
	case *hostlog.Line:
		v.Text = r.Text(v.Text)
	case *hostlog.Setting:
		v.Value = r.Setting(v.Name, v.Value)
	case *hostlog.Event:
		v.Origin, v.Text = r.Text(v.Origin), r.Text(v.Text)
	case *hostlog.Unread:
		v.Source, v.Why = r.Text(v.Source), r.Text(v.Why)
	case *hostlog.Block:
		v.Local, v.Remote = r.AddrPort(v.Local), r.AddrPort(v.Remote)
		v.Path, v.Host = r.Program(v.Path), r.Host(v.Host)
		v.Origin, v.Rule, v.Provider, v.Layer = r.Text(v.Origin), r.Text(v.Rule), r.Text(v.Provider), r.Text(v.Layer)
	default:
		return false
	}
	return true
}

// ownerMark begins the comments in which goproxytrace names a packet's owner.
const ownerMark = "owner: "

// comment returns what stays of a packet's comments: the owner that a known tool
// names in them, without arguments.
func comment(r *redact.Redactor, text string) string {
	if text == "" {
		return ""
	}
	if n, ok := annotations.Parse(text); ok {
		return ownerComment(r, &n)
	}
	for line := range strings.SplitSeq(text, "\n") {
		if !strings.HasPrefix(line, ownerMark) {
			continue
		}
		// "owner: go (PID 7, started by PID 6): arguments"
		if end := strings.Index(line, ")"); end > 0 && strings.Contains(line[:end], " (PID ") {
			return line[:end+1]
		}
	}
	return ""
}

// ownerComment writes a note in the form of the tool that it is of.
func ownerComment(r *redact.Redactor, n *annotations.Note) string {
	number := func(v uint32) string { return strconv.FormatUint(uint64(v), 10) }
	if n.Tool == annotations.Etl2pcapng {
		if n.PID == 0 {
			return ""
		}
		s := "PID=" + number(n.PID)
		if n.TID != 0 {
			s += " TID=" + number(n.TID)
		}
		return s
	}
	s := "PID: " + number(n.PID)
	if p := n.Process; p != nil {
		if p.Path != "" {
			s += "\nCmd: " + r.Program(p.Path)
		}
		if p.Args != nil {
			s += "\nArgs: " + strings.Join(r.Command(p.Args), " ")
		}
		if p.HasUID {
			s += "\nUserId: " + number(p.UID)
		}
		if p.Parent != 0 {
			s += "\nParentPID: " + number(p.Parent)
		}
	}
	if p := n.Parent; p != nil && p.Path != "" {
		s += "\nParentCmd: " + r.Program(p.Path)
		if p.Args != nil {
			s += "\nParentArgs: " + strings.Join(r.Command(p.Args), " ")
		}
	}
	if n.TID != 0 {
		s += "\nThreadId: " + number(n.TID)
	}
	return s
}
