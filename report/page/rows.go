package page

import (
	"strconv"
	"strings"

	"goproxytrace/analyze/diagnose"
	"goproxytrace/report/charts"
	"goproxytrace/report/messages"
	"goproxytrace/report/page/frame"
)

// Bounds on the rows of a table of packets.
const (
	mostRows = 240
	// mostOpen is how many are shown without scrolling; of a longer table the
	// evidence is shown so, and the whole of it on demand.
	mostOpen = 40
)

// row is a line of a table of packets.
type row struct {
	ID    string // of the element, empty where another row has the frame
	Frame int64
	Proof string // numbers of evidence
	Time  string
	// Way is who sent it.
	FromClient, ICMP bool
	What             []span
	Bad, Warn        bool
	Seq, Ack, Len    string
	Window           string
	TTL, IPID        string
	Odd              bool // the TTL is not that of the sender's other packets
	Findings         []string
	// Fold is set on a line that stands for several. Href leads to the first
	// of those rows where another table has them.
	Fold []span
	Href string

	segments int // that it stands for
}

// packetTable is a table of packets.
type packetTable struct {
	Rows []row
	// Findings and IPID are false where no row has any, and the column is
	// left out.
	Findings, IPID bool
	Columns        int // behind the time, for a row that stands for several
}

// shownTable is a table with the labels of its head.
type shownTable struct {
	packetTable
	L map[string][]span
}

// With returns the table with the labels that its head is made of.
func (t packetTable) With(labels map[string][]span) shownTable { return shownTable{t, labels} }

func newPacketTable(rows []row) packetTable {
	t := packetTable{Rows: rows, Columns: 7}
	for i := range rows {
		t.Findings = t.Findings || len(rows[i].Findings) > 0
		t.IPID = t.IPID || rows[i].IPID != ""
	}
	for _, more := range [...]bool{t.Findings, t.IPID} {
		if more {
			t.Columns++
		}
	}
	return t
}

// foremost returns the rows of evidence and what stands out, each with its
// neighbours, and between them how many others there are: at most mostOpen
// rows of a table that has more. The rows that it takes lose their identifiers
// in the whole table, of which it is a part.
func (f *flow) foremost(rows []row) (out []row) {
	level := make([]int, len(rows)) // 3 evidence, 2 bad, 1 beside one of them
	var count [4]int
	for i := range rows {
		switch {
		case rows[i].Proof != "" && rows[i].Fold == nil:
			level[i] = 3
		case rows[i].Bad:
			level[i] = 2
		}
	}
	for i := range rows {
		if level[i] == 0 && (i == 0 || i > 0 && level[i-1] > 1 || i+1 < len(rows) && level[i+1] > 1) {
			level[i] = 1
		}
		count[level[i]]++
	}
	// A row of others may stand between any two.
	room, seen := [4]int{}, [4]int{}
	for l, left := 3, mostOpen/2; l > 0; l-- {
		room[l] = min(count[l], left)
		left -= room[l]
	}
	for i := 0; i < len(rows); {
		l := level[i]
		seen[l]++
		// The first and the last of a kind stay.
		if first := (room[l] + 1) / 2; l > 0 && (seen[l] <= first || count[l]-seen[l] < room[l]-first) {
			out = append(out, rows[i])
			rows[i].ID = ""
			i++
			continue
		}
		n := max(rows[i].segments, 1)
		if last := len(out) - 1; last >= 0 && out[last].Fold != nil && out[last].Href != "" {
			out[last].segments += n
		} else {
			out = append(out, row{Frame: rows[i].Frame, Time: rows[i].Time, Fold: []span{{}}, Href: f.href(rows[i].Frame), segments: n})
		}
		i++
	}
	for i := range out {
		if out[i].Href != "" {
			out[i].Fold = f.spans(f.count("page.more-packets", uint64(out[i].segments)))
		}
	}
	return out
}

// rows lists the packets: the remarkable ones each, the others in runs where
// there are too many.
func (f *flow) rows(anchors map[int64]bool) (out []row) {
	f.place = make(map[int64]int64, len(f.segments))
	all := len(f.segments) <= mostRows
	single := make([]bool, len(f.segments))
	n := 0
	for i := range f.segments {
		s := &f.segments[i]
		single[i] = all || f.own(s) || i < 8
		if single[i] {
			n++
		}
	}
	if n > mostRows {
		seen := 0
		for i := range f.segments {
			if !single[i] {
				continue
			}
			seen++
			if s := &f.segments[i]; f.proofs[s.Frame] == "" && seen > mostRows/2 && n-seen >= mostRows/2 {
				single[i] = false
			}
		}
	}
	for i := 0; i < len(f.segments); {
		if single[i] {
			out = append(out, f.row(&f.segments[i], anchors))
			f.place[f.segments[i].Frame] = f.segments[i].Frame
			i++
			continue
		}
		k := i
		var list []*segment
		for k < len(f.segments) && !single[k] {
			list = append(list, &f.segments[k])
			f.place[f.segments[k].Frame] = f.segments[i].Frame
			k++
		}
		if len(list) == 1 {
			out = append(out, f.row(list[0], anchors))
		} else {
			st := f.fold(list)
			r := row{Frame: list[0].Frame, Time: st.Time, Fold: f.spans(f.join("comma", st.Label, st.Detail)), segments: len(list)}
			r.ID = f.anchor(list[0].Frame, anchors)
			out = append(out, r)
		}
		i = k
	}
	return out
}

// anchor returns the identifier of the first row of a frame on the page.
func (f *flow) anchor(frame int64, anchors map[int64]bool) string {
	if anchors[frame] {
		return ""
	}
	anchors[frame] = true
	return "f" + strconv.FormatInt(frame, 10)
}

func (f *flow) row(s *segment, anchors map[int64]bool) row {
	r := row{
		ID: f.anchor(s.Frame, anchors), Frame: s.Frame, Proof: f.proofs[s.Frame], Time: f.stamp(s.Time), FromClient: s.FromClient, ICMP: s.icmp != nil,
	}
	if s.icmp != nil {
		r.Bad = true
		r.TTL = strconv.Itoa(int(s.TTL))
		r.What = f.spans(f.join("comma", f.icmpText(s.icmp), f.say("page.icmp-from", diagnose.Text("address", frame.Name(s.icmp.from)))))
		return r
	}
	text := charts.Say(flagText(s.Flags))
	if len(s.tls) > 0 {
		text = f.join("semicolon", text, charts.Say(strings.Join(s.tls, ", ")))
	}
	if s.clear != nil {
		text = f.join("semicolon", text, s.clear)
	}
	if s.Copy {
		text = f.join("semicolon", text, f.say("page.copy"))
	}
	switch fate := f.fate(s); {
	case fate.Cut():
		text = f.join("semicolon", text, f.say("page.no-sign"))
	case fate == charts.Unacknowledged:
		text = f.join("semicolon", text, f.say("page.unacked"))
	}
	r.What = f.spans(text)
	r.Bad = f.bad(s)
	r.Warn = s.unacked || s.Findings != 0 && !s.Copy && f.own(s)
	r.Odd = s.ttlDiff
	r.Seq, r.Len = grouped(s.seq), grouped(int64(s.Len))
	if s.Flags&ack != 0 {
		r.Ack = grouped(s.ack)
	}
	r.Window = grouped(int64(s.Window))
	r.TTL = strconv.Itoa(int(s.TTL))
	if s.HasIPID {
		r.IPID = "0x" + hex16(s.IPID)
	}
	r.Findings = findings(s.Findings)
	return r
}

func hex16(v uint16) string {
	s := strconv.FormatUint(uint64(v), 16)
	return strings.Repeat("0", 4-len(s)) + s
}

func grouped(v int64) string {
	if v < 0 {
		return "-" + messages.Grouped(uint64(-v))
	}
	return messages.Grouped(uint64(v))
}

// columns are the packets of a connection for the page's script: what a
// pointer shows where a graph is looked at closely. Numbers that grow are
// written as differences.
type columns struct {
	Frame []int64 `json:"f"`
	Time  []int64 `json:"t"` // microseconds, differences
	// Bits has 1 for the client, 2 for a copy, 4 for a segment that was not
	// acknowledged in time.
	Bits   []int    `json:"b"`
	Seq    []int64  `json:"s"`
	Ack    []int64  `json:"a"`
	Len    []uint32 `json:"l"`
	Window []uint32 `json:"w"`
	Flags  []uint16 `json:"g"`
	TTL    []uint8  `json:"ttl"`
	IPID   []int    `json:"id"` // -1 for none
	// Found has bits of tcp.analysis flags, whose names are in Names.
	Found []uint32          `json:"n"`
	TLS   map[string]string `json:"tls,omitempty"` // by index
}

func (f *flow) columns() columns {
	c := columns{TLS: map[string]string{}}
	var frame, at int64
	var seq, acked [2]int64
	for i := range f.segments {
		s := &f.segments[i]
		if s.icmp != nil {
			continue
		}
		d := side(s.FromClient)
		us := (s.Time - f.start) / 1000
		bits := 1 - d
		if s.Copy {
			bits |= 2
		}
		if s.unacked {
			bits |= 4
		}
		if len(s.tls) > 0 {
			c.TLS[strconv.Itoa(len(c.Frame))] = strings.Join(s.tls, ", ")
		}
		c.Frame = append(c.Frame, s.Frame-frame)
		c.Time = append(c.Time, us-at)
		c.Bits = append(c.Bits, bits)
		c.Seq = append(c.Seq, s.seq-seq[d])
		a := s.ack
		if s.Flags&ack == 0 {
			a = acked[d]
		}
		c.Ack = append(c.Ack, a-acked[d])
		c.Len = append(c.Len, s.Len)
		c.Window = append(c.Window, s.Window)
		c.Flags = append(c.Flags, s.Flags)
		c.TTL = append(c.TTL, s.TTL)
		id := -1
		if s.HasIPID {
			id = int(s.IPID)
		}
		c.IPID = append(c.IPID, id)
		c.Found = append(c.Found, uint32(s.Findings))
		frame, at, seq[d], acked[d] = s.Frame, us, s.seq, a
	}
	return c
}
