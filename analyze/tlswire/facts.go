package tlswire

// Bounds on what one conversation keeps. Lists that reach theirs stay as they
// are while the counts beside them go on.
const (
	maxHandshake   = 128 << 10 // bytes of one handshake message that are buffered
	maxHellos      = 2         // a ClientHello and the one after a HelloRetryRequest
	maxListed      = 512       // entries of one list in a hello
	maxCerts       = 16        // certificates of one chain
	maxCertNames   = 256       // subject alternative names of one certificate
	maxAlerts      = 16
	maxMalformed   = 16
	maxJA3         = 8 << 10 // bytes of a JA3 string that is kept in full
	firstRecords   = 8
	lastRecords    = 2
	maxRecordBytes = 1<<14 + 2048 // RFC 5246, section 6.2.3
)

// Role is the part that one direction plays in a handshake.
type Role uint8

// Values of Role; zero means that no hello told.
const (
	RoleUnknown Role = iota
	RoleClient
	RoleServer
)

func (r Role) String() string {
	switch r {
	case RoleClient:
		return "client"
	case RoleServer:
		return "server"
	}
	return "unknown"
}

// Place says where in the capture something was seen. The zero Place means
// that it was not seen.
type Place struct {
	// Frame is the number of the frame that held (the last byte of) it.
	Frame int64
	// Time is that frame's time in nanoseconds since 1970.
	Time int64
}

// Facts is everything learnt from one conversation. It grows while the
// conversation runs; zero values mean "not seen".
type Facts struct {
	// Version is the negotiated protocol version (VersionName), from the
	// final ServerHello; zero until that was seen.
	Version uint16
	// CipherSuite is the chosen suite (CipherSuiteName); valid with Version.
	CipherSuite uint16
	// ALPN is the protocol the server chose in clear (TLS 1.2 and before).
	ALPN string
	// Resumed is true where the server accepted an earlier session: the
	// echoed session id of TLS 1.2, or a pre-shared key of TLS 1.3.
	Resumed bool

	// ClientHellos holds the first ClientHello and the one that followed a
	// HelloRetryRequest. ClientHelloCount counts all of them, those of
	// renegotiations included.
	ClientHellos     []*ClientHello
	ClientHelloCount int
	// HelloRetry is the HelloRetryRequest, ServerHello the final
	// ServerHello; nil where not seen.
	HelloRetry  *ServerHello
	ServerHello *ServerHello

	// ServerChain and ClientChain are the certificates of a handshake in
	// clear (TLS 1.2 and before), leaf first; nil where none was readable.
	ServerChain, ClientChain *Chain
	// CertificateRequest is where the server asked for a client
	// certificate in clear, ServerDone where its first flight ended with
	// ServerHelloDone, ClientKeyExchange where the client answered it.
	CertificateRequest, ServerDone, ClientKeyExchange Place

	// Alerts lists alerts in clear in the order of completion, at most 16;
	// AlertCount counts them all.
	Alerts     []Alert
	AlertCount int
	// Malformed lists what could not be read, at most 16; MalformedCount
	// counts all.
	Malformed      []Malformed
	MalformedCount int

	// Sides describes the records of each direction, by the direction
	// number of the Data calls.
	Sides [2]Side

	client int8 // 1 + the client's direction; zero while unknown
}

// Role returns the role of a direction.
func (f *Facts) Role(dir int) Role {
	switch {
	case f.client == 0:
		return RoleUnknown
	case int(f.client)-1 == dir&1:
		return RoleClient
	}
	return RoleServer
}

// Client returns the client's direction, or -1 while it is unknown.
func (f *Facts) Client() int { return int(f.client) - 1 }

// Side returns the records that role sent, or nil while roles are unknown.
func (f *Facts) Side(role Role) *Side {
	switch {
	case f.client == 0:
		return nil
	case role == RoleClient:
		return &f.Sides[f.client-1]
	case role == RoleServer:
		return &f.Sides[2-f.client]
	}
	return nil
}

// ClientHello returns the first ClientHello, or nil.
func (f *Facts) ClientHello() *ClientHello {
	if len(f.ClientHellos) == 0 {
		return nil
	}
	return f.ClientHellos[0]
}

// Side is what one direction sent.
type Side struct {
	// Records counts complete and begun records of any type.
	Records int64
	// AppRecords and AppBytes count records of type application data and
	// the bytes in their bodies, as sent (TLS 1.3 puts the encrypted part
	// of the handshake into them too). Bytes that the capture lacks count
	// where a record header covers them.
	AppRecords, AppBytes int64
	// FirstApp and LastApp are where the first and the latest byte of
	// application data records was captured.
	FirstApp, LastApp Place
	// EncryptedHandshake and EncryptedAlerts count records of these types
	// whose content is not readable.
	EncryptedHandshake, EncryptedAlerts int
	// ChangeCipherSpec is where the first such record was completed,
	// ChangeCipherSpecs counts them.
	ChangeCipherSpec  Place
	ChangeCipherSpecs int
	// First holds the first eight encrypted records, Last the last two of
	// all (oldest first, so Last[1] is the latest; zero where there were
	// fewer). A record is listed when its last byte was passed.
	First []Record
	Last  [lastRecords]Record
	// LastMessage is the latest encrypted record that, by its length in TLS
	// 1.3, can be no alert and no HTTP/2 control frames (IsControl), and
	// Messages counts them. LastOther is the latest that need not be one of
	// them or two (IsOneControl). Zero where there was none.
	LastMessage, LastOther Record
	Messages               int64
	// Encrypted counts the records that First and Last choose from.
	Encrypted int64
	// Open is the record that has begun and not ended, OpenHave how many
	// bytes of its body were passed. Open.Frame is zero where none is open.
	Open     Record
	OpenHave int
	// Unread counts stream bytes outside any record: text before TLS,
	// what followed a hole until the records were found again, bytes that
	// are no TLS.
	Unread int64
	// Missing counts stream bytes that the capture does not hold, but for those
	// of records of application data that were under way: how long these are is
	// known, and what they hold nobody reads.
	Missing int64
	// SyncLost counts how often the record boundaries were lost.
	SyncLost int
	// NotTLS is where this direction's first bytes turned out to be no TLS
	// record; zero where they were one.
	NotTLS Place
}

// Record is one TLS record.
type Record struct {
	Place
	// Offset is the stream offset of its header in bytes.
	Offset int64
	// Length is its length field in bytes, without the five header bytes.
	Length uint16
	// Type is the content type in its header (ContentTypeName).
	Type uint8
}

// Alert is an alert that was sent in clear.
type Alert struct {
	Place
	// Dir is the direction it was sent in, From that direction's role.
	Dir  int
	From Role
	// Level is 1 (warning) or 2 (fatal).
	Level uint8
	// Number is the alert description (AlertName).
	Number uint8
	// Offset is the stream offset of its record in bytes.
	Offset int64
}

// Malformed is a place where the bytes do not follow the protocol.
type Malformed struct {
	Place
	// Dir is the direction it was sent in.
	Dir int
	// Offset is the stream offset in bytes of the record that the
	// offending message or record begins in.
	Offset int64
	// At is the position in bytes inside that message; zero for a record.
	At int
	// Reason says what is wrong.
	Reason string
}

// ClientHello is what a client offered.
type ClientHello struct {
	// Place is the frame that completed the record with its last byte.
	Place
	// First is the frame that held the first byte of its (first) record.
	First Place
	// Offset is the stream offset of its first record in bytes, End the
	// offset behind its last record.
	Offset, End int64
	// Bytes is the message's length in bytes with its four header bytes,
	// RecordBytes that of the records that carried it, with their headers,
	// and Records their number.
	Bytes, RecordBytes, Records int
	// RecordVersion is the version in the (first) record's header, Version
	// the legacy version in the message.
	RecordVersion, Version uint16
	// SSLv2 is true for a ClientHello in SSL 2.0 framing.
	SSLv2 bool
	// Cut is true where the capture does not hold the whole message: what
	// is listed stood before the cut, JA3 and JA4 are empty.
	Cut bool
	// SessionID is the session id as sent, at most 32 bytes.
	SessionID string
	// CipherSuites lists the suites in order, at most 512, GREASE
	// included. SSL 2.0 suites above 0xffff are left out.
	CipherSuites []uint16
	Compressions []byte
	// Extensions lists all extensions in order, at most 512;
	// ExtensionCount counts them all.
	Extensions     []Extension
	ExtensionCount int
	// ServerNames lists the names of the server_name extension as sent.
	ServerNames []string
	ALPN        []string
	// Groups, PointFormats, KeyShares, SupportedVersions and the signature
	// algorithms are listed in order, GREASE included.
	Groups                  []uint16
	PointFormats            []byte
	KeyShares               []KeyShare
	SupportedVersions       []uint16
	SignatureAlgorithms     []uint16
	SignatureAlgorithmsCert []uint16
	// ECH is true where encrypted_client_hello is present (a GREASE one
	// cannot be told from a real one), ESNI for its early drafts.
	ECH, ESNI bool
	// GREASE is true where any reserved value of RFC 8701 was offered.
	GREASE bool
	// TicketExtension is true where session_ticket is present; Ticket is
	// the offered ticket's length in bytes, zero where it was empty.
	TicketExtension bool
	Ticket          int
	// PSK is true where a pre-shared key is offered (a TLS 1.3 resumption),
	// EarlyData where 0-RTT data follows.
	PSK, EarlyData bool
	// JA3 is the JA3 string (empty where it is longer than 8 KiB),
	// JA3Hash its MD5 in hex, JA4 the JA4 fingerprint. All are empty for a
	// cut or SSL 2.0 hello.
	JA3, JA3Hash, JA4 string
}

// ServerName returns the first server name, or "".
func (h *ClientHello) ServerName() string {
	if h == nil || len(h.ServerNames) == 0 {
		return ""
	}
	return h.ServerNames[0]
}

// Extension is one extension of a hello.
type Extension struct {
	// Type is its number (ExtensionName).
	Type uint16
	// Length is that of its content in bytes, without the four header bytes.
	Length uint16
}

// KeyShare is one offered or chosen key share.
type KeyShare struct {
	// Group is the named group (GroupName).
	Group uint16
	// Length is that of the key in bytes.
	Length uint16
}

// ServerHello is a server's choice, or its HelloRetryRequest.
type ServerHello struct {
	Place
	First       Place
	Offset, End int64
	// Bytes is the message's length in bytes with its four header bytes.
	Bytes         int
	RecordVersion uint16
	// LegacyVersion is the version field, Version the negotiated one:
	// supported_versions where present, else the same.
	LegacyVersion, Version uint16
	// Retry is true for a HelloRetryRequest (RFC 8446, section 4.1.3).
	Retry bool
	// Cut is true where the capture does not hold the whole message.
	Cut            bool
	SessionID      string
	CipherSuite    uint16
	Compression    uint8
	Extensions     []Extension
	ExtensionCount int
	ALPN           string
	// Group is the group of the server's key share, or the one a retry
	// asks for; zero where absent.
	Group uint16
	// PSK is true where an offered pre-shared key was accepted.
	PSK bool
	// Downgrade is true where the random value carries the mark of a
	// server that could have spoken a later version (section 4.1.3).
	Downgrade bool
}

// Chain is one Certificate message.
type Chain struct {
	Place
	First  Place
	Offset int64
	// Bytes is the message's length in bytes with its four header bytes.
	Bytes int
	// Certificates lists the chain as sent, at most 16; Count counts all.
	Certificates []*Certificate
	Count        int
	// Cut is true where the capture does not hold the whole message.
	Cut bool
}
