package compare

import (
	"bufio"
	"io"
	"strings"

	"goproxytrace/analyze/diagnose"
	"goproxytrace/internal/markdown"
)

// WriteMarkdown writes the comparison for an issue or a page.
func WriteMarkdown(w io.Writer, c *Comparison) error {
	b := bufio.NewWriter(w)
	line := func(s string) {
		b.WriteString(s)
		b.WriteByte('\n')
	}
	line("**" + Markdown(c.headline()) + "**")
	if c.Tests > 0 && !c.Single() {
		line("")
		line(Markdown(c.Language.Compared("bound", c.values()...)))
		if !c.differs() {
			line(c.Language.Compared("none.no-proof"))
		}
	}
	if c.Needed > 0 && !c.Single() {
		line("")
		line(c.Language.Compared("needed", diagnose.Num("n", int64(c.Needed))))
	}
	list := func(title string, items []string) {
		if len(items) == 0 {
			return
		}
		line("\n## " + title + "\n")
		for _, s := range items {
			line("- " + Markdown(s))
		}
	}
	var items []string
	for g, r := range c.Differences() {
		items = append(items, c.sentence(g, r))
	}
	list(c.Language.Compared("heading.differences"), items)
	if len(items) > 0 {
		line("")
		line(c.Language.Compared("limits.differences"))
	}
	items = nil
	for _, x := range c.Cautions {
		items = append(items, c.Language.Compared(x.ID, x.Values...))
	}
	list(c.Language.Compared("heading.cautions"), items)
	for i := range c.Groups {
		g := &c.Groups[i]
		line("\n## " + Markdown(g.title(c)) + "\n")
		c.grid(g).markdown(line)
		if len(g.Pairs) > 0 {
			line("\n### " + c.Language.Compared("heading.connections") + "\n")
			pairGrid(c, g.Pairs).markdown(line)
		}
	}
	line("\n## " + c.Language.Compared("heading.runs") + "\n")
	runGrid(c, func(s string) string { return s }).markdown(line)
	return b.Flush()
}

func (g grid) markdown(line func(string)) {
	for n, row := range g {
		var b strings.Builder
		b.WriteByte('|')
		for _, s := range row {
			b.WriteString(" " + markdown.Cell(s) + " |")
		}
		line(b.String())
		if n == 0 {
			line("|" + strings.Repeat("---|", len(row)))
		}
	}
}

// Markdown returns a text that a capture or a user may have had a hand in so
// that Markdown shows it as it is.
func Markdown(s string) string { return markdown.Text(s) }
