// Package decode turns captured frames into transport segments.
//
// In comes a capture.Packet, out come the TCP segments, UDP datagrams, ICMP
// messages and address-resolution messages inside it, through link headers,
// tags, tunnels and IP fragments. Lengths follow the IP headers, not the
// captured bytes, exactly as Wireshark counts them, so that a sliced capture
// keeps its sequence arithmetic. It is the only analysis package that imports
// gopacket. Input is hostile: nothing here panics, and nothing is silently
// skipped (Decoder.Unread counts what was not read, by name).
package decode

// Proto is the kind of a Segment.
type Proto uint8

const (
	ProtoOther Proto = iota
	ProtoTCP
	ProtoUDP
	ProtoICMP   // ICMPv4
	ProtoICMPv6 // errors and echo; neighbour discovery is ProtoARP
	ProtoARP    // ARP, and IPv6 neighbour solicitation and advertisement
)

// Addr is an IPv6 address, or an IPv4 address in its IPv4-mapped form.
type Addr [16]byte

// TCP header flags.
const (
	FIN uint16 = 1 << iota
	SYN
	RST
	PSH
	ACK
	URG
	ECE
	CWR
	AE
)

// Segment is one transport unit. All slices borrow the packet's bytes, or, where
// Reassembled is set, have memory of their own.
type Segment struct {
	Frame int64 // capture.Packet.Number
	Time  int64 // capture.Packet.Time
	Src   Addr
	Dst   Addr
	// SrcPort and DstPort are zero for ICMP and ARP.
	SrcPort, DstPort uint16
	Interface        int32
	Proto            Proto
	IPVersion        uint8 // 4 or 6; 0 for a segment outside IP
	TTL              uint8 // or hop limit
	// Layer counts the transport layers of one frame from 0, outermost
	// first (tunnels).
	Layer uint8
	// Direction is the packet's recorded direction (capture.Direction), or
	// that of a cooked link header.
	Direction    uint8
	DontFragment bool
	// Loopback is true where the packet is known to come from a loopback
	// interface: its name or the cooked header's hardware type says so.
	Loopback bool
	// HasIPID is false for IPv6 without a fragment header.
	HasIPID bool
	// Fragment is true for a first fragment that was not reassembled, and
	// for a header that another device sampled (sFlow): no payload length is
	// known.
	Fragment bool
	// Reassembled is true where the segment was put together from IP
	// fragments; Frame is then the frame that completed it.
	Reassembled bool
	// Short is true where the IP payload is shorter than the TCP header
	// says: such a segment belongs to a stream but is not analysed.
	Short bool
	// OptionsCut is true where the capture ends inside the TCP options.
	OptionsCut bool
	// SACKPermitted, HasTimestamps: TCP options kinds 4 and 8 present.
	SACKPermitted, HasTimestamps bool
	SACKCount                    uint8
	// WindowScale is the shift of option 3 as sent, -1 where absent.
	WindowScale int8
	// MPTCP is the subtype of the first MPTCP option (kind 30), -1 where absent.
	MPTCP int8
	// HeaderLen is the TCP header's length in bytes as its data offset
	// says (may be below 20 in a bogus header).
	HeaderLen uint8
	IPID      uint16
	Flags     uint16 // TCP
	Window    uint16 // TCP, unscaled
	MSS       uint16 // TCP option 2, zero where absent
	Seq, Ack  uint32
	// Len is the transport payload's length on the wire in bytes, from the
	// IP lengths. Payload may be shorter where the snapshot length cut it.
	Len          uint32
	TSval, TSecr uint32
	SACK         [4][2]uint32
	// Payload holds the captured bytes of the transport payload. For ARP
	// it is empty; for ICMP it is what follows the first eight bytes.
	Payload []byte
	// Transport holds the captured bytes from the transport header on,
	// for the checksum.
	Transport []byte
	// ICMPType and ICMPCode; for ARP, ICMPType is 1 for a question and 2
	// for an answer, Src is who asks or answers and Dst the address that is
	// asked about or answered for.
	ICMPType, ICMPCode uint8
	// Quote is set on ICMP errors that quote a transport header.
	Quote *Quote
	// Process is the owner recorded in the frame itself (PKTAP), or nil.
	Process *Process
	// Owner is whom the capture file names as the packet's owner; the zero
	// Owner where it names nobody.
	Owner Owner
}

// OwnerGrade says how far a recorded owner is to be trusted.
type OwnerGrade uint8

// Grades, the best highest. The zero OwnerGrade stands for no owner.
const (
	// OwnerWeak is the process that ran when the packet was logged.
	OwnerWeak OwnerGrade = iota + 1
	// OwnerStrong is what a capture tool found out.
	OwnerStrong
	// OwnerExact is what the kernel recorded with the packet.
	OwnerExact
)

// Owner is a process that has one end of the connection that a packet is of.
type Owner struct {
	// PID is zero for no owner.
	PID uint32
	// EffectivePID is the process on whose behalf that one acts, zero where
	// it is the same or not known.
	EffectivePID uint32
	Grade        OwnerGrade
}

// Quote is the packet that an ICMP error quotes.
type Quote struct {
	Proto            Proto
	IPVersion        uint8
	TTL              uint8
	HasSeq           bool
	IPID             uint16
	Src, Dst         Addr
	SrcPort, DstPort uint16
	Seq              uint32
	// MTU is the next-hop MTU of a "fragmentation needed" or "packet too
	// big" message in bytes, zero where not given.
	MTU uint32
}

// Process is an owner recorded in a link header.
type Process struct {
	PID           int32
	Name          string
	EffectivePID  int32
	EffectiveName string
}
