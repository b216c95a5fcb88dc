package report

import (
	"cmp"
	"slices"

	"goproxytrace/analyze/diagnose"
	"goproxytrace/report/messages"
)

// tableRows is how many connections the terminal report shows.
const tableRows = 20

// shown is a choice of the connections that matter most.
type shown struct {
	rows []*Connection
	// omitted and omittedDeaths count the others.
	omitted, omittedDeaths int
}

// omission says what is not shown.
func (s *shown) omission(l messages.Language) string {
	died := ""
	if s.omittedDeaths > 0 {
		died = messages.Grouped(uint64(s.omittedDeaths))
	}
	return l.Label("connections.omitted", diagnose.Text("more", messages.Grouped(uint64(s.omitted))), diagnose.Text("died", died))
}

// rank orders connections: the verdict's own first, then those to GOPROXY and
// GOSUMDB, deaths before the rest, each in order of appearance.
type rank struct {
	class int
	id    int
}

func rankOf(r *Row, id int, subject bool) rank {
	n := 4
	switch {
	case subject:
		n = 0
	case r.Target() && r.Died():
		n = 1
	case r.Target():
		n = 2
	case r.Died():
		n = 3
	}
	return rank{n, id}
}

func compareRank(a, b rank) int {
	return cmp.Or(cmp.Compare(a.class, b.class), cmp.Compare(a.id, b.id))
}

// choose picks at most limit connections. It decodes only those that could
// stay, so that a capture of many costs little more than reading past them.
func choose(d *Document, limit int) (shown, error) {
	type ranked struct {
		rank
		died bool
		conn *Connection
	}
	var best []ranked
	var out shown
	deaths, n := 0, 0
	for row, err := range d.Rows() {
		if err != nil {
			return out, err
		}
		died := row.Died()
		if died {
			deaths++
		}
		r := rankOf(row, n, row.isSubject(d.Subject))
		n++
		if len(best) == limit && compareRank(r, best[limit-1].rank) > 0 {
			continue
		}
		c, err := row.Connection()
		if err != nil {
			return out, err
		}
		at, _ := slices.BinarySearchFunc(best, r, func(e ranked, r rank) int { return compareRank(e.rank, r) })
		best = slices.Insert(best, at, ranked{r, died, c})
		best = best[:min(len(best), limit)]
	}
	out.omitted, out.omittedDeaths = n-len(best)+d.ConnectionsOmitted, deaths+d.DeathsOmitted
	for _, b := range best {
		out.rows = append(out.rows, b.conn)
		if b.died {
			out.omittedDeaths--
		}
	}
	return out, nil
}
