package casefile

import (
	"path/filepath"
	"testing"
)

func BenchmarkPacket(b *testing.B) {
	w := create(b, filepath.Join(b.TempDir(), "case.pcapng"), Options{})
	addInterface(b, w, ethernet)
	p := packet(1, 4120, syn(5000, 1000))
	b.SetBytes(int64(len(p.Data)))
	b.ReportAllocs()
	for b.Loop() {
		if err := w.Packet(p); err != nil {
			b.Fatal(err)
		}
	}
	must(b, w.Close())
}
