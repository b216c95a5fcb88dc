package hostlog

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Journal fields that every record has.
const (
	// KindField holds the type of the record: "claim", "process", "exit",
	// "attempt", "socket", "subject", "line", "setting", "event", "block" or
	// "unread".
	KindField = prefix + "RECORD"
	// VersionField counts changes that readers of older versions would
	// misunderstand; additions do not change it.
	VersionField = prefix + "VERSION"
	// RepeatedField is "1" on a record that an earlier file of a ring holds
	// too; it is repeated so that each file can be read alone.
	RepeatedField = prefix + "REPEATED"

	// Identifier is the value of SYSLOG_IDENTIFIER.
	Identifier = "goproxytrace"

	prefix  = "GOPROXYTRACE_"
	version = 1
)

// Bounds of one value, in bytes.
const (
	maxText = 32 << 10
	maxName = 256
)

// ErrForeign says that a journal entry is none of goproxytrace's.
var ErrForeign = errors.New("not an entry of goproxytrace")

// UnknownError says that an entry is of a kind or version that a later
// goproxytrace writes; readers pass over it.
type UnknownError struct {
	Kind    string
	Version int64
}

func (e *UnknownError) Error() string {
	return fmt.Sprintf("record of the unknown kind %.40q, version %d", e.Kind, e.Version)
}

// FieldError says which field of an entry makes no sense.
type FieldError struct {
	Field, Value, Reason string
}

func (e *FieldError) Error() string {
	return fmt.Sprintf("journal field %s=%.60q: %s", e.Field, e.Value, e.Reason)
}

// Fields returns the journal entry of a record. Credentials are cut out of
// it, and texts cut to 32 KiB, names to 256 bytes; Parse returns the rest
// exactly as it was. A record that is none of this package's becomes an event.
func Fields(r Record) map[string]string {
	e := encoder{}
	switch r := r.(type) {
	case *Claim:
		e.kind("claim", r.Time)
		e.addr("LOCAL", r.Local)
		e.addr("REMOTE", r.Remote)
		e.number("UNTIL", r.Until)
		e.unsigned("COOKIE", r.Cookie)
		e.number("PID", int64(r.PID))
		e.number("TID", int64(r.TID))
		e.flag("SERVER", r.Server)
		e.name("SOURCE", string(r.Source))
	case *Process:
		e.kind("process", r.Time)
		e.number("PID", int64(r.PID))
		e.number("PARENT", int64(r.Parent))
		if r.HasUID {
			e[prefix+"UID"] = strconv.FormatUint(uint64(r.UID), 10)
		}
		e.number("START", r.Start)
		e.name("NAME", r.Name)
		e.text("PATH", r.Path)
		if r.Args != nil {
			e[prefix+"ARGS"] = joinArgs(RedactArgs(r.Args))
		}
		e.name("CONTAINER", r.Container)
		e.number("PID_IN_CONTAINER", int64(r.PIDInContainer))
		e.name("SOURCE", string(r.Source))
	case *Exit:
		e.kind("exit", r.Time)
		e.number("PID", int64(r.PID))
		e[prefix+"CODE"] = strconv.Itoa(r.Code)
		e.number("SIGNAL", int64(r.Signal))
	case *Attempt:
		e.kind("attempt", r.Time)
		e.number("PID", int64(r.PID))
		e.addr("LOCAL", r.Local)
		e.addr("REMOTE", r.Remote)
		e.unsigned("COOKIE", r.Cookie)
		e.name("ERROR", r.Error)
		e.number("ENDED", r.Ended)
		e.name("SOURCE", string(r.Source))
	case *Socket:
		e.kind("socket", r.Time)
		e.socket(r)
	case *Subject:
		e.kind("subject", r.Time)
		e.number("PID", int64(r.PID))
	case *Line:
		e.kind("line", r.Time)
		e.number("PID", int64(r.PID))
		e.name("STREAM", r.Stream)
		e.text("TEXT", RedactText(cut(r.Text, 2*maxText)))
	case *Setting:
		e.kind("setting", r.Time)
		e.name("NAME", r.Name)
		e.text("VALUE", RedactSetting(r.Name, cut(r.Value, 2*maxText)))
		e.name("FROM", r.From)
	case *Event:
		e.kind("event", r.Time)
		e.name("ORIGIN", r.Origin)
		e.text("TEXT", RedactText(cut(r.Text, 2*maxText)))
		e.number("PID", int64(r.PID))
	case *Block:
		e.kind("block", r.Time)
		e.block(r)
	case *Unread:
		e.kind("unread", r.Time)
		e.name("NAME", r.Source)
		e.text("TEXT", RedactText(cut(r.Why, 2*maxText)))
	default:
		e.kind("event", r.When())
		e.text("TEXT", r.Message())
	}
	e["MESSAGE"] = r.Message()
	return e
}

func (e encoder) socket(s *Socket) {
	e.number("PID", int64(s.PID))
	e.addr("LOCAL", s.Local)
	e.addr("REMOTE", s.Remote)
	e.unsigned("COOKIE", s.Cookie)
	e.name("STATE", s.State)
	e.number("UNREAD", int64(s.Unread))
	e.number("UNSENT", int64(s.Unsent))
	e.count("BYTES_ACKED", s.BytesAcked)
	e.count("BYTES_RECEIVED", s.BytesReceived)
	e.count("BYTES_SENT", s.BytesSent)
	e.number("UNACKED", int64(s.Unacked))
	e.number("RETRANSMITS", int64(s.Retransmits))
	e.number("TOTAL_RETRANSMITS", int64(s.TotalRetransmits))
	e.number("PROBES", int64(s.Probes))
	e.number("RTT", int64(s.RTT))
	e.number("MIN_RTT", int64(s.MinRTT))
	e.count32("LAST_DATA_SENT", s.LastDataSent)
	e.count32("LAST_DATA_RECEIVED", s.LastDataReceived)
	e.count32("LAST_ACK_RECEIVED", s.LastAckReceived)
	e.count32("SEND_WINDOW", s.SendWindow)
	e.count32("RECEIVE_WINDOW", s.ReceiveWindow)
}

// Parse makes a record of a journal entry. The error is ErrForeign for the
// entries of other programs, an *UnknownError for those of later versions,
// and a *FieldError where a value makes no sense. Entries come from files and
// may say anything: values are bounded, times are not negative, and a Source
// that is not known is taken for an Annotation.
func Parse(fields map[string]string) (Record, error) {
	kind, ours := fields[KindField]
	if !ours {
		return nil, ErrForeign
	}
	d := decoder{fields: fields}
	v := d.number("VERSION", 0, math.MaxInt64)
	if d.err != nil {
		return nil, d.err
	}
	if v > version {
		return nil, &UnknownError{Kind: kind, Version: v}
	}
	var r Record
	switch kind {
	case "claim":
		r = &Claim{Local: d.addr("LOCAL"), Remote: d.addr("REMOTE"), Time: d.time("TIME"), Until: d.time("UNTIL"),
			Cookie: d.unsigned("COOKIE"), PID: d.u32("PID"), TID: d.u32("TID"), Server: d.flag("SERVER"), Source: d.source()}
	case "process":
		_, hasUID := fields[prefix+"UID"]
		r = &Process{Time: d.time("TIME"), PID: d.u32("PID"), Parent: d.u32("PARENT"), UID: d.u32("UID"), HasUID: hasUID,
			Start: d.time("START"), Name: d.name("NAME"), Path: d.text("PATH"), Args: d.args(),
			Container: d.name("CONTAINER"), PIDInContainer: d.u32("PID_IN_CONTAINER"), Source: d.source()}
	case "exit":
		x := &Exit{Time: d.time("TIME"), PID: d.u32("PID"), Code: -1, Signal: int(d.number("SIGNAL", 0, math.MaxUint16))}
		if _, known := fields[prefix+"CODE"]; known {
			x.Code = int(d.number("CODE", math.MinInt32, math.MaxUint32))
		}
		r = x
	case "attempt":
		r = &Attempt{Time: d.time("TIME"), PID: d.u32("PID"), Local: d.addr("LOCAL"), Remote: d.addr("REMOTE"),
			Cookie: d.unsigned("COOKIE"), Error: d.name("ERROR"), Ended: d.time("ENDED"), Source: d.source()}
	case "socket":
		r = d.socket()
	case "subject":
		r = &Subject{Time: d.time("TIME"), PID: d.u32("PID")}
	case "line":
		r = &Line{Time: d.time("TIME"), PID: d.u32("PID"), Stream: d.name("STREAM"), Text: d.text("TEXT")}
	case "setting":
		r = &Setting{Time: d.time("TIME"), Name: d.name("NAME"), Value: d.text("VALUE"), From: d.name("FROM")}
	case "event":
		r = &Event{Time: d.time("TIME"), Origin: d.name("ORIGIN"), Text: d.text("TEXT"), PID: d.u32("PID")}
	case "block":
		r = d.block()
	case "unread":
		r = &Unread{Time: d.time("TIME"), Source: d.name("NAME"), Why: d.text("TEXT")}
	default:
		return nil, &UnknownError{Kind: cut(kind, maxName), Version: v}
	}
	if d.err == nil && fields[prefix+"TIME"] == "" {
		d.fail("TIME", "", "every record has a time")
	}
	if d.err != nil {
		return nil, d.err
	}
	return r, nil
}

func (d *decoder) socket() *Socket {
	return &Socket{
		Time: d.time("TIME"), PID: d.u32("PID"), Local: d.addr("LOCAL"), Remote: d.addr("REMOTE"),
		Cookie: d.unsigned("COOKIE"), State: d.name("STATE"), Unread: d.u32("UNREAD"), Unsent: d.u32("UNSENT"),
		BytesAcked: d.count("BYTES_ACKED"), BytesReceived: d.count("BYTES_RECEIVED"), BytesSent: d.count("BYTES_SENT"),
		Unacked: d.u32("UNACKED"), Retransmits: d.u32("RETRANSMITS"), TotalRetransmits: d.u32("TOTAL_RETRANSMITS"),
		Probes: d.u32("PROBES"), RTT: d.u32("RTT"), MinRTT: d.u32("MIN_RTT"),
		LastDataSent: d.count32("LAST_DATA_SENT"), LastDataReceived: d.count32("LAST_DATA_RECEIVED"),
		LastAckReceived: d.count32("LAST_ACK_RECEIVED"),
		SendWindow:      d.count32("SEND_WINDOW"), ReceiveWindow: d.count32("RECEIVE_WINDOW"),
	}
}

// encoder collects an entry; zero and empty values are left out.
type encoder map[string]string

func (e encoder) kind(kind string, at int64) {
	e["SYSLOG_IDENTIFIER"] = Identifier
	e[KindField] = kind
	e[VersionField] = strconv.Itoa(version)
	// The journal's own time has microseconds only.
	e[prefix+"TIME"] = strconv.FormatInt(max(at, 0), 10)
}

func (e encoder) number(name string, v int64) {
	if v > 0 {
		e[prefix+name] = strconv.FormatInt(v, 10)
	}
}

func (e encoder) unsigned(name string, v uint64) {
	if v != 0 {
		e[prefix+name] = strconv.FormatUint(v, 10)
	}
}

func (e encoder) count(name string, v *uint64) {
	if v != nil {
		e[prefix+name] = strconv.FormatUint(*v, 10)
	}
}

func (e encoder) count32(name string, v *uint32) {
	if v != nil {
		e[prefix+name] = strconv.FormatUint(uint64(*v), 10)
	}
}

func (e encoder) flag(name string, v bool) {
	if v {
		e[prefix+name] = "1"
	}
}

func (e encoder) addr(name string, a netip.AddrPort) {
	// An address that Parse would refuse (an endless zone) is left out.
	if s := a.String(); a.IsValid() && len(s) <= maxName {
		e[prefix+name] = s
	}
}

func (e encoder) name(name, v string) { e.bounded(name, v, maxName) }
func (e encoder) text(name, v string) { e.bounded(name, v, maxText) }

func (e encoder) bounded(name, v string, limit int) {
	if v != "" {
		e[prefix+name] = cut(v, limit)
	}
}

// joinArgs writes arguments as quoted strings of Go, since an argument may
// hold spaces, newlines and bytes that are no text.
func joinArgs(args []string) string {
	var b strings.Builder
	for i, a := range args {
		q := strconv.Quote(a)
		// Room is left for an argument that says that more were cut.
		if b.Len()+len(q) > maxText-16 {
			if b.Len() == 0 {
				q = strconv.Quote(cut(a, maxText/8)) + " "
				b.WriteString(q)
			}
			b.WriteString(strconv.Quote("…"))
			break
		}
		b.WriteString(q)
		if i < len(args)-1 {
			b.WriteByte(' ')
		}
	}
	return b.String()
}

// decoder reads an entry; it keeps the first error.
type decoder struct {
	fields map[string]string
	err    error
}

func (d *decoder) fail(name, value, reason string) {
	if d.err == nil {
		d.err = &FieldError{Field: prefix + name, Value: cut(value, maxName), Reason: reason}
	}
}

func (d *decoder) number(name string, low, high int64) int64 {
	s := d.fields[prefix+name]
	if s == "" {
		return 0
	}
	v, err := strconv.ParseInt(s, 10, 64)
	if err != nil || v < low || v > high {
		d.fail(name, s, fmt.Sprintf("not a number from %d to %d", low, high))
		return 0
	}
	return v
}

func (d *decoder) time(name string) int64 { return d.number(name, 0, math.MaxInt64) }
func (d *decoder) u32(name string) uint32 { return uint32(d.number(name, 0, math.MaxUint32)) }

func (d *decoder) unsigned(name string) uint64 {
	if v := d.count(name); v != nil {
		return *v
	}
	return 0
}

func (d *decoder) count(name string) *uint64 {
	s, known := d.fields[prefix+name]
	if !known {
		return nil
	}
	v, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		d.fail(name, s, "not a number from 0 on that 64 bits hold")
		return nil
	}
	return &v
}

func (d *decoder) count32(name string) *uint32 {
	if _, known := d.fields[prefix+name]; !known {
		return nil
	}
	v := d.u32(name)
	return &v
}

func (d *decoder) flag(name string) bool { return d.number(name, 0, 1) == 1 }

func (d *decoder) addr(name string) netip.AddrPort {
	s := d.fields[prefix+name]
	if s == "" {
		return netip.AddrPort{}
	}
	if len(s) > maxName {
		d.fail(name, s, "too long for an address and a port")
		return netip.AddrPort{}
	}
	a, err := netip.ParseAddrPort(s)
	if err != nil {
		d.fail(name, s, "not an address and a port")
	}
	return a
}

func (d *decoder) name(name string) string { return cut(d.fields[prefix+name], maxName) }
func (d *decoder) text(name string) string { return cut(d.fields[prefix+name], maxText) }

var sources = []Source{"", KernelEvent, SystemCall, SocketTable, EventLog, Annotation, Inferred}

func (d *decoder) source() Source {
	if s := Source(d.fields[prefix+"SOURCE"]); slices.Contains(sources, s) {
		return s
	}
	return Annotation
}

func (d *decoder) args() []string {
	s, known := d.fields[prefix+"ARGS"]
	if !known {
		return nil
	}
	if len(s) > maxText {
		d.fail("ARGS", s, fmt.Sprintf("%d bytes, more than %d", len(s), maxText))
		return nil
	}
	args := []string{}
	for rest := s; rest != ""; {
		q, err := strconv.QuotedPrefix(rest)
		if err != nil || q[0] != '"' {
			d.fail("ARGS", s, "not a list of quoted strings")
			return nil
		}
		a, err := strconv.Unquote(q)
		if err != nil {
			d.fail("ARGS", s, "not a list of quoted strings")
			return nil
		}
		args = append(args, a)
		rest = strings.TrimPrefix(rest[len(q):], " ")
	}
	return args
}
