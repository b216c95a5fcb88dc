package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
)

// captureWriter writes Ethernet frames as pcap or pcapng with nanosecond
// timestamps, cut to the snapshot length.
type captureWriter struct {
	w       *bufio.Writer
	ng      bool
	snaplen int
	head    [32]byte

	packets int64
	bytes   int64 // written so far, headers included
	last    int64 // time of the latest packet, Unix nanoseconds
}

func newCaptureWriter(w io.Writer, format string, snaplen int) (*captureWriter, error) {
	c := &captureWriter{w: bufio.NewWriterSize(w, 1<<20), snaplen: snaplen}
	le := binary.LittleEndian
	switch format {
	case "pcap":
		b := le.AppendUint32(nil, 0xa1b23c4d)
		b = le.AppendUint16(b, 2)
		b = le.AppendUint16(b, 4)
		b = append(b, make([]byte, 8)...)
		b = le.AppendUint32(b, uint32(snaplen))
		b = le.AppendUint32(b, 1)
		return c, c.write(b)
	case "pcapng":
		c.ng = true
		b := le.AppendUint32(nil, 0x0a0d0d0a)
		b = le.AppendUint32(b, 28)
		b = le.AppendUint32(b, 0x1a2b3c4d)
		b = le.AppendUint16(b, 1)
		b = le.AppendUint16(b, 0)
		b = le.AppendUint64(b, ^uint64(0))
		b = le.AppendUint32(b, 28)
		// Interface description: Ethernet, if_tsresol 9, end of options.
		b = le.AppendUint32(b, 1)
		b = le.AppendUint32(b, 32)
		b = le.AppendUint16(b, 1)
		b = le.AppendUint16(b, 0)
		b = le.AppendUint32(b, uint32(snaplen))
		b = append(b, 9, 0, 1, 0, 9, 0, 0, 0, 0, 0, 0, 0)
		b = le.AppendUint32(b, 32)
		return c, c.write(b)
	}
	return nil, fmt.Errorf("unknown capture format %q", format)
}

func (c *captureWriter) write(b []byte) error {
	c.bytes += int64(len(b))
	_, err := c.w.Write(b)
	return err
}

// packet writes one frame that was seen at time t.
func (c *captureWriter) packet(t int64, frame []byte) error {
	c.packets++
	c.last = t
	length := len(frame)
	if length > c.snaplen {
		frame = frame[:c.snaplen]
	}
	le, h := binary.LittleEndian, c.head[:]
	if !c.ng {
		le.PutUint32(h, uint32(t/1e9))
		le.PutUint32(h[4:], uint32(t%1e9))
		le.PutUint32(h[8:], uint32(len(frame)))
		le.PutUint32(h[12:], uint32(length))
		if err := c.write(h[:16]); err != nil {
			return err
		}
		return c.write(frame)
	}
	pad := -len(frame) & 3
	total := uint32(32 + len(frame) + pad)
	le.PutUint32(h, 6)
	le.PutUint32(h[4:], total)
	le.PutUint32(h[8:], 0)
	le.PutUint32(h[12:], uint32(uint64(t)>>32))
	le.PutUint32(h[16:], uint32(t))
	le.PutUint32(h[20:], uint32(len(frame)))
	le.PutUint32(h[24:], uint32(length))
	if err := c.write(h[:28]); err != nil {
		return err
	}
	if err := c.write(frame); err != nil {
		return err
	}
	le.PutUint32(h, 0)
	le.PutUint32(h[4:], total)
	return c.write(h[4-pad : 8])
}

// finish ends the capture; a pcapng gets its interface statistics, without
// drops, up to the last packet.
func (c *captureWriter) finish() error {
	if c.ng {
		le := binary.LittleEndian
		stamp := func(b []byte, code uint16) []byte {
			b = le.AppendUint16(b, code)
			b = le.AppendUint16(b, 8)
			b = le.AppendUint32(b, uint32(uint64(c.last)>>32))
			return le.AppendUint32(b, uint32(c.last))
		}
		count := func(b []byte, code uint16, n uint64) []byte {
			b = le.AppendUint16(b, code)
			b = le.AppendUint16(b, 8)
			return le.AppendUint64(b, n)
		}
		const total = 24 + 3*12 + 4
		b := le.AppendUint32(nil, 5)
		b = le.AppendUint32(b, total)
		b = le.AppendUint32(b, 0)
		b = le.AppendUint32(b, uint32(uint64(c.last)>>32))
		b = le.AppendUint32(b, uint32(c.last))
		b = stamp(b, 3)
		b = count(b, 4, uint64(c.packets))
		b = count(b, 5, 0)
		b = le.AppendUint32(b, 0)
		b = le.AppendUint32(b, total)
		if err := c.write(b); err != nil {
			return err
		}
	}
	return c.w.Flush()
}
