package compare

import (
	"slices"
	"strings"
)

// Unit says how a row's numbers are to be printed.
type Unit string

// The units; the empty one is a plain number.
const (
	Milliseconds   Unit = "ms"
	Bytes          Unit = "bytes"
	BytesPerSecond Unit = "bytes/s"
	Share          Unit = "share" // of packets, 0 to 1
	Count          Unit = ""
)

// number is a row of numbers: a value for each run that has one.
type number struct {
	id   string
	unit Unit
	of   func(*host) (float64, bool)
}

// outcome is a row of outcomes: a text for each run that has one.
type outcome struct {
	id string
	of func(*host) string
}

// numberRows are the numbers of a host, in the order in which they are shown.
var numberRows = []number{
	{"lookup", Milliseconds, func(h *host) (float64, bool) { return median(h.lookups) }},
	{"connect", Milliseconds, func(h *host) (float64, bool) { return median(h.connect) }},
	{"tls", Milliseconds, func(h *host) (float64, bool) { return median(h.tls) }},
	{"first_byte", Milliseconds, func(h *host) (float64, bool) { return median(h.firstByte) }},
	{"transfer", Milliseconds, func(h *host) (float64, bool) { return total(h.transfer) }},
	{"throughput", BytesPerSecond, throughput},
	{"rtt_to_server_min", Milliseconds, func(h *host) (float64, bool) { return h.toServer.least() }},
	{"rtt_to_server_mean", Milliseconds, func(h *host) (float64, bool) { return h.toServer.mean() }},
	{"rtt_to_client_min", Milliseconds, func(h *host) (float64, bool) { return h.toClient.least() }},
	{"rtt_to_client_mean", Milliseconds, func(h *host) (float64, bool) { return h.toClient.mean() }},
	{"retransmissions", Share, func(h *host) (float64, bool) { return h.share(h.resent) }},
	{"lost_segments", Share, func(h *host) (float64, bool) { return h.share(h.lost) }},
	{"out_of_order", Share, func(h *host) (float64, bool) { return h.share(h.outOfOrder) }},
	{"resets_from_server", Count, func(h *host) (float64, bool) { return float64(h.resetsFromServer), h.packets > 0 }},
	{"resets_from_client", Count, func(h *host) (float64, bool) { return float64(h.resetsFromClient), h.packets > 0 }},
	{"client_hello_bytes", Bytes, func(h *host) (float64, bool) { return median(h.helloBytes) }},
	{"client_hello_segments", Count, func(h *host) (float64, bool) { return median(h.helloSegments) }},
	{"bytes_from_client", Bytes, func(h *host) (float64, bool) { return float64(h.fromClient), h.packets > 0 }},
	{"bytes_from_server", Bytes, func(h *host) (float64, bool) { return float64(h.fromServer), h.packets > 0 }},
	{"connections", Count, func(h *host) (float64, bool) { return float64(h.connections), true }},
}

// Outcomes of a row with a yes, a no and something between.
const (
	yes    = "yes"
	no     = "no"
	partly = "partly"
)

// outcomeRows are the outcomes of a host. A set of several texts is one outcome.
var outcomeRows = []outcome{
	{"verdict", func(h *host) string { return set(h.classes) }},
	{"reached", func(h *host) string { return h.stage.String() }},
	{"client_hello_acknowledged", func(h *host) string {
		switch {
		case h.acked+h.unacked == 0:
			return ""
		case h.unacked == 0:
			return yes
		case h.acked == 0:
			return no
		}
		return partly
	}},
	{"alert", func(h *host) string {
		if h.packets == 0 {
			return ""
		}
		if len(h.alerts) == 0 {
			return "none"
		}
		return set(h.alerts)
	}},
	{"certificate_issuer", func(h *host) string { return set(h.issuers) }},
	{"tls_version", func(h *host) string { return set(h.versions) }},
	{"alpn", func(h *host) string { return set(h.alpn) }},
	{"ja3", func(h *host) string { return set(h.ja3) }},
	{"ja4", func(h *host) string { return set(h.ja4) }},
	{"server_address", func(h *host) string { return set(h.addresses) }},
}

// runNumbers and runOutcomes are those of a run as a whole.
var runNumbers = []struct {
	id   string
	unit Unit
	of   func(*Run) (float64, bool)
}{
	{"duration", Milliseconds, func(r *Run) (float64, bool) { return float64(r.last-r.first) / 1e6, r.last > 0 }},
}

var runOutcomes = []struct {
	id string
	of func(*Run) string
}{
	{"verdict", func(r *Run) string { return r.Class }},
}

func set(list []string) string { return strings.Join(list, ", ") }

// median is that of a run's connections; a connection that was given up does
// not pull it as it would a mean.
func median(v []float64) (float64, bool) {
	if len(v) == 0 {
		return 0, false
	}
	s := slices.Sorted(slices.Values(v))
	n := len(s)
	return (s[(n-1)/2] + s[n/2]) / 2, true
}

func total(v []float64) (sum float64, ok bool) {
	for _, x := range v {
		sum += x
	}
	return sum, len(v) > 0
}

func throughput(h *host) (float64, bool) {
	ms, ok := total(h.transfer)
	if !ok || ms <= 0 {
		return 0, false
	}
	return float64(h.transferBytes) / ms * 1000, true
}

func (h *host) share(n uint64) (float64, bool) {
	if h.packets == 0 {
		return 0, false
	}
	return float64(n) / float64(h.packets), true
}
