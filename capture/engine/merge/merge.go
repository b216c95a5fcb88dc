// Package merge puts the packets of several kernel buffers in time order.
//
// In come taps, each of which hands out packets roughly in order and late by
// a bounded time, out come batches in the order of the packets' timestamps. A
// packet waits until every other tap has either shown a later one or been
// found empty long enough after the packet's time; it never waits longer than
// that. One that turns up later still is delivered late rather than lost.
package merge

import (
	"time"

	"goproxytrace/capture"
)

const (
	// chunk is how many bytes a batch holds as a rule, and the most packets.
	chunk      = 512 << 10
	maxPackets = 4096
	// pace is how long a tap found empty is left alone, in nanoseconds.
	// Where packets flow one way only, the other way's tap would otherwise
	// be asked once per packet.
	pace = int64(2 * time.Millisecond)
)

// Tap is one source of packets.
type Tap interface {
	// Next fills p with the next packet; false says that there is none at
	// present. p.Data stays valid until the next call.
	Next(p *capture.Packet) (bool, error)
}

// Merger merges taps.
type Merger struct {
	heads []head
	// hold is how long after a packet's time a tap may still show it, in
	// nanoseconds.
	hold   int64
	now    func() int64
	number int64
	// clock is what now said before the latest of ticks packets.
	clock int64
	ticks int
}

// perTick is for how many packets in a row one reading of the clock serves:
// asking it for each costs as much as taking the packet.
const perTick = 32

// head is a tap and the packet that comes next from it.
type head struct {
	tap    Tap
	packet capture.Packet
	full   bool
	// empty is the wall-clock time at which the tap was last found empty.
	empty int64
}

// New merges taps. hold is the longest time between a packet's timestamp and
// its showing at a tap.
func New(hold time.Duration, taps ...Tap) *Merger {
	m := &Merger{hold: int64(hold), now: func() int64 { return time.Now().UnixNano() }}
	for _, t := range taps {
		m.heads = append(m.heads, head{tap: t})
	}
	return m
}

// Add takes in one more tap.
func (m *Merger) Add(t Tap) { m.heads = append(m.heads, head{tap: t}) }

// Number is the number of packets delivered.
func (m *Merger) Number() int64 { return m.number }

// Pending reports whether a packet waits for its turn.
func (m *Merger) Pending() bool { return m.earliest() != nil }

// Fill puts the packets into b that may be delivered now; none is no error.
// flush says that nothing is worth waiting for any more: the taps' packets
// are all delivered, in order as far as they are there.
func (m *Merger) Fill(b *capture.Batch, flush bool) error {
	b.Packets = b.Packets[:0]
	buf := b.Buf[:0]
	m.ticks = 0
	for len(b.Packets) < maxPackets {
		h, err := m.next(flush)
		if err != nil || h == nil {
			b.Buf = buf
			if len(b.Packets) > 0 {
				return nil // the tap says it again
			}
			return err
		}
		n := len(h.packet.Data)
		if cap(buf)-len(buf) < n {
			if len(b.Packets) > 0 {
				break
			}
			buf = make([]byte, 0, max(chunk, n))
		}
		at := len(buf)
		buf = append(buf, h.packet.Data...)
		m.number++
		b.Packets = append(b.Packets, h.packet)
		p := &b.Packets[len(b.Packets)-1]
		p.Data = buf[at : at+n : at+n]
		p.Number = m.number
		h.full = false
		h.packet.Data = nil
	}
	b.Buf = buf
	return nil
}

// next returns the tap whose packet comes next, nil where none may be
// delivered yet.
func (m *Merger) next(flush bool) (*head, error) {
	first := m.earliest()
	for i := range m.heads {
		h := &m.heads[i]
		if h.full || first != nil && !flush && m.passed(first.packet.Time, h.empty) {
			continue
		}
		if m.ticks%perTick == 0 {
			m.clock = m.now()
		}
		m.ticks++
		now := m.clock // before asking, so that empty is never too late
		if since := now - h.empty; !flush && since >= 0 && since < pace {
			continue
		}
		full, err := h.tap.Next(&h.packet)
		if err != nil {
			return nil, err
		}
		h.full = full
		if !full {
			h.empty = now
		} else if first == nil || h.packet.Time < first.packet.Time {
			first = h
		}
	}
	if first == nil || flush {
		return first, nil
	}
	for i := range m.heads {
		if h := &m.heads[i]; !h.full && !m.passed(first.packet.Time, h.empty) {
			return nil, nil
		}
	}
	return first, nil
}

func (m *Merger) earliest() (first *head) {
	for i := range m.heads {
		if h := &m.heads[i]; h.full && (first == nil || h.packet.Time < first.packet.Time) {
			first = h
		}
	}
	return first
}

// passed reports whether a tap that was found empty at a time cannot show
// anything earlier than t. A time in the future means that the clock was set
// back since: order cannot be told then, and waiting for the clock to get
// there could take hours.
func (m *Merger) passed(t, empty int64) bool {
	return t <= empty-m.hold || t > empty && empty != 0 && t > m.now()
}
