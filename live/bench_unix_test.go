//go:build unix

package live

import (
	"context"
	"io"
	"net/netip"
	"os"
	"syscall"
	"testing"

	"goproxytrace/capture"
	"goproxytrace/capture/casefile"
	"goproxytrace/internal/packets"
)

// supply is a capture.Live that has the packets of downloads, as many as are
// asked for.
type supply struct {
	info      capture.Info
	downloads *packets.Download
	at, n     int
	file      *casefile.Writer
}

// stranger owns every connection.
type stranger struct{ *watcher }

func (stranger) Holder(_, _ netip.AddrPort, at int64) (uint32, int64, bool) {
	return 4711, at + 1e9, true
}
func (stranger) Changes() uint64 { return 1 }

// BenchmarkSession passes packets of downloads, of 100 bytes and
// acknowledgements, through a session into a case file: for each what it takes
// of all processors, without the kernel's part in bringing them.
func BenchmarkSession(b *testing.B) {
	source := &supply{
		info:      capture.Info{Interfaces: []capture.Interface{{Name: "eth0", LinkType: 1}}},
		downloads: packets.NewDownload(netip.MustParseAddrPort("10.9.0.1:40000"), netip.MustParseAddrPort("10.9.1.2:443"), 16, 100),
		n:         b.N,
	}
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		b.Fatal(err)
	}
	file, err := casefile.Create("case.pcapng", casefile.Options{Into: null})
	if err != nil {
		b.Fatal(err)
	}
	source.file = file
	before := processorTime(b)
	b.ResetTimer()
	result, counts, err := New(Options{Source: source, File: file, Owners: stranger{newWatcher()}, HoldBack: 1, Chunks: 4}).Run(context.Background())
	b.StopTimer()
	if err != nil || counts.Captured != int64(b.N) {
		b.Fatalf("%d of %d captured: %v", counts.Captured, b.N, err)
	}
	result.Connections.Close()
	b.ReportMetric(float64(processorTime(b)-before)/float64(b.N), "cpu-ns/packet")
}

func processorTime(b *testing.B) int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

func (s *supply) Read(b *capture.Batch) error {
	const most, flush = 4096, 8
	if s.at/most%flush == flush-1 { // as a quarter of a second's packets are
		if err := s.file.Flush(); err != nil {
			return err
		}
	}
	n := min(most, s.n-s.at)
	if n == 0 {
		return io.EOF
	}
	if b.Buf == nil {
		b.Buf = make([]byte, 0, 1<<20)
	}
	b.Packets, b.Buf = b.Packets[:0], b.Buf[:0]
	for range n {
		frame, fromServer := s.downloads.Next()
		begin := len(b.Buf)
		b.Buf = append(b.Buf, frame...)
		p := capture.Packet{Time: at(0) + int64(s.at)*10_000, HasTime: true, Data: b.Buf[begin:], Length: len(frame), FCSLen: -1, LinkType: 1, Direction: capture.Outbound}
		if fromServer {
			p.Direction = capture.Inbound
		}
		b.Packets = append(b.Packets, p)
		s.at++
	}
	return nil
}

func (s *supply) Info() *capture.Info        { return &s.info }
func (s *supply) Close() error               { return nil }
func (s *supply) Stop()                      {}
func (s *supply) Counters() capture.Counters { return capture.Counters{} }
