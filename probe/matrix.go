package probe

import (
	"slices"

	"goproxytrace/analyze/diagnose"
)

// cells sums the attempts on one host up. Attempts that the user has stopped
// are left out. Where Quick has counted failures in a shadow, so does this.
func cells(host string, all []*Attempt, quick bool) (out []Cell) {
	for _, a := range all {
		if a.Host != host || a.End == Stopped {
			continue
		}
		i := slices.IndexFunc(out, func(c Cell) bool { return c.Lane == a.Lane && c.Arm == a.Arm })
		if i < 0 {
			i = len(out)
			out = append(out, Cell{Lane: a.Lane, Arm: a.Arm})
		}
		c := &out[i]
		c.Attempts = append(c.Attempts, a)
		switch {
		case !a.Died():
			c.Passed++
			continue
		case a.Shadowed:
			c.Shadowed++
			if !quick {
				if c.Died == 0 {
					c.Stage, c.End, c.Class = a.Stage, a.End, a.Class
				}
				continue
			}
		}
		c.Died++
		c.Stage, c.End, c.Class = a.Stage, a.End, a.Class
	}
	return out
}

// matrix is what is known of one host.
type matrix struct {
	list  []Cell
	quick bool
}

func (m *matrix) cell(want func(*Cell) bool) *Cell {
	for i := range m.list {
		if want(&m.list[i]) {
			return &m.list[i]
		}
	}
	return nil
}

func (m *matrix) at(l Lane, arm Arm) *Cell {
	return m.cell(func(c *Cell) bool { return c.Lane == l && c.Arm == arm })
}

// main is the way that the go command would take: the first lane of the host.
func (m *matrix) main() *Cell {
	return m.cell(func(c *Cell) bool { return c.Arm == Default && !c.isLookup() && !c.Borrowed })
}

// defaults are the go command's own attempts over all direct lanes.
func (m *matrix) defaults() (out []*Cell) {
	for i := range m.list {
		if c := &m.list[i]; c.Arm == Default && c.Address.IsValid() && !c.Borrowed {
			out = append(out, c)
		}
	}
	return out
}

func (m *matrix) lookups() (out []*Cell) {
	for i := range m.list {
		if c := &m.list[i]; c.isLookup() {
			out = append(out, c)
		}
	}
	return out
}

// families splits the direct lanes: always passed and always died by family.
func (m *matrix) families() (passed, died map[bool]int) {
	passed, died = map[bool]int{}, map[bool]int{}
	for _, c := range m.defaults() {
		switch {
		case c.alwaysPassed():
			passed[c.Address.Is4()]++
		case c.alwaysDied():
			died[c.Address.Is4()]++
		}
	}
	return passed, died
}

// places is the smallest set that all attempts that died allow, as far as
// packets say it; widest where they do not.
func places(widest []diagnose.Place, cells ...*Cell) []diagnose.Place {
	out := slices.Clone(widest)
	for _, c := range cells {
		for _, a := range c.Attempts {
			if !a.Died() || a.Shadowed || !a.ByPackets || len(a.Place) == 0 || a.Level != diagnose.Suggested && a.Level != diagnose.Proven {
				continue
			}
			narrow := slices.DeleteFunc(slices.Clone(out), func(p diagnose.Place) bool { return !slices.Contains(a.Place, p) })
			if len(narrow) > 0 {
				out = narrow
			}
		}
	}
	return out
}

// byPackets reports whether the packets of every counted attempt were seen.
func byPackets(cells ...*Cell) bool {
	for _, c := range cells {
		if c == nil || slices.ContainsFunc(c.Attempts, func(a *Attempt) bool { return !a.ByPackets }) {
			return false
		}
	}
	return true
}
