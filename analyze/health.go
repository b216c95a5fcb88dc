package analyze

import (
	"math"
	"slices"
	"strings"

	"goproxytrace/analyze/decode"
	"goproxytrace/analyze/diagnose"
	"goproxytrace/analyze/tcpflow"
	"goproxytrace/capture"
	"goproxytrace/capture/hostlog"
)

// Thresholds of the capture's own health.
const (
	// clockBack is how far time may run backwards on one interface before
	// it is a clock step: reordering by several processors stays below.
	clockBack = int64(1e9)
	// clockAhead is how large a jump must be to be compared with the TCP
	// timestamps, which go on at their own pace.
	clockAhead = int64(10e9)
	// offloadFactor: a payload of at least this many maximum segment sizes
	// was put together by the network card or the kernel.
	offloadFactor = 2
	// maxClockSteps bounds the jumps of the clock that verdicts regard,
	// maxBreaks the places where another capture begins.
	maxClockSteps = 64
	maxBreaks     = 1 << 14
	// healthFrames bounds the frames named for one fact.
	healthFrames = 8
)

// finding counts one kind of observation and keeps the first frames of it.
type finding struct {
	count  int64
	frames []int64
}

func (f *finding) add(frame int64) {
	f.count++
	if len(f.frames) < healthFrames && !slices.Contains(f.frames, frame) {
		f.frames = append(f.frames, frame)
	}
}

// health gathers the facts about the capture itself (the K rows).
type health struct {
	lateStart, oneDirection, offload, duplicates, sliced finding
	clockBackward, clockForward, unseenACK, tunnel       finding
	lastTime                                             []int64 // by interface
	jumpFrame, jumpTo, jumpBy                            int64
	steps                                                []diagnose.ClockStep
	breaks                                               []diagnose.Break
	broken                                               finding
	latest                                               int64 // time since the last break
	segments                                             int64
	start, end                                           int64
	neighbours                                           neighbours
	unread                                               []unread
}

// unread is something that this host records and that could not be read.
type unread struct {
	finding
	source, why string
}

// maxUnread bounds what is told of that.
const maxUnread = 16

// unreadable takes that something could not be read.
func (h *health) unreadable(r *hostlog.Unread, frame int64) {
	u := unread{source: clipped(r.Source, maxEventText), why: clipped(r.Why, maxEventText)}
	if len(h.unread) >= maxUnread || slices.ContainsFunc(h.unread, func(o unread) bool { return o.source == u.source && o.why == u.why }) {
		return
	}
	u.count = 1
	if frame != 0 {
		u.frames = []int64{frame}
	}
	h.unread = append(h.unread, u)
}

// follow finds the places where packets of another capture begin.
func (h *health) follow(frame, at int64) {
	if at == 0 {
		return
	}
	if h.latest != 0 && diagnose.IsBreak(at-h.latest) {
		h.broken.add(frame)
		if len(h.breaks) < maxBreaks {
			h.breaks = append(h.breaks, diagnose.Break{Frame: frame, Until: h.latest})
		}
		h.latest = at
		clear(h.lastTime) // no clock was set
	}
	h.latest = max(h.latest, at)
}

// close returns the breaks with the file's end as the last one.
func (h *health) close() []diagnose.Break {
	if len(h.breaks) == 0 {
		return nil
	}
	return append(h.breaks, diagnose.Break{Frame: math.MaxInt64, Until: h.latest})
}

// segment looks at each segment before the connection takes it.
func (h *health) segment(s *decode.Segment) {
	h.follow(s.Frame, s.Time)
	i := int(max(s.Interface, 0))
	if i >= len(h.lastTime) {
		if i >= 1<<12 {
			return
		}
		h.lastTime = append(h.lastTime, make([]int64, i+1-len(h.lastTime))...)
	}
	last := h.lastTime[i]
	h.lastTime[i] = s.Time
	if last == 0 || s.Time == 0 {
		return
	}
	switch d := s.Time - last; {
	case d < -clockBack:
		h.clockBackward.add(s.Frame)
	case d > clockAhead:
		h.jumpFrame, h.jumpTo, h.jumpBy = s.Frame, s.Time, d
	}
}

// timestamps compares a jump in capture time with the sender's own clock. A
// timestamp clock ticks at 100 Hz to 1,000 Hz mostly (RFC 7323, section 5.4):
// one that moved less than half of what the slowest of these would, says that
// the capture's clock was set.
func (h *health) timestamps(s *decode.Segment, c *tcpflow.Conn, d uint8) {
	if h.jumpBy == 0 || !s.HasTimestamps || s.Flags&decode.RST != 0 {
		return
	}
	if s.Time-h.jumpTo > clockAhead || s.Time < h.jumpTo {
		h.jumpBy = 0
		return
	}
	half := c.Half[d]
	if half == nil || half.TSval == 0 || half.TSvalTime == 0 || half.TSvalTime >= h.jumpTo {
		return
	}
	elapsed := s.Time - half.TSvalTime
	if ticks := int64(s.TSval - half.TSval); elapsed > clockAhead && ticks < elapsed/10e6/2 {
		h.clockForward.add(h.jumpFrame)
		if len(h.steps) < maxClockSteps {
			h.steps = append(h.steps, diagnose.ClockStep{Time: h.jumpTo, By: h.jumpBy})
		}
		h.jumpBy = 0
	}
}

// connection looks at each finished connection.
func (h *health) connection(c *tcpflow.Conn) {
	frame := c.Start.Frame
	a, b := c.Half[0], c.Half[1]
	if !a.SYN.Seen() && (b == nil || !b.SYN.Seen()) {
		h.lateStart.add(frame)
	}
	// An unanswered SYN is no sign of a one-sided capture; an
	// acknowledgement that moves over bytes never seen is.
	if b != nil && b.Packets == 0 && a.HighAck > 1 && a.Packets > 2 {
		h.oneDirection.add(frame)
	}
	for d, x := range c.Half {
		if x == nil {
			continue
		}
		// The limit on what one end sends is what the other end said it
		// takes (RFC 9293, section 3.7.1).
		if o := c.Half[1-d]; o != nil && o.MSS > 0 && x.MaxLen >= offloadFactor*uint32(o.MSS) {
			h.offload.add(frame)
		}
		if x.Duplicates > 0 {
			h.duplicates.count += int64(x.Duplicates) - 1
			h.duplicates.add(frame)
		}
		if x.ACKLostSegments > 0 {
			h.unseenACK.count += int64(x.ACKLostSegments) - 1
			h.unseenACK.add(frame)
		}
	}
	if c.SlicedSegments() > 0 {
		h.sliced.count += int64(c.SlicedSegments()) - 1
		h.sliced.add(frame)
	}
	if e := c.ServerEnd().Addr; isBenchmarking(&e) {
		h.tunnel.add(frame)
	}
}

// isBenchmarking reports whether a lies in 198.18.0.0/15 (RFC 2544), which
// local proxies hand out as stand-in addresses.
func isBenchmarking(a *decode.Addr) bool {
	return a[10] == 0xff && a[11] == 0xff && a[12] == 198 && a[13]&0xfe == 18 && a[0] == 0
}

// drops returns how many packets were lost before they reached the file;
// known is false where no interface says.
func drops(info *capture.Info) (received, dropped uint64, knownReceived, known bool) {
	for i := range info.Interfaces {
		f := &info.Interfaces[i]
		if f.Received != nil {
			received += *f.Received
			knownReceived = true
		}
		for _, n := range []*uint64{f.Dropped, f.OSDropped} {
			if n != nil {
				dropped += *n
				known = true
			}
		}
	}
	return received, dropped, knownReceived, known
}

// undrained returns how many packets passed the filter and are not in the
// file, beyond those counted as dropped: the capture was stopped before its
// buffer was emptied.
func undrained(info *capture.Info) (n uint64) {
	for i := range info.Interfaces {
		f := &info.Interfaces[i]
		if f.FilterAccepted == nil {
			continue
		}
		have := uint64(f.Packets)
		if f.OSDropped != nil {
			have += *f.OSDropped
		}
		if *f.FilterAccepted > have {
			n += *f.FilterAccepted - have
		}
	}
	return n
}

// unfiltered reports whether the file itself says that no capture filter was
// in force: pcapng has an option for it, which these programs always write.
func unfiltered(info *capture.Info) bool {
	if len(info.Interfaces) == 0 || !strings.HasPrefix(info.Application, "Dumpcap") && !strings.HasPrefix(info.Application, "goproxytrace") {
		return false
	}
	for i := range info.Interfaces {
		if info.Interfaces[i].Filter != "" {
			return false
		}
	}
	return true
}

// facts lists what is worth telling, K row by K row.
func (h *health) facts(info *capture.Info) (out []HealthFact) {
	add := func(id string, f *finding, values ...diagnose.Value) {
		if f.count > 0 {
			values = append(values, diagnose.Num("count", f.count))
			out = append(out, HealthFact{diagnose.Evidence{ID: id, Values: values, Frames: f.frames}})
		}
	}
	if _, dropped, _, known := drops(info); known && dropped > 0 {
		add("K1.dropped", &finding{count: int64(dropped)})
	}
	if n := undrained(info); n > 0 {
		add("K2.undrained", &finding{count: int64(n)})
	}
	add("K1.acked-unseen", &h.unseenACK)
	add("K2.late-start", &h.lateStart)
	add("K3.one-direction", &h.oneDirection)
	add("K4.offload", &h.offload)
	add("K5.duplicates", &h.duplicates)
	add("K6.sliced", &h.sliced)
	add("K8.clock-back", &h.clockBackward)
	add("K8.clock-ahead", &h.clockForward)
	add("K8.break", &h.broken)
	add("K9.stand-in-address", &h.tunnel)
	for i := range h.unread {
		u := &h.unread[i]
		add("host.unread", &u.finding, diagnose.Text("source", u.source), diagnose.Text("why", u.why))
	}
	return out
}

// neighbours follows address resolution (ARP, IPv6 neighbour discovery).
type neighbours struct {
	asked map[decode.Addr]*question
}

type question struct {
	frames      []int64
	count       int
	first, last int64
	answered    bool
}

const maxNeighbours = 1024

// segment returns how long the answer in s took, in ns, zero where it is none.
func (n *neighbours) segment(s *decode.Segment) int64 {
	if n.asked == nil {
		n.asked = make(map[decode.Addr]*question)
	}
	target := s.Dst
	if s.ICMPType == 2 {
		target = s.Src
	}
	q := n.asked[target]
	if s.ICMPType == 2 {
		if q == nil {
			return 0
		}
		q.answered = true
		return s.Time - q.last
	}
	if q == nil {
		if len(n.asked) >= maxNeighbours {
			return 0
		}
		q = &question{first: s.Time}
		n.asked[target] = q
	}
	q.count++
	q.last = s.Time
	if len(q.frames) < healthFrames {
		q.frames = append(q.frames, s.Frame)
	}
	return 0
}

// silent lists the addresses that were asked for at least three times and
// never answered, those asked first first.
func (n *neighbours) silent() (out []diagnose.SilentNeighbour) {
	for a, q := range n.asked {
		if !q.answered && q.count >= 3 {
			out = append(out, diagnose.SilentNeighbour{Addr: a, Count: q.count, Frames: q.frames, First: q.first, Last: q.last})
		}
	}
	slices.SortFunc(out, func(a, b diagnose.SilentNeighbour) int { return int(a.Frames[0] - b.Frames[0]) })
	return out
}
