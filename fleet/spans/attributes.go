package spans

import (
	"math"
	"time"
	"unicode/utf8"

	"go.opentelemetry.io/collector/pdata/pcommon"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"goproxytrace/internal/terminal"
)

// Schema is the version of the semantic conventions that names are from.
const Schema = semconv.SchemaURL

// Prefix is that of the attributes, events and metrics that the semantic
// conventions do not name.
const Prefix = "goproxytrace."

// Attributes of our own.
const (
	keyCase         = Prefix + "case.id"   // string
	keyFile         = Prefix + "case.file" // string, the capture as the report names it
	keyFormat       = Prefix + "capture.format"
	keyPackets      = Prefix + "capture.packets"      // int
	keyDropped      = Prefix + "capture.dropped"      // int, packets that were not captured
	keyTruncated    = Prefix + "capture.truncated_at" // int, byte offset of the damage
	keyHealth       = Prefix + "capture.health"       // string[], identifiers of capture health
	keyRedacted     = Prefix + "redacted"             // boolean
	keyTool         = Prefix + "version"
	keyConnections  = Prefix + "connections" // int, below this span
	keyPart         = Prefix + "trace.part"  // int, from 1
	keyConnection   = Prefix + "connection.id"
	keyFirstFrame   = Prefix + "frames.first"      // int, as Wireshark counts
	keyLastFrame    = Prefix + "frames.last"       // int
	keyFromClient   = Prefix + "bytes.from_client" // int, payload
	keyFromServer   = Prefix + "bytes.from_server" // int
	keyTarget       = Prefix + "target"            // boolean, a host of GOPROXY or GOSUMDB
	keyQuiet        = Prefix + "quiet"             // double, seconds without new payload at the end
	keySource       = Prefix + "process.source"
	keyConfidence   = Prefix + "process.confidence"
	keyGoCommand    = Prefix + "process.go_command" // int, PID of the go command it works for
	keyServerPID    = Prefix + "server_process.pid"
	keyServerName   = Prefix + "server_process.name"
	keyGoVersion    = Prefix + "go.version"
	keyTCP          = Prefix + "tcp." // counts by their names in the report
	keyRTT          = Prefix + "tcp.handshake_rtt"
	keyJA4          = Prefix + "tls.client.ja4"
	keyHelloBytes   = Prefix + "tls.client_hello.bytes"
	keyHelloSegs    = Prefix + "tls.client_hello.segments"
	keyHelloRetry   = Prefix + "tls.hello_retry"
	keyAlerts       = Prefix + "tls.alerts" // string[]
	keyGroups       = Prefix + "tls.client.supported_groups"
	keyProxyTarget  = Prefix + "proxy.target"
	keyICMP         = Prefix + "icmp"            // string[]
	keyStage        = Prefix + "stage"           // of a span that is one
	keyCompleted    = Prefix + "stage.completed" // boolean
	keyRCode        = Prefix + "dns.rcode"
	keyQuestionType = Prefix + "dns.question.type"
	keyAttempt      = Prefix + "attempt.source"
	keyAttemptError = Prefix + "attempt.error"

	keyClass       = Prefix + "verdict.class"
	keyVStage      = Prefix + "verdict.stage"
	keyPlace       = Prefix + "verdict.place" // string[]; in metrics joined with commas
	keyLevel       = Prefix + "verdict.level"
	keySummary     = Prefix + "verdict.summary"
	keyNotes       = Prefix + "verdict.notes"        // string[]
	keyEvidence    = Prefix + "verdict.evidence"     // string[], sentences
	keyEvidenceID  = Prefix + "verdict.evidence_ids" // string[]
	keyFrames      = Prefix + "verdict.frames"       // int[]
	keyFilter      = Prefix + "verdict.filter"       // Wireshark display filter
	keyNotAssessed = Prefix + "verdict.not_assessed" // string[]

	eventVerdict = Prefix + "verdict"
)

// Bounds on what one span says. Backends have limits of their own and drop what
// exceeds them, with the rest of the request or without.
const (
	maxText  = 1024 // bytes
	maxList  = 32   // elements of a list of strings
	maxInts  = 64   // of a list of numbers
	maxLinks = 32
)

// text makes of what a capture or a host said what can be shown: valid UTF-8, of
// bounded length, without control characters.
func text(s string) string { return bounded(terminal.Clean(s), maxText) }

func bounded(s string, n int) string {
	if len(s) <= n {
		return s
	}
	n -= len("…")
	for !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}

// attrs sets attributes; what is unknown is absent, never a guess.
type attrs struct{ pcommon.Map }

func (a attrs) str(key, s string) {
	if s != "" {
		a.PutStr(key, text(s))
	}
}

func (a attrs) int(key string, n int64) { a.PutInt(key, n) }

func (a attrs) positive(key string, n int64) {
	if n > 0 {
		a.PutInt(key, n)
	}
}

func (a attrs) uint(key string, n uint64) { a.PutInt(key, int64(min(n, math.MaxInt64))) }

func (a attrs) list(key string, list []string) {
	if len(list) == 0 {
		return
	}
	out := a.PutEmptySlice(key)
	for _, s := range list[:min(len(list), maxList)] {
		out.AppendEmpty().SetStr(text(s))
	}
}

func (a attrs) ints(key string, list []int64) {
	if len(list) == 0 {
		return
	}
	out := a.PutEmptySlice(key)
	for _, n := range list[:min(len(list), maxInts)] {
		out.AppendEmpty().SetInt(n)
	}
}

// seconds sets a duration that the report has in milliseconds.
func (a attrs) seconds(key string, ms *float64) {
	if ms != nil && !math.IsNaN(*ms) && !math.IsInf(*ms, 0) {
		a.PutDouble(key, *ms/1e3)
	}
}

// after returns the time that is so many milliseconds after t: what a report
// holds is exact to the nanosecond, unless somebody else wrote it.
func after(t time.Time, ms float64) time.Time {
	const most = 1e3 * 60 * 60 * 24 * 366 * 10
	if math.IsNaN(ms) || ms < 0 {
		return t
	}
	return t.Add(time.Duration(math.Round(min(ms, most) * 1e6)))
}

// stamp returns a time of OTLP, zero for none and for what it cannot hold.
func stamp(t time.Time) pcommon.Timestamp {
	if t.Year() < 1970 || t.Year() > 2261 {
		return 0
	}
	return pcommon.NewTimestampFromTime(t)
}

// key is a name of the semantic conventions.
func key[K ~string](k K) string { return string(k) }

// protocol splits a name of ALPN into network.protocol.name and version.
func protocol(alpn string) (name, version string) {
	switch alpn {
	case "h2":
		return "http", "2"
	case "http/1.1":
		return "http", "1.1"
	}
	return "", ""
}
