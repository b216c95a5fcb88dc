package pcapfile

import (
	"bufio"
	"fmt"
	"io"
	"math"

	"goproxytrace/capture"
)

// PcapOptions describes a pcap file.
type PcapOptions struct {
	LinkType capture.LinkType
	// SnapLen is the snapshot length in bytes; zero writes the largest one.
	SnapLen uint32
	// FCSLen is the length in bytes of the frame check sequence, an even
	// number up to 30; zero or less writes none.
	FCSLen int
	// Nanoseconds writes the nanosecond variant instead of microseconds.
	Nanoseconds bool
	BigEndian   bool
}

// PcapWriter writes a pcap file. It keeps times and lengths; whatever else a
// packet says has no place in that format.
type PcapWriter struct {
	w      *bufio.Writer
	order  order
	unit   int64
	limit  uint32
	record []byte
}

// NewPcapWriter begins a pcap file.
func NewPcapWriter(dst io.Writer, opts PcapOptions) (*PcapWriter, error) {
	w := &PcapWriter{
		w:     bufio.NewWriterSize(dst, 64<<10),
		order: order(opts.BigEndian),
		unit:  1000,
		limit: maxFrameOf(opts.LinkType),
	}
	magic, snapLen, network := uint32(magicMicro), opts.SnapLen, uint32(opts.LinkType)
	if opts.Nanoseconds {
		magic, w.unit = magicNano, 1
	}
	if snapLen == 0 {
		snapLen = w.limit
	}
	if opts.FCSLen > 0 {
		if opts.FCSLen%2 != 0 || opts.FCSLen > 30 {
			return nil, fmt.Errorf("a frame check sequence of %d bytes", opts.FCSLen)
		}
		network |= 1<<26 | uint32(opts.FCSLen/2)<<28
	}
	b := w.order.append32(nil, magic)
	b = w.order.append16(b, 2)
	b = w.order.append16(b, 4)
	b = w.order.append64(b, 0) // time zone and accuracy, unused
	b = w.order.append32(b, snapLen)
	b = w.order.append32(b, network)
	_, err := w.w.Write(b)
	return w, err
}

// WritePacket writes a frame. A packet without time is written at time zero.
func (w *PcapWriter) WritePacket(p *capture.Packet) error {
	if p.Kind != capture.KindFrame {
		return fmt.Errorf("record %d is no frame", p.Number)
	}
	if uint64(len(p.Data)) > uint64(w.limit) {
		return fmt.Errorf("packet %d has %d bytes, more than %d", p.Number, len(p.Data), w.limit)
	}
	var sec, frac int64
	if p.HasTime {
		sec, frac = p.Time/nsPerSecond, p.Time%nsPerSecond/w.unit
	}
	if p.Time < 0 || sec > math.MaxUint32 {
		return fmt.Errorf("packet %d has a time outside the years 1970 to 2106", p.Number)
	}
	b := w.order.append32(w.record[:0], uint32(sec))
	b = w.order.append32(b, uint32(frac))
	b = w.order.append32(b, uint32(len(p.Data)))
	b = w.order.append32(b, uint32(min(max(p.Length, 0), math.MaxInt32)))
	w.record = append(b, p.Data...)
	_, err := w.w.Write(w.record)
	return err
}

// Flush writes what is buffered.
func (w *PcapWriter) Flush() error { return w.w.Flush() }
