package pcapfile

import (
	"bytes"
	"io"
	"testing"

	"goproxytrace/capture"
)

// readThrough reads a capture once with the batch given.
func readThrough(tb testing.TB, src *bytes.Reader, size int, b *capture.Batch) int {
	r, err := NewReader(src, int64(size))
	if err != nil {
		tb.Fatal(err)
	}
	defer r.Close()
	n := 0
	for {
		err := r.Read(b)
		if err == io.EOF {
			return n
		}
		if err != nil {
			tb.Fatal(err)
		}
		n += len(b.Packets)
	}
}

func manyPackets(frameLen int, ng bool, opts ...[]byte) []byte {
	const n = 40000
	data := make([]byte, frameLen)
	if ng {
		p := epb(false, 0, at, data, opts...)
		return cat(shb(false), idb(false, 1, 0), repeat(p, n))
	}
	return cat(pcapHeader(false, magicMicro, 2, 4, 65535, 1), repeat(record(false, 1, 2, frameLen, frameLen, data), n))
}

// TestReadAllocatesNothingPerPacket allows what opening a file costs and a
// little per batch, never anything per packet.
func TestReadAllocatesNothingPerPacket(t *testing.T) {
	owner := opt(false, optComment, "PID=7 TID=8")
	pid := opt(false, optPacketProcess, "12345678")
	flags := opt(false, optPacketFlags, "\x01\x00\x00\x00")
	for name, data := range map[string][]byte{
		"pcap":                manyPackets(96, false),
		"pcapng":              manyPackets(96, true),
		"pcapng with options": manyPackets(96, true, owner, pid, flags, opt(false, optEnd, "")),
	} {
		var b capture.Batch
		src := bytes.NewReader(data)
		allocs := testing.AllocsPerRun(3, func() {
			src.Reset(data)
			if n := readThrough(t, src, len(data), &b); n != 40000 {
				t.Fatalf("%d packets", n)
			}
		})
		if allocs > 100 {
			t.Errorf("%s: %.0f allocations for 40000 packets", name, allocs)
		}
	}
}

func benchmarkRead(b *testing.B, data []byte) {
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	var batch capture.Batch
	src := bytes.NewReader(data)
	for b.Loop() {
		src.Reset(data)
		readThrough(b, src, len(data), &batch)
	}
	b.ReportMetric(40000*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mpackets/s")
}

func BenchmarkReadPcap96(b *testing.B)     { benchmarkRead(b, manyPackets(96, false)) }
func BenchmarkReadPcap1514(b *testing.B)   { benchmarkRead(b, manyPackets(1514, false)) }
func BenchmarkReadPcapng96(b *testing.B)   { benchmarkRead(b, manyPackets(96, true)) }
func BenchmarkReadPcapng1514(b *testing.B) { benchmarkRead(b, manyPackets(1514, true)) }
func BenchmarkReadPcapngOwner(b *testing.B) {
	benchmarkRead(b, manyPackets(96, true, opt(false, optComment, "PID=7 TID=8"), opt(false, optPacketProcess, "12345678"), opt(false, optEnd, "")))
}

func BenchmarkWritePcapng(b *testing.B) {
	w, err := NewWriter(io.Discard, WriterOptions{})
	if err != nil {
		b.Fatal(err)
	}
	if _, err := w.AddInterface(&capture.Interface{LinkType: 1}); err != nil {
		b.Fatal(err)
	}
	p := capture.Packet{Time: 1, HasTime: true, Data: make([]byte, 1514), Length: 1514, ProcessID: 7, Direction: capture.Inbound}
	b.SetBytes(1514)
	b.ReportAllocs()
	for b.Loop() {
		if err := w.WritePacket(&p); err != nil {
			b.Fatal(err)
		}
	}
}
