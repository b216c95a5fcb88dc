package npcap

import (
	"bytes"
	"errors"
	"net"

	"goproxytrace/capture"
	"goproxytrace/capture/portfilter"
)

// Adapter is an interface to capture on.
type Adapter struct {
	// Name is the driver's, \Device\NPF_...; Label is what the user knows
	// it by.
	Name, Label string
	// Hardware is the adapter's address, by which sent frames are told from
	// received ones; empty where it has none.
	Hardware net.HardwareAddr
	Loopback bool
}

// Options say what is captured.
type Options struct {
	Adapters []Adapter
	Filter   portfilter.Options
	// Buffer is the driver's memory for each adapter in bytes; zero means
	// DefaultBuffer.
	Buffer int
}

// DefaultBuffer is the driver's memory for one adapter.
const DefaultBuffer = 16 << 20

// ErrTimeout says that no packet came within a handle's read timeout.
var ErrTimeout = errors.New("no packet within the read timeout")

// Handle is an adapter being captured on.
type Handle interface {
	LinkType() capture.LinkType
	// Next returns the next packet: its bytes, which stay valid until the
	// next call, its time in Unix nanoseconds, and its length on the wire.
	// It waits readTimeout at most and then returns ErrTimeout.
	Next() (data []byte, at int64, length int, err error)
	// Dropped counts the packets lost because they were not fetched in time.
	Dropped() (uint64, error)
	// Close is called once nobody is in Next.
	Close()
}

// direction tells by the sender's address whether the host sent a frame.
func (a *Adapter) direction(link capture.LinkType, frame []byte) capture.Direction {
	const ethernet = 1
	switch {
	case a.Loopback, link != ethernet, len(a.Hardware) != 6, len(frame) < 12:
		return capture.DirectionUnknown
	case bytes.Equal(frame[6:12], a.Hardware):
		return capture.Outbound
	}
	return capture.Inbound
}
