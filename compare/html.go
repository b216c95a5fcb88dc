package compare

import (
	"io"

	"goproxytrace/analyze/diagnose"
	"goproxytrace/report/page"
)

// WriteHTML writes the comparison as a page that needs nothing else.
func WriteHTML(w io.Writer, c *Comparison) error {
	s := &page.Sheet{
		Language: c.Language, Title: c.Sides[0].Name + " / " + c.Sides[1].Name + " – goproxytrace", Kind: c.Language.Compared("heading.page"), Headline: c.headline(),
	}
	if c.Tests > 0 && !c.Single() {
		s.Lead = append(s.Lead, c.Language.Compared("bound", c.values()...))
		if !c.differs() {
			s.Lead = append(s.Lead, c.Language.Compared("none.no-proof"))
		}
	}
	if c.Needed > 0 && !c.Single() {
		s.Lead = append(s.Lead, c.Language.Compared("needed", diagnose.Num("n", int64(c.Needed))))
	}
	var items []page.Item
	for g, r := range c.Differences() {
		items = append(items, page.Item{Text: c.sentence(g, r)})
	}
	if len(items) > 0 {
		s.Parts = append(s.Parts, page.Part{Title: c.Language.Compared("heading.differences"), Items: items, Note: c.Language.Compared("limits.differences")})
	}
	items = nil
	for _, x := range c.Cautions {
		items = append(items, page.Item{Text: c.Language.Compared(x.ID, x.Values...)})
	}
	if len(items) > 0 {
		s.Parts = append(s.Parts, page.Part{Title: c.Language.Compared("heading.cautions"), Items: items})
	}
	for i := range c.Groups {
		g := &c.Groups[i]
		p := page.Part{Title: g.title(c), Tables: []page.Table{c.grid(g).table("")}}
		if len(g.Pairs) > 0 {
			p.Tables = append(p.Tables, pairGrid(c, g.Pairs).table(c.Language.Compared("heading.connections")))
		}
		s.Parts = append(s.Parts, p)
	}
	s.Parts = append(s.Parts, page.Part{Title: c.Language.Compared("heading.runs"), Tables: []page.Table{runGrid(c, func(s string) string { return s }).table("")}})
	return page.WriteSheet(w, s)
}

func (g grid) table(title string) page.Table {
	return page.Table{Title: title, Head: g[0], Rows: g[1:]}
}
