package analyze

import (
	"context"
	"errors"
	"io"
	"math"
	"path/filepath"
	"testing"

	"goproxytrace/capture"
	"goproxytrace/capture/pcapfile"
)

// TLS begins with the frame that holds the beginning of the ClientHello, also
// behind a CONNECT proxy, where much time may pass between the handshakes.
func TestTLSStartIsTheClientHello(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("..", "testdata", "pcaps", "*.pcapng"))
	if err != nil || len(files) == 0 {
		t.Fatal("no captures", err)
	}
	seen := 0
	for _, file := range files {
		times := packetTimes(t, file)
		src, err := pcapfile.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		r, err := Run(context.Background(), src, Options{})
		src.Close()
		if err != nil {
			t.Fatal(file, err)
		}
		for c, err := range r.Connections.All() {
			if err != nil {
				t.Fatal(err)
			}
			hello := c.TLS != nil && len(c.TLS.ClientHelloFrames) > 0
			if hello != (c.Stages.TLSStart != nil) {
				t.Errorf("%s: connection %d: ClientHello %t, but tls_start %v", file, c.ID, hello, c.Stages.TLSStart)
			}
			if !hello || c.Stages.TLSStart == nil {
				continue
			}
			seen++
			want := float64(times[c.TLS.ClientHelloFrames[0]]-c.Start.UnixNano()) / 1e6
			if math.Abs(want-*c.Stages.TLSStart) > 1e-6 {
				t.Errorf("%s: connection %d: tls_start %g ms, the ClientHello comes after %g", file, c.ID, *c.Stages.TLSStart, want)
			}
		}
		r.Close()
	}
	if seen < 50 {
		t.Errorf("only %d ClientHellos in %d captures", seen, len(files))
	}
}

func packetTimes(t *testing.T, file string) map[int64]int64 {
	t.Helper()
	src, err := pcapfile.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	times := map[int64]int64{}
	var b capture.Batch
	for {
		if err := src.Read(&b); err != nil {
			if !errors.Is(err, io.EOF) {
				t.Fatal(file, err)
			}
			return times
		}
		for i := range b.Packets {
			times[b.Packets[i].Number] = b.Packets[i].Time
		}
	}
}
