// Package analyze is the pipeline: packets in, connections, lookups and
// verdicts out. Run ties the packages below it together; the types here are
// what report and its renderers are made from.
package analyze

import (
	"time"

	"goproxytrace/analyze/diagnose"
	"goproxytrace/analyze/segtrace"
	"goproxytrace/capture"
)

// Result is what is known about one capture.
type Result struct {
	Capture Capture
	// Verdict is the one that explains the go command's failure.
	Verdict diagnose.Verdict
	// Subject is the ID of the connection that the verdict is about, -1
	// where it is not about a connection; SubjectLookup likewise for a
	// lookup.
	Subject       int64
	SubjectLookup int
	Processes     []ProcessVerdict
	Connections   *Store
	// Trace is what the segments were, nil unless Options.Trace asks for it.
	Trace *segtrace.Spool
	// Unanswered sums up unanswered connections beyond the first 10,000.
	Unanswered []Unanswered
	Lookups    []Lookup
	// LookupsOmitted counts lookups beyond the bound on Lookups.
	LookupsOmitted int64
	// Attempts are those of which the capture holds no packet,
	// AttemptsOmitted counts further ones, beyond a bound on all attempts.
	Attempts        []Attempt
	AttemptsOmitted int64
	// EventsOmitted counts events beyond the bound on Events.
	Events        []Event
	EventsOmitted int64
	// GoStatements are the failures in the go command's own words, with what
	// the packets say to each; nil where its output is not known.
	GoStatements []diagnose.GoCheck
	// Platform is the system that the go command ran on, as far as its words,
	// the packets or the capture file tell; empty where they do not.
	Platform diagnose.Platform
	// GoVersion is the go command's own (GOVERSION), as its host recorded it;
	// empty where it did not.
	GoVersion string
	// Targets are the hosts of GOPROXY and GOSUMDB that were looked for.
	Targets []string
	// Private are patterns of private modules, as the go command's settings
	// have them.
	Private []string
	// NotAssessed are message identifiers of what this capture cannot show.
	NotAssessed []string
	// Damage is set where the capture is cut or damaged.
	Damage *capture.DamageError
}

// Capture is what the container and the packets say about the capture itself.
type Capture struct {
	File     string
	Format   string
	Packets  int64 // with Records, as Wireshark counts frames
	Records  int64 // of them no packets: what the host said
	Bytes    int64 // captured bytes
	Start    int64 // Unix nanoseconds of the earliest packet, zero for none
	End      int64 // latest interface-statistics end, else the latest packet
	EndKnown bool  // End comes from interface statistics
	Received *uint64
	Dropped  *uint64
	// TruncatedAt is the file offset of the damage, zero where there is none.
	TruncatedAt int64
	Interfaces  []capture.Interface
	Health      []HealthFact
	Blocks      map[string]int64
	HasSecrets  bool
	Unread      []Unread
	Segments    int64 // TCP segments
	// OpenAtOnce is the largest number of connections held open at once;
	// memory follows it.
	OpenAtOnce int
	Notes      []string
}

// HealthFact is one K row of capture health: an identifier with its numbers.
type HealthFact struct {
	diagnose.Evidence
}

// Unread counts frames of one kind that were not read, with the first of them.
type Unread struct {
	Name  string
	Count int64
	First int64
}

// Process is the owner of a connection's client end.
type Process struct {
	PID     uint32 `json:"pid"`
	Name    string `json:"name,omitempty"`
	Command string `json:"command,omitempty"`
	// Source says where the claim comes from; Confidence is "exact",
	// "strong" or "weak".
	Source     string `json:"source"`
	Confidence string `json:"confidence"`
	// EffectivePID is the process on whose behalf this one acts, as Apple's
	// kernel records it; zero where it is the same or not known.
	EffectivePID uint32 `json:"effective_pid,omitempty"`
	// GoCommand is the PID of the go command that the process works for,
	// zero where it is none or that command itself.
	GoCommand uint32 `json:"go_command,omitempty"`
	// Contradicted are claims from other sources that name another process,
	// at most four.
	Contradicted []OtherOwner `json:"contradicted_by,omitempty"`
}

// OtherOwner is a claim to a connection that was not believed.
type OtherOwner struct {
	PID    uint32 `json:"pid"`
	Source string `json:"source"`
}

// ProcessVerdict is the verdict on all that one process did.
type ProcessVerdict struct {
	Process
	Parent uint32
	// ParentName is the parent's name, empty where unknown.
	ParentName string
	// Exit is the exit code, 128 and the signal's number where one ended it;
	// nil where the process had not ended or that is not known.
	Exit    *int
	Verdict diagnose.Verdict
}

// Attempt is an attempt to connect of which the capture holds no packet.
type Attempt struct {
	PID    uint32 // zero where unknown
	Name   string // of the process, empty where unknown
	Target string // ip:port
	Host   string // by a lookup, empty where unknown
	Time   time.Time
	// Ended is when it failed or was given up, nil where it was under way;
	// Error is the system's name for why, empty where it gave none.
	Ended   *time.Time
	Error   string
	Source  string
	Frame   int64 // where the record stands
	Verdict diagnose.Verdict
}

// Stages are durations in milliseconds; absent where the stage was not seen.
type Stages struct {
	DNS     *float64 `json:"dns,omitempty"`
	Connect *float64 `json:"connect,omitempty"`
	TLS     *float64 `json:"tls,omitempty"`
	// TLSStart is the time from the start of the connection to its ClientHello,
	// where TLS begins; FirstByte and Transfer begin where TLS ends.
	TLSStart  *float64 `json:"tls_start,omitempty"`
	FirstByte *float64 `json:"first_byte,omitempty"`
	Transfer  *float64 `json:"transfer,omitempty"`
	// Quiet is the time from the last new payload to the end of the
	// connection or capture.
	Quiet *float64 `json:"quiet,omitempty"`
}

// Bytes counts payload bytes by sender, repetitions left out.
type Bytes struct {
	FromClient uint64 `json:"from_client"`
	FromServer uint64 `json:"from_server"`
}

// TCP holds the counts of the sequence analysis over both directions.
// Retransmissions counts all kinds, as Wireshark's field does, which knows nothing
// of copies; CopiedRetransmissions are those of them that were captured twice and
// not sent twice.
type TCP struct {
	Packets                 uint64   `json:"packets"`
	PacketsFromClient       uint64   `json:"packets_from_client"`
	PacketsFromServer       uint64   `json:"packets_from_server"`
	Retransmissions         uint32   `json:"retransmissions"`
	FastRetransmissions     uint32   `json:"fast_retransmissions"`
	SpuriousRetransmissions uint32   `json:"spurious_retransmissions"`
	CopiedRetransmissions   uint32   `json:"copied_retransmissions,omitempty"`
	DuplicateACKs           uint32   `json:"duplicate_acks"`
	OutOfOrder              uint32   `json:"out_of_order"`
	LostSegments            uint32   `json:"lost_segments"`
	ACKLostSegments         uint32   `json:"ack_lost_segments"`
	ZeroWindows             uint32   `json:"zero_windows"`
	WindowFull              uint32   `json:"window_full"`
	KeepAlives              uint32   `json:"keep_alives"`
	KeepAlivesAnswered      uint32   `json:"keep_alives_answered"`
	DuplicateFrames         uint32   `json:"duplicate_frames"`
	ResetsFromClient        uint16   `json:"resets_from_client"`
	ResetsFromServer        uint16   `json:"resets_from_server"`
	HandshakeRTT            *float64 `json:"handshake_rtt_ms,omitempty"`
	// MinRTT, MeanRTT and MaxRTT are over the acknowledgements of segments
	// of both directions, in milliseconds; RTTSamples says of how many.
	MinRTT     *float64 `json:"rtt_min_ms,omitempty"`
	MeanRTT    *float64 `json:"rtt_mean_ms,omitempty"`
	MaxRTT     *float64 `json:"rtt_max_ms,omitempty"`
	RTTSamples uint32   `json:"rtt_samples"`
	// RTTToServer is between the capture point and the server, RTTToClient
	// between it and the client; together they are the whole path's. Nil where
	// no sample was taken.
	RTTToServer *RTT   `json:"rtt_to_server,omitempty"`
	RTTToClient *RTT   `json:"rtt_to_client,omitempty"`
	ClientMSS   uint16 `json:"client_mss,omitempty"`
	ServerMSS   uint16 `json:"server_mss,omitempty"`
	ClientScale *int8  `json:"client_window_scale,omitempty"`
	ServerScale *int8  `json:"server_window_scale,omitempty"`
	SACK        bool   `json:"sack"`
	Timestamps  bool   `json:"timestamps"`
}

// RTT summarises the round trips of one direction's segments, in milliseconds.
type RTT struct {
	Min     float64 `json:"min_ms"`
	Mean    float64 `json:"mean_ms"`
	Max     float64 `json:"max_ms"`
	Samples uint32  `json:"samples"`
}

// Alert is a TLS alert in clear.
type Alert struct {
	From   string `json:"from"` // "client" or "server"
	Number uint8  `json:"number"`
	Name   string `json:"name"`
	Level  uint8  `json:"level"`
	Frame  int64  `json:"frame"`
}

// Certificate is one certificate of a TLS ≤ 1.2 chain.
type Certificate struct {
	Subject     string    `json:"subject"`
	Issuer      string    `json:"issuer"`
	Names       []string  `json:"names,omitempty"`
	NotBefore   time.Time `json:"not_before,omitzero"`
	NotAfter    time.Time `json:"not_after,omitzero"`
	SelfSigned  bool      `json:"self_signed"`
	Fingerprint string    `json:"sha256,omitempty"`
}

// TLS summarises the handshake; nil where no TLS was seen.
type TLS struct {
	Version             string   `json:"version,omitempty"`
	Cipher              string   `json:"cipher,omitempty"`
	ALPN                []string `json:"alpn,omitempty"`
	ALPNChosen          string   `json:"alpn_chosen,omitempty"`
	JA3                 string   `json:"ja3,omitempty"`
	JA4                 string   `json:"ja4,omitempty"`
	ClientHelloBytes    int      `json:"client_hello_bytes,omitempty"` // TLS records included
	ClientHelloSegments int      `json:"client_hello_segments,omitempty"`
	ClientHelloFrames   []int64  `json:"client_hello_frames,omitempty"`
	// ClientHelloAcked says whether the server acknowledged all of the
	// ClientHello; nil where the capture does not tell.
	ClientHelloAcked *bool         `json:"client_hello_acknowledged,omitempty"`
	ServerHelloFrame int64         `json:"server_hello_frame,omitempty"`
	HelloRetry       bool          `json:"hello_retry"`
	ECH              bool          `json:"ech,omitempty"`
	GREASE           bool          `json:"grease,omitempty"`
	Versions         []string      `json:"supported_versions,omitempty"`
	Groups           []string      `json:"supported_groups,omitempty"`
	KeyShares        []string      `json:"key_shares,omitempty"`
	Extensions       []uint16      `json:"extensions,omitempty"`
	Alerts           []Alert       `json:"alerts,omitempty"`
	Certificates     []Certificate `json:"certificates,omitempty"`
	Malformed        []string      `json:"malformed,omitempty"`
}

// Proxy is an HTTP CONNECT exchange in front of the TLS.
type Proxy struct {
	Target string `json:"target"`
	Status int    `json:"status,omitempty"`
	Reason string `json:"reason,omitempty"`
	Frame  int64  `json:"frame,omitempty"`
}

// ICMP is an ICMP error that quotes the connection.
type ICMP struct {
	From  string `json:"from"`
	Type  uint8  `json:"type"`
	Code  uint8  `json:"code"`
	MTU   uint32 `json:"mtu,omitempty"`
	Frame int64  `json:"frame"`
}

// Connection is one TCP connection with its verdict.
type Connection struct {
	ID         int64  `json:"id"`
	Client     string `json:"client"` // ip:port
	Server     string `json:"server"`
	ServerName string `json:"server_name,omitempty"`
	FirstFrame int64  `json:"first_frame"`
	LastFrame  int64  `json:"last_frame"`
	// Start is RFC 3339 with nanoseconds; Duration in milliseconds.
	Start         time.Time        `json:"start"`
	Duration      float64          `json:"duration_ms"`
	Process       *Process         `json:"process"`
	ServerProcess *Process         `json:"server_process"`
	Stages        Stages           `json:"stages_ms"`
	Bytes         Bytes            `json:"bytes"`
	TCP           TCP              `json:"tcp"`
	TLS           *TLS             `json:"tls,omitempty"`
	Proxy         *Proxy           `json:"proxy,omitempty"`
	ICMP          []ICMP           `json:"icmp,omitempty"`
	Verdict       diagnose.Verdict `json:"verdict"`
	// Target is true where the server is one of Result.Targets, or the go
	// command's own words name it.
	Target bool `json:"target,omitempty"`
}

// Unanswered sums up connections to one endpoint that nobody answered.
type Unanswered struct {
	Server      string `json:"server"`
	Connections int64  `json:"connections"`
	FirstFrame  int64  `json:"first_frame"`
	LastFrame   int64  `json:"last_frame"`
}

// Lookup is one DNS question with what came back.
type Lookup struct {
	// Start is when the first question was captured.
	Start   time.Time        `json:"start,omitzero"`
	Name    string           `json:"name"`
	Type    string           `json:"type"`
	RCode   string           `json:"rcode,omitempty"`
	Answers []string         `json:"answers,omitempty"`
	MS      *float64         `json:"ms,omitempty"`
	Client  string           `json:"client"`
	Server  string           `json:"server"`
	Frames  []int64          `json:"frames,omitempty"`
	Verdict diagnose.Verdict `json:"verdict"`
	// Messages are what was sent for it, in file order; only where it failed,
	// and not part of the report for programs.
	Messages []LookupMessage `json:"-"`
}

// LookupMessage is a question, an answer, or an ICMP error about one of them.
type LookupMessage struct {
	Kind  LookupKind
	Frame int64
	Time  int64 // Unix nanoseconds
	// Port is the client's, ID the message's own; zero for an ICMP error.
	Port, ID uint16
	// RCode and Answers are an answer's. Mismatch is true where no question
	// was seen that it fits, Malformed where it is not fully readable.
	RCode               string
	Answers             []string
	Mismatch, Malformed bool
	// From is the address that sent an ICMP error of this type and code;
	// Refused is true where it quotes the answer: nobody listened any more.
	From       string
	Type, Code uint8
	Refused    bool
}

// LookupKind says what a LookupMessage is.
type LookupKind uint8

// The kinds of messages.
const (
	LookupQuestion LookupKind = iota
	LookupAnswer
	LookupICMP
)

// Event is something that happened on the host.
type Event struct {
	Time   time.Time
	Source string
	Text   string
	PID    uint32
	Frame  int64
	// Foreign is true for another program's journal entry, which may say
	// anything.
	Foreign bool
}
