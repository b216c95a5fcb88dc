package htmltest

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"goproxytrace/analyze"
	"goproxytrace/analyze/tcpflow"
	"goproxytrace/capture"
	"goproxytrace/internal/htmltest/browser"
	"goproxytrace/internal/packets"
)

// transfer is a capture of one long download with losses: a capture.Source.
type transfer struct {
	segments int // to yield
	step     int
	info     capture.Info
	number   int64
	now      int64
	sent     uint32 // next byte of the server
	hole     uint32 // first byte that is missing, zero for none
	wait     int    // segments until the hole is filled
	queue    []*packets.Packet
}

const (
	clientEnd = "192.0.2.10:40000"
	serverEnd = "203.0.113.10:443"
	segment   = 1448
)

func newTransfer(segments int) *transfer {
	return &transfer{segments: segments, now: 1_700_000_000e9, sent: 50_001,
		info: capture.Info{Format: "pcapng", Interfaces: []capture.Interface{{Name: "eth0", LinkType: 1}}}}
}

func (t *transfer) client() *packets.Packet {
	return packets.TCP(clientEnd, serverEnd).Seq(1001).ID(uint16(t.number)).Window(4000)
}

// next queues what comes next: two segments and their acknowledgement; of every
// two hundred segments one is lost and sent again.
func (t *transfer) next() {
	server := func(seq uint32) *packets.Packet {
		return packets.TCP(serverEnd, clientEnd).Seq(seq).Ack(1001).ID(uint16(t.number)).Window(500).Payload(make([]byte, segment))
	}
	t.step++
	if t.step == 1 {
		t.queue = append(t.queue,
			packets.TCP(clientEnd, serverEnd).Flags(packets.SYN).Seq(1000).MSS(1460).SACKPermitted().WindowScale(7),
			packets.TCP(serverEnd, clientEnd).Flags(packets.SYN).Seq(50_000).Ack(1001).MSS(1460).SACKPermitted().WindowScale(7),
			t.client().Ack(50_001))
		return
	}
	if t.hole == 0 && t.step%66 == 0 {
		t.hole = t.sent
		t.sent += segment
		t.wait = 4
	}
	t.queue = append(t.queue, server(t.sent))
	t.sent += segment
	switch {
	case t.hole == 0:
		t.queue = append(t.queue, server(t.sent))
		t.sent += segment
		t.queue = append(t.queue, t.client().Ack(t.sent))
	case t.wait > 0:
		t.wait--
		t.queue = append(t.queue, t.client().Ack(t.hole).SACK(t.hole+segment, t.sent))
	default:
		t.queue = append(t.queue, server(t.hole))
		t.hole = 0
		t.queue = append(t.queue, t.client().Ack(t.sent))
	}
}

func (t *transfer) Read(b *capture.Batch) error {
	b.Packets = b.Packets[:0]
	for len(b.Packets) < 64 && int(t.number) < t.segments {
		if len(t.queue) == 0 {
			t.next()
		}
		frame := t.queue[0].Ethernet()
		t.queue = t.queue[1:]
		t.number++
		t.now += 150_000
		if t.number%500 == 0 {
			t.now += 40_000_000
		}
		b.Packets = append(b.Packets, capture.Packet{Number: t.number, Time: t.now, HasTime: true, Data: frame, Length: len(frame), LinkType: 1, FCSLen: -1})
	}
	t.info.Packets = t.number
	if len(b.Packets) == 0 {
		return io.EOF
	}
	return nil
}

func (t *transfer) Info() *capture.Info { return &t.info }
func (t *transfer) Close() error        { return nil }

const (
	long    = 100_000   // segments of a long transfer
	longest = 6_000_000 // bytes that its page may have
)

var packetData = regexp.MustCompile(`(?s)<script type="application/json" class="packets"[^>]*>(.*?)</script>`)

// A long transfer makes a page that can be sent and opened, with everything
// remarkable in it, and says what it leaves out.
func TestLongTransfer(t *testing.T) {
	html := pageOf(t, newTransfer(long), "long.pcapng")
	t.Logf("%d segments: %d bytes", long, len(html))
	if len(html) > longest {
		t.Errorf("%d bytes for %d segments", len(html), long)
	}
	var data struct {
		Packets struct {
			Frame []int64  `json:"f"`
			Found []uint32 `json:"n"`
		} `json:"packets"`
	}
	m := packetData.FindSubmatch(html)
	if m == nil {
		t.Fatal("no packets on the page")
	}
	if err := json.Unmarshal(m[1], &data); err != nil {
		t.Fatal(err)
	}
	// The counts are the sequence analysis' own.
	var want analyze.TCP
	r, err := analyze.Run(t.Context(), newTransfer(long), analyze.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for c, err := range r.Connections.All() {
		if err != nil {
			t.Fatal(err)
		}
		want = c.TCP
	}
	var got analyze.TCP
	for _, n := range data.Packets.Found {
		f := tcpflow.Flags(n)
		if f&tcpflow.Retransmission != 0 {
			got.Retransmissions++
		}
		if f&tcpflow.DuplicateACK != 0 {
			got.DuplicateACKs++
		}
		if f&tcpflow.LostSegment != 0 {
			got.LostSegments++
		}
		if f&tcpflow.OutOfOrder != 0 {
			got.OutOfOrder++
		}
	}
	if got.Retransmissions != want.Retransmissions || got.DuplicateACKs != want.DuplicateACKs || got.LostSegments != want.LostSegments || got.OutOfOrder != want.OutOfOrder || got.Retransmissions+got.OutOfOrder == 0 {
		t.Errorf("on the page %d retransmissions, %d out of order, %d duplicate ACKs, %d gaps; there are %d, %d, %d, %d", got.Retransmissions, got.OutOfOrder,
			got.DuplicateACKs, got.LostSegments, want.Retransmissions, want.OutOfOrder, want.DuplicateACKs, want.LostSegments)
	}
	if len(data.Packets.Frame) > long/2 || !strings.Contains(string(html), "left out of the diagrams") {
		t.Errorf("%d packets on the page: nothing is thinned, or nothing says so", len(data.Packets.Frame))
	}
}

func TestLongTransferInBrowser(t *testing.T) {
	browser.Tools(t)
	dir := place(t)
	file := filepath.Join(dir, "long.html")
	if err := os.WriteFile(file, pageOf(t, newTransfer(long), "long.pcapng"), 0o600); err != nil {
		t.Fatal(err)
	}
	f := browser.Look(t, []browser.Page{{Name: "long", Path: file, Drawn: true, Heavy: true}}, dir)["long"]
	for _, fault := range f.Faults {
		t.Error(fault)
	}
	t.Logf("interactive after %.0f ms, loaded after %.0f ms", f.Figures["interactive"], f.Figures["load"])
}
