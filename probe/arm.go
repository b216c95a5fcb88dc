package probe

// Arm names what is different about an attempt.
type Arm string

// The arms. Default is what the go command does; each of the others changes
// one thing.
const (
	// Default: Go's own ClientHello with its post-quantum key share (about
	// 1,520 bytes, two segments), ALPN h2 and http/1.1, then one request.
	Default Arm = "default"
	// NoMLKEM leaves the post-quantum groups out: about 300 bytes.
	NoMLKEM Arm = "no-mlkem"
	// Padded is NoMLKEM again, padded to the length of Default by protocol
	// names in ALPN that nobody has: length without post-quantum groups.
	Padded Arm = "padded"
	// SmallSegments is Default in segments of at most smallSegment bytes both
	// ways (TCP_MAXSEG): nothing that is sent or received needs a large packet.
	SmallSegments Arm = "small-segments"
	// OtherName asks the same address for a harmless name.
	OtherName Arm = "other-name"
	// OtherAddress asks the address of another host for the same name.
	OtherAddress Arm = "other-address"
	// OtherPort connects to port 80 of the same address and says nothing.
	OtherPort Arm = "other-port"
	// HTTP1 is Default without HTTP/2.
	HTTP1 Arm = "http1"
	// Lookups.
	SystemLookup Arm = "system-lookup" // as the system (and so the go command) does
	AskA         Arm = "ask-a"         // one resolver, IPv4 addresses
	AskAAAA      Arm = "ask-aaaa"      // the same, IPv6 addresses
)

// Group is what a user asks for by --arms.
type Group string

// Groups, in the order in which they are told of.
const (
	GroupDNS         Group = "dns"
	GroupAddress     Group = "address"
	GroupHelloSize   Group = "hello-size"
	GroupName        Group = "name"
	GroupMTU         Group = "mtu"
	GroupFamily      Group = "family"
	GroupProxy       Group = "proxy"
	GroupCertificate Group = "certificate"
	GroupRequest     Group = "request"
)

// Groups lists all groups.
var Groups = []Group{
	GroupDNS, GroupAddress, GroupHelloSize, GroupName, GroupMTU, GroupFamily, GroupProxy, GroupCertificate, GroupRequest,
}

// armsOf are the arms of a group beside Default, which every group compares
// with.
var armsOf = map[Group][]Arm{
	GroupDNS:         {SystemLookup, AskA, AskAAAA},
	GroupAddress:     {OtherAddress, OtherPort},
	GroupHelloSize:   {NoMLKEM, Padded},
	GroupName:        {OtherName, OtherAddress},
	GroupMTU:         {SmallSegments},
	GroupFamily:      {},
	GroupProxy:       {},
	GroupCertificate: {OtherName},
	GroupRequest:     {HTTP1},
}

// smallSegment is the largest segment of SmallSegments in bytes: with headers
// it fits every IPv4 and IPv6 link (RFC 8200, section 5: 1,280 bytes), tunnels
// included.
const smallSegment = 1100
