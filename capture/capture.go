// Package capture says what a captured packet is and where packets come from.
//
// In comes a file or an interface (the packages below this one), out come
// batches of packets with the facts that the container or the kernel knows
// about each: time, length on the wire, link type, interface, direction,
// owner. The package knows no TCP and no TLS.
package capture

import (
	"errors"
	"fmt"
	"time"
)

// LinkType is a LINKTYPE_ value of the tcpdump.org link-layer header registry.
type LinkType uint16

// Direction is the way a packet crossed its interface, as recorded with it.
type Direction uint8

// Values of Direction; zero means that the capture does not say.
const (
	DirectionUnknown Direction = iota
	Inbound
	Outbound
)

// Kind tells a captured frame from a record that only takes a frame number.
type Kind uint8

const (
	// KindFrame is a captured frame.
	KindFrame Kind = iota
	// KindEvent is a record that Wireshark numbers as a frame although
	// nothing crossed a wire: a systemd journal export block or a custom
	// block (0xBAD, 0x40000BAD). Data holds the record's content.
	KindEvent
)

// Packet is one numbered record of a capture.
type Packet struct {
	// Number is the frame number as Wireshark counts, from 1.
	Number int64
	// Time is in nanoseconds since 1970-01-01 00:00 UTC. Zero where the
	// record carries no time (HasTime is false then).
	Time int64
	// Data holds the captured bytes. It is borrowed: it stays valid until
	// the batch it came in is filled again.
	Data []byte
	// Length is the number of bytes the frame had on the wire; never less
	// than zero, and more than len(Data) where the snapshot length cut it.
	Length int
	// Interface is the index into Info.Interfaces, -1 where unknown.
	Interface int32
	// ProcessID is the owner recorded with the packet (pcapng option 8, Apple's
	// process index); zero where none is recorded.
	ProcessID uint32
	// EffectivePID is the process on whose behalf the owner acts, as Apple's
	// kernel records it; zero where none is recorded.
	EffectivePID uint32
	LinkType     LinkType
	// FCSLen is the length in bytes of the frame check sequence at the end
	// of the frame; -1 where the capture does not say.
	FCSLen    int8
	Direction Direction
	Kind      Kind
	HasTime   bool
	// OwnerByKernel is true where a kernel recorded ProcessID with the packet,
	// rather than the capture tool.
	OwnerByKernel bool
	// Loopback is true where the packet is known to come from a loopback
	// interface.
	Loopback bool
	// Dropped is true where the capture says that the host threw the
	// packet away (a packet verdict, or a drop reason).
	Dropped bool
	// Comment joins the packet's comments with newlines; empty for none.
	Comment string
}

// Batch is a run of packets together with the memory they borrow.
// The zero Batch is ready for use; reuse it to avoid allocation.
type Batch struct {
	Packets []Packet
	// Buf is the memory behind Packets' Data, owned by the Source that
	// fills the batch until it is filled again.
	Buf []byte
}

// Source yields packets in file order.
type Source interface {
	// Read fills b with the next packets, at least one unless it returns
	// an error, at most a bounded amount (about half a MiB). io.EOF comes after
	// the last packet; a *DamageError after the last packet before the
	// damage. Packets and an error never come together.
	Read(b *Batch) error
	// Info reports what is known of the capture so far; it is complete
	// once Read has returned an error. It must not be called while Read
	// runs.
	Info() *Info
	Close() error
}

// Live is a Source that ends when it is told to. Read waits for packets; a
// batch of none is how it says that some time passed without any.
type Live interface {
	Source
	// Stop ends the capture: Read delivers what the kernel had taken in
	// before the call, and then returns io.EOF. It may be called while Read
	// runs, and more than once.
	Stop()
	// Counters sums the interfaces' counters so far. It may be called while
	// Read runs.
	Counters() Counters
}

// Patient is implemented by live sources that work less where packets may come
// a little later.
type Patient interface {
	// TakeTime says that nobody waits for a packet: somewhat more than a
	// tenth of a second is soon enough. It may be called while Read runs.
	TakeTime()
}

// Counters are the numbers of a capture under way, in packets.
type Counters struct {
	// Received passed the filter, Dropped of them were lost because they
	// were not fetched in time, Delivered were handed out by Read.
	Received, Dropped, Delivered uint64
}

// Progress is implemented by sources that know their size.
type Progress interface {
	// Progress returns how many bytes of the input were consumed and how
	// many there are; total is zero where unknown. It may be called while
	// Read runs.
	Progress() (read, total int64)
}

// Interface describes one capture interface.
type Interface struct {
	Name        string
	Description string
	Filter      string
	OS          string
	Hardware    string
	LinkType    LinkType
	// SnapLen is the snapshot length in bytes; zero means no limit.
	SnapLen uint32
	// Section is the zero-based pcapng section the interface belongs to.
	Section int
	// Packets counts the frames read from this interface.
	Packets int64
	// DropCount sums the drops that the packets themselves report (pcapng
	// epb_dropcount, or the count of an obsolete packet block): packets
	// lost since the one before.
	DropCount uint64
	// Statistics, from the latest interface-statistics block. Each is
	// absent (nil) where the capture does not record it.
	Received       *uint64 // packets received by the interface (isb_ifrecv)
	Dropped        *uint64 // dropped by the interface (isb_ifdrop)
	FilterAccepted *uint64 // accepted by the filter (isb_filteraccept)
	OSDropped      *uint64 // dropped by the operating system (isb_osdrop)
	Delivered      *uint64 // delivered to the user (isb_usrdeliv)
	// Start and End are the statistics' times in Unix nanoseconds; zero
	// where not recorded.
	Start, End int64
}

// Info is what the container says about itself.
type Info struct {
	// Format is "pcap" or "pcapng", with "+gzip" or "+zstd" appended for
	// a compressed file.
	Format      string
	Sections    int
	Hardware    string
	OS          string
	Application string
	Interfaces  []Interface
	// Packets and Events count the numbered records read so far; Bytes
	// counts captured bytes.
	Packets, Events, Bytes int64
	// Blocks counts the blocks that are not packets, by name
	// ("name resolution", "decryption secrets", "custom", ...).
	Blocks map[string]int64
	// Names holds name-resolution records: address text to names.
	Names map[string][]string
	// HasSecrets is true where the file carries decryption secrets.
	HasSecrets bool
	// EventRecords are the numbered records of KindEvent, bounded.
	EventRecords []EventRecord
	// Processes lists the processes that the capture describes, in file
	// order, bounded. A PID can appear more than once when it was reused.
	Processes []Process
	// Notes are remarks about the container for a person to read.
	Notes []string
}

// Process describes a process that owned sockets while the capture ran.
type Process struct {
	PID  uint32
	Name string
	Path string
	// CommandLine joins the arguments with spaces.
	CommandLine string
	// Parent is the PID of the parent, zero where unknown.
	Parent uint32
	// Start is when the process began, in Unix nanoseconds; zero where
	// unknown.
	Start int64
}

// EventRecord is the content of one journal or custom block.
type EventRecord struct {
	Number int64
	Time   int64 // Unix nanoseconds, zero where unknown
	Kind   string
	Fields map[string]string
}

// ErrNotCapture says that the input begins with no known magic number.
var ErrNotCapture = errors.New("not a capture file")

// DamageError says where a capture stops making sense. Everything before it
// was delivered.
type DamageError struct {
	// Offset is the byte offset in the (uncompressed) file at which the
	// damaged record begins.
	Offset int64
	// Packet is the number the packet at or after the damage would have
	// had: one more than the number of records read.
	Packet int64
	Reason string
}

func (e *DamageError) Error() string {
	return fmt.Sprintf("damaged at packet %d (file offset %d): %s", e.Packet, e.Offset, e.Reason)
}

// Timestamp converts Unix nanoseconds to a time.Time in UTC.
func Timestamp(ns int64) time.Time { return time.Unix(0, ns).UTC() }
