package compare

import (
	"bufio"
	"io"
	"strconv"
	"strings"

	"goproxytrace/analyze/diagnose"
	"goproxytrace/internal/terminal"
)

// WriteText writes the comparison for a terminal: what differs, what else may
// make a difference, then everything side by side.
func WriteText(w io.Writer, c *Comparison, o terminal.Output) error {
	t := &textWriter{w: bufio.NewWriter(w), o: o}
	t.wrapped("", c.headline())
	switch {
	case c.Single():
	case c.Tests > 0:
		t.wrapped("", c.Language.Compared("bound", c.values()...))
		if !c.differs() {
			t.wrapped("", c.Language.Compared("none.no-proof"))
		}
	}
	if c.Needed > 0 && !c.Single() {
		t.wrapped("", c.Language.Compared("needed", diagnose.Num("n", int64(c.Needed))))
	}
	if c.differs() {
		t.heading(c.Language.Compared("heading.differences"))
		for g, r := range c.Differences() {
			t.wrapped("  - ", c.sentence(g, r))
		}
		t.wrapped("  ", c.Language.Compared("limits.differences"))
	}
	if len(c.Cautions) > 0 {
		t.heading(c.Language.Compared("heading.cautions"))
		for _, x := range c.Cautions {
			t.wrapped("  - ", c.Language.Compared(x.ID, x.Values...))
		}
	}
	for i := range c.Groups {
		t.group(c, &c.Groups[i])
	}
	t.runs(c)
	return t.w.Flush()
}

func (c *Comparison) differs() bool {
	for range c.Differences() {
		return true
	}
	return false
}

type textWriter struct {
	w *bufio.Writer
	o terminal.Output
}

func (t *textWriter) line(s string) {
	t.w.WriteString(s)
	t.w.WriteByte('\n')
}

func (t *textWriter) heading(s string) {
	t.line("")
	t.line(t.o.Paint(terminal.Bold, t.o.Text(s)))
}

// wrapped prints text in lines that fit, after an indentation.
func (t *textWriter) wrapped(first, s string) {
	t.line(terminal.Wrap(t.o.Text(s), t.o.Columns, first, strings.Repeat(" ", len(first))))
}

func (t *textWriter) group(c *Comparison, g *Group) {
	t.heading(g.title(c))
	t.grid(c.grid(g))
	if len(g.Pairs) > 0 {
		t.line("")
		t.wrapped("  ", c.Language.Compared("heading.connections"))
		t.grid(pairGrid(c, g.Pairs))
	}
}

// title names a group.
func (g *Group) title(c *Comparison) string {
	if g.Host == "" {
		return c.Language.Compared("heading.whole")
	}
	return g.Host
}

// grid lays the rows of a group out.
func (c *Comparison) grid(g *Group) grid {
	table := grid{{c.Language.Compared("column.what"), c.Sides[0].Name, c.Sides[1].Name, c.Language.Compared("column.difference")}}
	for i := range g.Rows {
		r := &g.Rows[i]
		table = append(table, []string{c.Language.Compared("row." + r.ID), r.A.text(c, r), r.B.text(c, r), r.difference(c)})
	}
	return table
}

// runGrid lists the runs, with their files' names as file has them.
func runGrid(c *Comparison, file func(string) string) grid {
	table := grid{{c.Language.Compared("column.side"), c.Language.Compared("column.file"), c.Language.Compared("column.begun"), c.Language.Compared("column.packets"), c.Language.Compared("column.verdict")}}
	for i := range c.Sides {
		for _, r := range c.Sides[i].Runs {
			table = append(table, []string{c.Sides[i].Name, file(r.File), begun(c, r), strconv.FormatInt(r.Packets, 10), r.Class})
		}
	}
	return table
}

// pairGrid lays connections out side by side, two lines for each pair.
func pairGrid(c *Comparison, pairs []Pair) grid {
	table := grid{{
		c.Language.Compared("column.side"), c.Language.Compared("column.frame"), c.Language.Compared("column.reached"), c.Language.Compared("row.connect"), c.Language.Compared("column.tls"),
		c.Language.Compared("row.first_byte"), c.Language.Compared("row.transfer"), c.Language.Compared("column.received"), c.Language.Compared("column.verdict"),
	}}
	ms := func(v *float64) string {
		if v == nil {
			return c.Language.Compared("no-value")
		}
		return Milliseconds.format(*v)
	}
	for _, p := range pairs {
		for i, x := range []*Connection{p.A, p.B} {
			name := c.Sides[i].Name
			if x == nil {
				table = append(table, []string{name, c.Language.Compared("no-value"), "", "", "", "", "", "", ""})
				continue
			}
			table = append(table, []string{
				name, strconv.FormatInt(x.FirstFrame, 10), c.outcome(&Row{ID: "reached"}, x.Reached), ms(x.Connect), ms(x.TLS), ms(x.FirstByte), ms(x.Transfer),
				Bytes.format(float64(x.FromServer)), x.Verdict,
			})
		}
	}
	return table
}

func (t *textWriter) runs(c *Comparison) {
	t.heading(c.Language.Compared("heading.runs"))
	t.grid(runGrid(c, tail))
}

// tail keeps the end of a long path, which tells files apart.
func tail(path string) string {
	const most = 36
	r := []rune(path)
	if len(r) <= most {
		return path
	}
	return "~" + string(r[len(r)-most+1:])
}

func begun(c *Comparison, r *Run) string {
	if r.Start.IsZero() {
		return c.Language.Compared("no-value")
	}
	return r.Start.UTC().Format("2006-01-02 15:04:05")
}

// grid is a table; its first line holds the titles.
type grid [][]string

// gridGap is the number of cells between two columns, leastColumn the width
// below which no column is cut.
const (
	gridGap     = 2
	leastColumn = 12
)

// grid prints a table in two cells of indentation. Where it is too wide the
// widest column is cut until it fits; the first one, which names the lines, last.
func (t *textWriter) grid(g grid) {
	widths := make([]int, len(g[0]))
	for _, line := range g {
		for i, s := range line {
			line[i] = t.o.Text(s)
			widths[i] = max(widths[i], terminal.Width(line[i]))
		}
	}
	for t.width(widths) > t.o.Columns {
		widest := len(widths) - 1
		for i := len(widths) - 1; i > 0; i-- {
			if widths[i] > widths[widest] {
				widest = i
			}
		}
		if widths[widest] <= leastColumn {
			widest = 0
		}
		if widths[widest] <= leastColumn {
			break
		}
		widths[widest]--
	}
	for n, line := range g {
		var b strings.Builder
		b.WriteString("  ")
		for i, s := range line {
			s = terminal.Shorten(s, widths[i])
			b.WriteString(s)
			if i < len(line)-1 {
				b.WriteString(strings.Repeat(" ", widths[i]-terminal.Width(s)+gridGap))
			}
		}
		s := strings.TrimRight(b.String(), " ")
		if n == 0 {
			s = t.o.Paint(terminal.Dim, s)
		}
		t.line(s)
	}
}

func (t *textWriter) width(widths []int) int {
	n := 2 + gridGap*(len(widths)-1)
	for _, w := range widths {
		n += w
	}
	return n
}
