package analyze

import (
	"net/netip"

	"goproxytrace/analyze/decode"
	"goproxytrace/capture"
	"goproxytrace/capture/hostlog"
)

// Dropped packets come in thousands: one of each kind for each direction of a
// connection is remembered, and again after a time in which its ports may serve another one.
const (
	droppedAgain = int64(10e9) // ns
	maxDropped   = 4096
)

type droppedKey struct {
	tuple
	inbound bool
	segment hostlog.Segment
}

// dropped makes a host's record of a TCP packet that the capture says was thrown
// away: by the verdict of a packet filter (Linux' XDP and traffic control, the
// drops of Windows' pktmon in etl2pcapng's form) or by Apple's drop reason. It
// needs the direction, which says on which side of this host the packet was.
func (w *work) dropped(p *capture.Packet, n int, r *reader) {
	s := &w.segments[n]
	inbound := s.Direction == uint8(capture.Inbound)
	if s.Proto != decode.ProtoTCP || !p.HasTime || !inbound && s.Direction != uint8(capture.Outbound) {
		return
	}
	local, remote := netip.AddrPortFrom(address(s.Src), s.SrcPort), netip.AddrPortFrom(address(s.Dst), s.DstPort)
	if inbound {
		local, remote = remote, local
	}
	key := droppedKey{tupleOf(endOf(local), endOf(remote)), inbound, segmentOf(s)}
	if last, ok := r.dropped[key]; ok && p.Time-last < droppedAgain {
		return
	}
	if len(r.dropped) >= maxDropped || r.dropped == nil {
		r.dropped = make(map[droppedKey]int64)
	}
	r.dropped[key] = p.Time
	w.entries = append(w.entries, entry{at: n, frame: p.Number, time: p.Time, record: &hostlog.Block{
		Time: p.Time, Action: hostlog.Blocked, Local: local, Remote: remote, Inbound: inbound, Origin: "the capture file", Segment: key.segment,
	}})
}

// segmentOf tells what a TCP segment is for its connection.
func segmentOf(s *decode.Segment) hostlog.Segment {
	switch {
	case s.Flags&(decode.SYN|decode.ACK) == decode.SYN:
		return hostlog.SegmentSYN
	case s.Flags&decode.SYN != 0:
		return hostlog.SegmentSYNACK
	case s.Len > 0:
		return hostlog.SegmentData
	}
	return hostlog.SegmentOther
}
