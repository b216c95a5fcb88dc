// Package hostlog holds what a host itself can say while packets are captured
// on it: which process owned which socket, what was started and what ended,
// attempts that left no packet, the state of its sockets, what the go command
// printed and how it was set up.
//
// In come records of one of the types here, out come the fields of a systemd
// journal entry (Fields), which is how they stand in a case file, and back
// (Parse). The package knows no operating system; those who watch one
// (capture/owner) make the records, those who judge (analyze) take them.
package hostlog

import "net/netip"

// Record is one of the record types of this package.
type Record interface {
	// When is the time of what the record tells, in Unix nanoseconds.
	When() int64
	// Message is one line for a person to read, as MESSAGE in the journal.
	Message() string
}

// Source says where a claim comes from, best first.
type Source string

// Sources.
const (
	KernelEvent Source = "kernel event"    // eBPF, ETW: the kernel said so as it happened
	SystemCall  Source = "system call"     // seccomp notification of connect()
	SocketTable Source = "socket table"    // sock_diag, GetExtendedTcpTable, read at some time
	EventLog    Source = "event log"       // written by the system or a monitor of it as it happened (Security 5156, Sysmon 3), by the log's clock
	Annotation  Source = "file annotation" // written into the capture by another tool
	Inferred    Source = "inferred"        // from the process tree or the go command's words
)

// Claim says that a process owned a socket.
type Claim struct {
	// Local and Remote are the ends as the owner sees them; Local's port is
	// zero where the kernel had not chosen it.
	Local, Remote netip.AddrPort
	// Time is when the socket began to connect or, from a socket table, when
	// it was seen, in Unix nanoseconds; Until is when it was closed, zero
	// where that is not known (yet).
	Time, Until int64
	// Cookie is the kernel's number for the socket, never used twice while
	// it runs; zero where unknown.
	Cookie uint64
	// PID owns the socket; TID is the thread that acted, zero where unknown.
	PID, TID uint32
	// Server is true where the process accepted the connection rather than
	// made it.
	Server bool
	Source Source
}

// Process describes a process: when it was started, or found running.
type Process struct {
	Time   int64 // when this was learned, Unix nanoseconds
	PID    uint32
	Parent uint32 // zero where unknown
	UID    uint32
	// HasUID is true where UID is known (zero is root).
	HasUID bool
	// Start is when it began, in Unix nanoseconds; zero where unknown.
	Start int64
	Name  string   // the kernel's short name of it
	Path  string   // of its executable; empty where unknown
	Args  []string // its command line; nil where unknown
	// Container is the identifier in its control group's path; empty for
	// none. PIDInContainer is its number there, zero where unknown.
	Container      string
	PIDInContainer uint32
	Source         Source
}

// Exit says that a process ended.
type Exit struct {
	Time int64
	PID  uint32
	// Code is the exit code, -1 where a signal ended it or it is unknown;
	// Signal is that signal's number, zero for none.
	Code, Signal int
}

// Attempt is a connect() by a process, told of because it failed or because
// its packets may be missing from the capture.
type Attempt struct {
	Time          int64 // of the call, Unix nanoseconds
	PID           uint32
	Local, Remote netip.AddrPort // Local may be the zero AddrPort
	Cookie        uint64
	// Error is the error's name ("EPERM", "ETIMEDOUT"); empty where it has not
	// failed by Ended. Ended is zero while it was under way.
	Error  string
	Ended  int64
	Source Source
}

// Socket is the state of a TCP socket at one moment, as the kernel's socket
// table has it (struct tcp_info, linux/tcp.h, and idiag_rqueue, idiag_wqueue).
// Pointers are nil where the kernel does not say.
type Socket struct {
	Time          int64
	PID           uint32 // zero where no process has it any more
	Local, Remote netip.AddrPort
	Cookie        uint64
	State         string // RFC 9293's name: "ESTABLISHED", "SYN-SENT"
	// Unread are bytes received and not yet read by the process, Unsent
	// bytes written by it and not yet acknowledged.
	Unread, Unsent uint32
	// BytesAcked and BytesReceived are payload bytes over the connection's
	// life (RFC 4898: ThruOctetsAcked, ThruOctetsReceived).
	BytesAcked, BytesReceived, BytesSent *uint64
	// Unacked are segments in flight; Retransmits is the count of unanswered
	// retransmissions of the oldest of them, TotalRetransmits over life.
	Unacked, Retransmits, TotalRetransmits uint32
	// Probes are the keep-alive or window probes without an answer.
	Probes uint32
	// RTT and MinRTT in microseconds, zero where not measured.
	RTT, MinRTT uint32
	// Ages in milliseconds before Time: of the last data sent, the last data
	// received, the last acknowledgement received; nil where unknown.
	LastDataSent, LastDataReceived, LastAckReceived *uint32
	// SendWindow is the window the peer last offered in bytes, ReceiveWindow
	// the one this host offers; nil where unknown.
	SendWindow, ReceiveWindow *uint32
}

// Subject says which process a session is about, with all that it starts: what
// other processes do meanwhile is not what the user asks for. A session with
// several subjects has a record of each, one about all processes none.
type Subject struct {
	Time int64 // when that was settled, Unix nanoseconds
	PID  uint32
}

// Line is one line that the go command (or what it started) printed.
type Line struct {
	Time int64
	PID  uint32 // of the command that was run; zero where unknown
	// Stream is "stdout" or "stderr", empty where both are one terminal.
	Stream string
	Text   string
}

// Setting is one of the go command's settings that bear on downloads, as
// go env prints it, or of the environment (HTTPS_PROXY, SSL_CERT_FILE).
type Setting struct {
	Time  int64
	Name  string
	Value string
	// From is "go env" or "environment".
	From string
}

// Unread says that something of what this host records could not be read, or not
// in full: what it would have said is not known, and that it says nothing means
// nothing.
type Unread struct {
	Time int64
	// Source is what was to be read, for a person: "the Security log".
	Source string
	// Why says what stands in the way.
	Why string
}

// FromCapture is the origin of an event that is a remark of the capture.
const FromCapture = "capture"

// Event is anything else the host recorded: a firewall's drop, a security
// product's record, an interface that went down, a remark of the capture.
type Event struct {
	Time   int64
	Origin string // what recorded it: FromCapture, "nftables", "netlink"
	Text   string
	PID    uint32 // zero where it is about none
}
