package page

import (
	"fmt"
	"strconv"
	"strings"

	"goproxytrace/analyze/diagnose"
	"goproxytrace/analyze/tcpflow"
	"goproxytrace/report/charts"
	"goproxytrace/report/messages"
	"goproxytrace/report/page/frame"
)

// Bounds on a sequence diagram.
const (
	// mostVital bounds the lines that are drawn however many there are; only a
	// hostile capture has so many.
	mostVital = 150
	// mostNames bounds the segments with TLS messages, mostCrowd the others.
	mostTLS   = 16
	mostCrowd = 12
	// gap is the least silence in nanoseconds that is drawn as one.
	gap = 400_000_000
)

// own reports whether a segment is drawn by itself where there is room: it
// opens or ends something, or something is remarkable about it.
func (f *flow) own(s *segment) bool {
	return s.icmp != nil || s.Flags&(syn|fin|rst) != 0 || len(s.tls) > 0 || s.clear != nil || s.unacked || s.missing > 0 || f.proofs[s.Frame] != "" || s.alert ||
		s.Findings&^(tcpflow.WindowUpdate|tcpflow.DuplicateACK|tcpflow.OutOfOrder|tcpflow.WindowFull) != 0
}

// importance says who stays in a diagram where there are too many.
type importance uint8

const (
	crowd importance = iota // one of many in a transfer
	named                   // carries a TLS message
	vital                   // opens or ends something, stands alone, or proves something
)

func (f *flow) importance(s *segment, alone bool) importance {
	switch {
	case s.icmp != nil, s.Flags&(syn|rst|fin) != 0, s.alert, f.proofs[s.Frame] != "", alone:
		return vital
	case len(s.tls) > 0, s.clear != nil:
		return named
	}
	return crowd
}

// steps turns segments into the lines of a sequence diagram.
func (f *flow) steps() []charts.Step {
	var list []*segment
	for i := range f.segments {
		if s := &f.segments[i]; !s.Copy {
			list = append(list, s)
		}
	}
	own := make([]bool, len(list))
	handshake := 0
	for i, s := range list {
		own[i] = f.own(s)
		// The acknowledgement that ends the TCP handshake is part of it.
		if s.Flags&syn != 0 {
			handshake |= int(1) << side(s.FromClient)
		} else if handshake == 3 && s.FromClient && s.Len == 0 {
			own[i] = true
			handshake = 0
		}
	}
	f.thin(list, own)
	var out []charts.Step
	last := f.start
	for i := 0; i < len(list); {
		s := list[i]
		if d := s.Time - last; d >= gap && i > 0 {
			out = append(out, f.pause("page.nothing-for", d))
		}
		n := i + 1
		for !own[i] && n < len(list) && !own[n] && list[n].Time-list[n-1].Time < gap {
			n++
		}
		if n-i > 1 {
			out = append(out, f.fold(list[i:n]))
		} else {
			if s.missing > 0 {
				out = append(out, f.hole(s))
			}
			out = append(out, f.step(s))
		}
		last = list[n-1].Time
		i = n
	}
	if f.end-last >= 1_000_000_000 && len(list) > 0 && !f.closed() {
		out = append(out, f.pause("page.nothing-until-end", f.end-last))
	}
	return out
}

// closed reports whether both ends closed, or one reset the connection.
func (f *flow) closed() bool {
	var ends [2]bool
	for i := range f.segments {
		switch s := &f.segments[i]; {
		case s.tcp(rst):
			return true
		case s.tcp(fin):
			ends[side(s.FromClient)] = true
		}
	}
	return ends[0] && ends[1]
}

// thin folds what is remarkable too often to be drawn one by one: the first
// and the last of a kind stay.
func (f *flow) thin(list []*segment, own []bool) {
	room := [...]int{crowd: mostCrowd, named: mostTLS, vital: mostVital}
	level := make([]importance, len(list))
	var count, seen [len(room)]int
	for i, s := range list {
		if own[i] {
			alone := s.Len > 0 && (i == 0 || s.Time-list[i-1].Time >= gap) && (i+1 == len(list) || list[i+1].Time-s.Time >= gap)
			level[i] = f.importance(s, alone)
			count[level[i]]++
		}
	}
	for i := range list {
		if !own[i] {
			continue
		}
		l := level[i]
		seen[l]++
		if count[l] > room[l] && seen[l] > room[l]/2 && count[l]-seen[l] >= room[l]/2 {
			own[i] = false
		}
	}
}

func (f *flow) pause(label string, ns int64) charts.Step {
	return charts.Step{Kind: charts.StepBreak, Label: f.say(label, diagnose.Dur("time", ns))}
}

// stamp is a time since the connection began.
func (f *flow) stamp(at int64) string { return stamp(f.ms(at)) }

func stamp(ms float64) string {
	switch {
	case ms < 10 && ms > -10:
		return strconv.FormatFloat(ms, 'f', 2, 64) + " ms"
	case ms < 1000 && ms > -1000:
		return strconv.FormatFloat(ms, 'f', 1, 64) + " ms"
	}
	return strconv.FormatFloat(ms/1000, 'f', 3, 64) + " s"
}

// href leads to the row of the table that shows a frame.
func (f *flow) href(frame int64) string { return "#f" + strconv.FormatInt(f.place[frame], 10) }

// step draws one segment.
func (f *flow) step(s *segment) charts.Step {
	st := charts.Step{
		From: charts.LaneFar, To: charts.LaneClient, Time: f.stamp(s.Time), Label: f.what(s), Href: f.href(s.Frame),
		Number: f.proofs[s.Frame], Tone: charts.TonePlain, Fate: f.fate(s),
	}
	if s.FromClient {
		st.From, st.To = st.To, st.From
	}
	if s.icmp != nil {
		st.From, st.To, st.Tone = charts.LaneNetwork, charts.LaneClient, charts.ToneBad
		st.Label = f.icmpText(s.icmp)
		st.Detail = f.join("comma", f.say("page.icmp-from", diagnose.Text("address", frame.Name(s.icmp.from))), charts.Say("TTL "+strconv.Itoa(int(s.TTL))))
		return st
	}
	switch {
	case f.bad(s):
		st.Tone = charts.ToneBad
	case s.unacked, s.Findings&^(tcpflow.WindowUpdate|tcpflow.KeepAlive|tcpflow.KeepAliveACK) != 0:
		st.Tone = charts.ToneWarn
	case len(s.tls) > 0:
		st.Tone = charts.ToneTLS
	case s.Len > 0:
		st.Tone = charts.ToneData
	}
	if s.Flags&rst != 0 {
		f.reset(s, &st)
	}
	return st
}

// bad reports whether a segment ends a connection before its time.
func (f *flow) bad(s *segment) bool {
	return s.icmp != nil || f.conn.Verdict.Died && (s.Flags&rst != 0 || s.alert)
}

// reset says what tells where a reset came from. Headers are not
// authenticated: unless the verdict puts it at the far end, its sender is not
// known to be the one it names.
func (f *flow) reset(s *segment, st *charts.Step) {
	if s.FromClient {
		return
	}
	v := &f.conn.Verdict
	network := contains(v.Place, string(diagnose.Network))
	switch {
	case network && len(v.Place) == 1:
		st.From = charts.LaneNetwork
	case network:
		st.Unsure = true
	}
	parts := []charts.Words{charts.Say("TTL " + strconv.Itoa(int(s.TTL)))}
	if low, high, ok := f.ttls(); ok {
		others := strconv.Itoa(int(low))
		if high != low {
			others += "–" + strconv.Itoa(int(high))
		}
		parts[0] = f.say("page.ttl-others", diagnose.Num("ttl", int64(s.TTL)), diagnose.Text("others", others))
	}
	if prior := f.lastFromClient(s); prior != nil {
		parts = append(parts, f.say("page.after-client", diagnose.Dur("time", s.Time-prior.Time)))
	}
	if f.rtt > 0 {
		parts = append(parts, f.say("page.round-trip", diagnose.Dur("time", f.rtt)))
	}
	st.Detail = f.join("comma", parts...)
}

// ttls returns the least and the greatest time to live of the server's
// segments that are no resets.
func (f *flow) ttls() (low, high uint8, ok bool) {
	low = 255
	for i := range f.segments {
		if s := &f.segments[i]; s.icmp == nil && !s.FromClient && s.Flags&rst == 0 {
			low, high, ok = min(low, s.TTL), max(high, s.TTL), true
		}
	}
	return low, high, ok
}

// lastFromClient returns the client's last segment before s that asks for an
// answer.
func (f *flow) lastFromClient(s *segment) (last *segment) {
	for i := range f.segments {
		p := &f.segments[i]
		if p == s {
			break
		}
		if p.icmp == nil && p.FromClient && !p.Copy && p.end > p.seq {
			last = p
		}
	}
	return last
}

// hole draws bytes that were sent and never captured.
func (f *flow) hole(s *segment) charts.Step {
	st := charts.Step{
		From: charts.LaneFar, To: charts.LaneClient, Fate: charts.EndsNetwork, Tone: charts.ToneWarn,
		Label: f.say("page.never-captured", diagnose.Bytes("bytes", s.missing)),
	}
	if s.FromClient {
		st.From, st.To = st.To, st.From
	}
	return st
}

// icmpNames are what routers say, by type and code of IPv4 (RFC 792, RFC 1122,
// RFC 1812).
func (f *flow) icmpText(e *icmp) charts.Words {
	s := fmt.Sprintf("ICMP type %d, code %d", e.kind, e.code)
	if e.mtu > 0 {
		s += fmt.Sprintf(", MTU %d", e.mtu)
	}
	return charts.Say(s)
}

// fold stands for several segments.
func (f *flow) fold(list []*segment) charts.Step {
	var bytes [2]uint64
	var packets, data [2]int
	found := map[string]int{}
	var order []string
	for _, s := range list {
		if s.icmp != nil {
			continue
		}
		d := side(s.FromClient)
		packets[d]++
		if s.Len > 0 {
			data[d]++
			bytes[d] += uint64(s.Len)
		}
		for _, n := range findings(s.Findings) {
			if found[n] == 0 {
				order = append(order, n)
			}
			found[n]++
		}
	}
	st := charts.Step{Kind: charts.StepFold, Time: f.stamp(list[0].Time), Tone: charts.TonePlain, Href: f.href(list[0].Frame)}
	st.From, st.To = charts.LaneFar, charts.LaneClient
	var label []charts.Words
	for d, arrow := range [...]string{"→ ", "← "} {
		if data[d] == 0 {
			continue
		}
		w := f.join("comma", f.count("page.segments", uint64(data[d])), charts.Say(bytesText(bytes[d])))
		for i := range w {
			w[i] = arrow + w[i]
		}
		label = append(label, w)
		st.Tone = charts.ToneData
	}
	st.Double = data[0] > 0 && data[1] > 0
	if data[0] > 0 && data[1] == 0 {
		st.From, st.To = st.To, st.From
	}
	if acks := packets[0] + packets[1] - data[0] - data[1]; acks > 0 {
		label = append(label, f.count("page.acks", uint64(acks)))
		if data[0]+data[1] == 0 && packets[0] == acks {
			st.From, st.To = charts.LaneClient, charts.LaneFar
		}
	}
	st.Label = f.join("semicolon", label...)
	first, last := list[0], list[len(list)-1]
	detail := []charts.Words{f.say("page.frames-over", diagnose.Text("frames", frameRange(first.Frame, last.Frame)), diagnose.Dur("time", last.Time-first.Time))}
	for _, n := range order {
		w := f.say("found." + strings.ReplaceAll(n, "_", "-"))
		more := make(charts.Words, len(f.docs))
		for i := range more {
			more[i] = messages.Grouped(uint64(found[n])) + " × " + in(w, i)
		}
		detail = append(detail, more)
		if n != "window_update" {
			st.Tone = charts.ToneWarn
		}
	}
	st.Detail = f.join("comma", detail...)
	return st
}

func frameRange(a, b int64) string {
	if a == b {
		return strconv.FormatInt(a, 10)
	}
	return strconv.FormatInt(a, 10) + "–" + strconv.FormatInt(b, 10)
}

// bytesText writes a number of bytes for a person, in decimal units.
func bytesText(n uint64) string {
	switch {
	case n < 10_000:
		return messages.Grouped(n) + " B"
	case n < 1_000_000:
		return strconv.FormatFloat(float64(n)/1e3, 'f', 1, 64) + " kB"
	case n < 1_000_000_000:
		return strconv.FormatFloat(float64(n)/1e6, 'f', 1, 64) + " MB"
	}
	return strconv.FormatFloat(float64(n)/1e9, 'f', 1, 64) + " GB"
}
