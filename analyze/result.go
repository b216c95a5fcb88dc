// Package analyze is the pipeline: packets in, connections, lookups and
// verdicts out. Run ties the packages below it together; the types here are
// what report and its renderers are made from.
package analyze

import (
	"time"

	"goproxytrace/analyze/diagnose"
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
	// Unanswered sums up unanswered connections beyond the first 10,000.
	Unanswered []Unanswered
	Lookups    []Lookup
	// LookupsOmitted counts lookups beyond the bound on Lookups.
	LookupsOmitted int64
	Events         []Event
	// GoStatements are the failures in the go command's own words, with what
	// the packets say to each; nil where its output is not known.
	GoStatements []diagnose.GoCheck
	// Targets are the hosts of GOPROXY and GOSUMDB that were looked for.
	Targets []string
	// NotAssessed are message identifiers of what this capture cannot show.
	NotAssessed []string
	// Damage is set where the capture is cut or damaged.
	Damage *capture.DamageError
}

// Capture is what the container and the packets say about the capture itself.
type Capture struct {
	File     string
	Format   string
	Packets  int64
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
}

// ProcessVerdict is the verdict on all that one process did.
type ProcessVerdict struct {
	Process
	Parent  uint32
	Exit    *int
	Verdict diagnose.Verdict
}

// Stages are durations in milliseconds; absent where the stage was not seen.
type Stages struct {
	DNS       *float64 `json:"dns,omitempty"`
	Connect   *float64 `json:"connect,omitempty"`
	TLS       *float64 `json:"tls,omitempty"`
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
// Retransmissions counts all kinds, as Wireshark's field does.
type TCP struct {
	Packets                 uint64   `json:"packets"`
	PacketsFromClient       uint64   `json:"packets_from_client"`
	PacketsFromServer       uint64   `json:"packets_from_server"`
	Retransmissions         uint32   `json:"retransmissions"`
	FastRetransmissions     uint32   `json:"fast_retransmissions"`
	SpuriousRetransmissions uint32   `json:"spurious_retransmissions"`
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
	MinRTT      *float64 `json:"rtt_min_ms,omitempty"`
	MeanRTT     *float64 `json:"rtt_mean_ms,omitempty"`
	MaxRTT      *float64 `json:"rtt_max_ms,omitempty"`
	RTTSamples  uint32   `json:"rtt_samples"`
	ClientMSS   uint16   `json:"client_mss,omitempty"`
	ServerMSS   uint16   `json:"server_mss,omitempty"`
	ClientScale *int8    `json:"client_window_scale,omitempty"`
	ServerScale *int8    `json:"server_window_scale,omitempty"`
	SACK        bool     `json:"sack"`
	Timestamps  bool     `json:"timestamps"`
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
	Version             string        `json:"version,omitempty"`
	Cipher              string        `json:"cipher,omitempty"`
	ALPN                []string      `json:"alpn,omitempty"`
	ALPNChosen          string        `json:"alpn_chosen,omitempty"`
	JA3                 string        `json:"ja3,omitempty"`
	JA4                 string        `json:"ja4,omitempty"`
	ClientHelloBytes    int           `json:"client_hello_bytes,omitempty"` // TLS records included
	ClientHelloSegments int           `json:"client_hello_segments,omitempty"`
	ClientHelloFrames   []int64       `json:"client_hello_frames,omitempty"`
	ServerHelloFrame    int64         `json:"server_hello_frame,omitempty"`
	HelloRetry          bool          `json:"hello_retry"`
	ECH                 bool          `json:"ech,omitempty"`
	GREASE              bool          `json:"grease,omitempty"`
	Versions            []string      `json:"supported_versions,omitempty"`
	Groups              []string      `json:"supported_groups,omitempty"`
	KeyShares           []string      `json:"key_shares,omitempty"`
	Extensions          []uint16      `json:"extensions,omitempty"`
	Alerts              []Alert       `json:"alerts,omitempty"`
	Certificates        []Certificate `json:"certificates,omitempty"`
	Malformed           []string      `json:"malformed,omitempty"`
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
	Name    string           `json:"name"`
	Type    string           `json:"type"`
	RCode   string           `json:"rcode,omitempty"`
	Answers []string         `json:"answers,omitempty"`
	MS      *float64         `json:"ms,omitempty"`
	Client  string           `json:"client"`
	Server  string           `json:"server"`
	Frames  []int64          `json:"frames,omitempty"`
	Verdict diagnose.Verdict `json:"verdict"`
}

// Event is something that happened on the host.
type Event struct {
	Time   time.Time
	Source string
	Text   string
	PID    uint32
	Frame  int64
}
