package compare

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"time"

	"goproxytrace/analyze"
	"goproxytrace/analyze/diagnose"
)

// Bounds on what is kept of one run: a capture may name as many hosts, and make
// as many connections to one, as its author likes.
const (
	maxHosts  = 256
	maxSlots  = 16
	maxValues = 64 // different outcomes of one kind
	maxText   = 200
)

// mostDuration bounds how long a connection of a report lasts, in ms: 100 years.
const mostDuration = 100 * 365 * 24 * 3600e3

// Run is what one capture says, by host.
type Run struct {
	// File is the capture's name as the user gave it.
	File string
	// Start and End are the capture's; zero where they are not known.
	Start, End time.Time
	// Packets and Bytes are those of the capture.
	Packets, Bytes int64
	// Class is the verdict on the capture as a whole.
	Class string
	// Dropped is how many packets the capture lost, nil where it does not say.
	Dropped *uint64
	// Damaged is true where the capture, or reading it, ended early.
	Damaged bool
	// Redacted is true where its names and addresses are pseudonyms.
	Redacted bool
	// Tool is the version of the program that judged it, empty where the report
	// does not say.
	Tool string
	// Health are the identifiers of the facts about the capture (K rows).
	Health []string

	hosts   []*host
	byName  map[string]*host
	omitted int // connections to hosts beyond the bound
	clients []string
	// first and last are when connections began and ended, Unix ns.
	first, last int64
}

// host is what a run says of one host.
type host struct {
	name                              string
	connections                       int
	lookups, connect, tls             []float64 // ms
	firstByte, transfer               []float64 // ms
	helloBytes, helloSegments         []float64
	packets, resent, lost, outOfOrder uint64
	resetsFromServer                  uint64
	resetsFromClient                  uint64
	fromClient, fromServer            uint64
	transferBytes                     uint64 // of connections whose transfer was timed
	toServer, toClient                roundTrips
	acked, unacked                    int
	classes, issuers, versions, alpn  []string
	ja3, ja4, alerts, addresses       []string
	stage                             stage
	slots                             []slot
}

// roundTrips are those between the capture point and one end, in ms.
type roundTrips struct {
	min, sum float64
	samples  uint64
}

func (r *roundTrips) add(x *analyze.RTT) {
	if x == nil || x.Samples == 0 {
		return
	}
	if r.samples == 0 || x.Min < r.min {
		r.min = x.Min
	}
	r.sum += x.Mean * float64(x.Samples)
	r.samples += uint64(x.Samples)
}

func (r *roundTrips) least() (float64, bool) { return r.min, r.samples > 0 }
func (r *roundTrips) mean() (float64, bool)  { return r.sum / float64(r.samples), r.samples > 0 }

// stage is how far a connection came.
type stage uint8

const (
	stageNone stage = iota // no connection
	stageConnecting
	stageConnected
	stageHello     // the ClientHello was sent
	stageAnswered  // the ServerHello came
	stageHandshake // the client's side of the handshake ended
	stageData      // the server sent data
)

var stageNames = [...]string{"", "connecting", "connected", "ClientHello sent", "ServerHello received", "handshake done", "data received"}

func (s stage) String() string { return stageNames[s] }

// slot is one connection of a host, for the comparison of single runs.
type slot struct {
	stage      stage
	order      int
	client     string
	firstFrame int64
	class      string
	stages     analyze.Stages
	fromServer uint64
	resent     uint32
	resets     uint32
}

func (r *Run) host(name string) *host {
	name = clip(strings.ToLower(strings.TrimSuffix(name, ".")))
	if h := r.byName[name]; h != nil {
		return h
	}
	if len(r.hosts) >= maxHosts {
		return nil
	}
	if r.byName == nil {
		r.byName = make(map[string]*host)
	}
	h := &host{name: name}
	r.byName[name], r.hosts = h, append(r.hosts, h)
	return h
}

// lookup takes a DNS question that was answered after some time.
func (r *Run) lookup(name string, ms *float64) {
	if ms == nil {
		return
	}
	if h := r.host(name); h != nil {
		h.lookups = append(h.lookups, *ms)
	}
}

// connection takes one connection with the class of its verdict.
func (r *Run) connection(c *analyze.Connection, class string) {
	name := c.ServerName
	if name == "" {
		name = c.Server
	}
	h := r.host(name)
	if h == nil {
		r.omitted++
		return
	}
	if begin := c.Start.UnixNano(); !c.Start.IsZero() {
		end := begin + int64(min(max(c.Duration, 0), mostDuration)*1e6)
		if r.first == 0 || begin < r.first {
			r.first = begin
		}
		r.last = max(r.last, end)
	}
	if a := addressOf(c.Client); a != "" {
		r.clients = add(r.clients, a)
	}
	h.take(c, class)
}

func (h *host) take(c *analyze.Connection, class string) {
	s := &c.Stages
	put := func(list *[]float64, v *float64) {
		if v != nil {
			*list = append(*list, *v)
		}
	}
	put(&h.connect, s.Connect)
	put(&h.tls, s.TLS)
	put(&h.firstByte, s.FirstByte)
	if s.Transfer != nil {
		h.transfer = append(h.transfer, *s.Transfer)
		h.transferBytes += c.Bytes.FromServer
	}
	t := &c.TCP
	h.packets += t.Packets
	h.resent += uint64(t.Retransmissions)
	h.lost += uint64(t.LostSegments)
	h.outOfOrder += uint64(t.OutOfOrder)
	h.resetsFromServer += uint64(t.ResetsFromServer)
	h.resetsFromClient += uint64(t.ResetsFromClient)
	h.fromClient += c.Bytes.FromClient
	h.fromServer += c.Bytes.FromServer
	h.toServer.add(t.RTTToServer)
	h.toClient.add(t.RTTToClient)
	h.classes = add(h.classes, class)
	h.addresses = add(h.addresses, addressOf(c.Server))
	h.handshake(c.TLS)
	reached := reachedBy(c)
	h.stage = max(h.stage, reached)
	h.slots = append(h.slots, slot{
		stage: reached, order: h.connections, client: clip(c.Client), firstFrame: c.FirstFrame, class: clip(class), stages: *s,
		fromServer: c.Bytes.FromServer, resent: t.Retransmissions, resets: uint32(t.ResetsFromServer),
	})
	if len(h.slots) > 2*maxSlots {
		h.slots = ranked(h.slots)[:maxSlots]
	}
	h.connections++
}

func (h *host) handshake(t *analyze.TLS) {
	if t == nil {
		return
	}
	if t.ClientHelloBytes > 0 {
		h.helloBytes = append(h.helloBytes, float64(t.ClientHelloBytes))
	}
	if t.ClientHelloSegments > 0 {
		h.helloSegments = append(h.helloSegments, float64(t.ClientHelloSegments))
	}
	switch {
	case t.ServerHelloFrame > 0, t.ClientHelloAcked != nil && *t.ClientHelloAcked:
		h.acked++
	case t.ClientHelloAcked != nil:
		h.unacked++
	}
	h.ja3, h.ja4 = add(h.ja3, t.JA3), add(h.ja4, t.JA4)
	h.versions, h.alpn = add(h.versions, t.Version), add(h.alpn, t.ALPNChosen)
	for _, a := range t.Alerts {
		h.alerts = add(h.alerts, a.From+": "+a.Name)
	}
	if len(t.Certificates) > 0 {
		h.issuers = add(h.issuers, t.Certificates[0].Issuer)
	}
}

func reachedBy(c *analyze.Connection) stage {
	t := c.TLS
	switch {
	case c.Stages.FirstByte != nil || t == nil && c.Bytes.FromServer > 0:
		return stageData
	case c.Stages.TLS != nil:
		return stageHandshake
	case t != nil && t.ServerHelloFrame > 0:
		return stageAnswered
	case t != nil && t.ClientHelloBytes > 0:
		return stageHello
	case c.Stages.Connect != nil || c.Bytes.FromClient > 0:
		return stageConnected
	}
	return stageConnecting
}

// ranked orders connections by how far they came, those that came equally far
// in order of appearance: so the first of one run is matched with the first of
// another, whichever of two simultaneous ones the client came to use.
func ranked(list []slot) []slot {
	slices.SortStableFunc(list, func(a, b slot) int { return cmp.Or(cmp.Compare(b.stage, a.stage), cmp.Compare(a.order, b.order)) })
	return list
}

// add adds a text to a sorted set; empty ones and those beyond the bound are
// left out.
func add(list []string, s string) []string {
	if s = clip(s); s == "" {
		return list
	}
	at, found := slices.BinarySearch(list, s)
	if found || len(list) >= maxValues {
		return list
	}
	return slices.Insert(list, at, s)
}

// clip bounds a text from a capture.
func clip(s string) string {
	if len(s) <= maxText {
		return s
	}
	return strings.ToValidUTF8(s[:maxText], "") + "…"
}

// addressOf returns the address of ip:port without the port.
func addressOf(s string) string {
	if a, err := netip.ParseAddrPort(s); err == nil {
		return a.Addr().String()
	}
	return s
}

// died reports whether a class is a death.
func died(class string) bool {
	v := diagnose.Verdict{Class: diagnose.Class(class)}
	return v.Died()
}
