package page

import (
	"slices"
	"strconv"

	"goproxytrace/report"
)

// proofView is a sentence of evidence.
type proofView struct {
	Number int
	Text   []span
	Frames []frameLink
	More   int
	Filter string
}

// numbers returns the numbers of the sentences that name a frame: "1", or
// "1–3,5".
func numbers(v *report.Verdict) map[int64]string {
	lists := map[int64][]int{}
	for i := range v.Evidence {
		for _, f := range v.Evidence[i].Frames {
			if l := lists[f]; len(l) == 0 || l[len(l)-1] != i+1 {
				lists[f] = append(l, i+1)
			}
		}
	}
	out := make(map[int64]string, len(lists))
	for f, l := range lists {
		var b []byte
		for i := 0; i < len(l); {
			k := i
			for k+1 < len(l) && l[k+1] == l[k]+1 {
				k++
			}
			if i > 0 {
				b = append(b, ',')
			}
			b = strconv.AppendInt(b, int64(l[i]), 10)
			switch {
			case k == i+1:
				b = strconv.AppendInt(append(b, ','), int64(l[k]), 10)
			case k > i+1:
				b = strconv.AppendInt(append(b, "–"...), int64(l[k]), 10)
			}
			i = k + 1
		}
		out[f] = string(b)
	}
	return out
}

func (b *book) evidence(list func(*report.Document) []report.Evidence, anchors map[int64]bool) (out []proofView) {
	texts := b.lists(func(d *report.Document) (s []string) {
		for _, e := range list(d) {
			s = append(s, e.Text)
		}
		return s
	})
	for i, e := range list(b.docs[0]) {
		p := proofView{Number: i + 1, Text: b.spans(texts[i]), Filter: e.Filter}
		for k, f := range e.Frames {
			if k == mostFrames {
				p.More = len(e.Frames) - k
				break
			}
			p.Frames = append(p.Frames, linkTo(f, anchors))
		}
		out = append(out, p)
	}
	return out
}

func linkTo(frame int64, anchors map[int64]bool) frameLink {
	l := frameLink{Frame: strconv.FormatInt(frame, 10)}
	if anchors[frame] {
		l.Href = "#f" + l.Frame
	}
	return l
}

func (v *view) proofs(anchors map[int64]bool) {
	v.Proofs = v.b.evidence(func(d *report.Document) []report.Evidence { return d.Verdict.Evidence }, anchors)
	// What is on no table is found with the filter.
	for i := range v.Proofs {
		p := &v.Proofs[i]
		for k := range p.Frames {
			if p.Frames[k].Href == "" && p.Filter != "" {
				p.Frames[k].Href = "#w" + strconv.Itoa(p.Number)
			}
		}
	}
	var all []int64
	for _, e := range v.b.docs[0].Verdict.Evidence {
		all = append(all, e.Frames...)
	}
	slices.Sort(all)
	v.Filter = report.FrameFilter(slices.Compact(all))
	for i := range v.Conns {
		c := &v.Conns[i]
		if c.Subject {
			continue // its evidence is that of the page
		}
		c.Proofs = v.b.evidence(func(d *report.Document) []report.Evidence {
			return c.verdict(d).Evidence
		}, anchors)
	}
}
