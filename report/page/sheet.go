package page

import (
	"bufio"
	_ "embed"
	"html/template"
	"io"

	"goproxytrace/report/messages"
	"goproxytrace/report/page/frame"
)

//go:embed sheet.gohtml
var sheetSource string

var sheetTemplate = template.Must(template.New("sheet").Parse(sheetSource))

// Sheet is a plain page in one language, of sentences and tables: it has no
// script and loads nothing.
type Sheet struct {
	Language messages.Language
	// Title is what a browser's tab shows, Kind what the page is.
	Title, Kind string
	// Headline is the whole in one sentence, Lead what belongs to it.
	Headline string
	Lead     []string
	Parts    []Part
}

// Part is what stands under one heading.
type Part struct {
	Title  string
	Items  []Item
	Note   string
	Tables []Table
}

// Item is a sentence with what belongs to it.
type Item struct {
	Text, More string
	// Code is for copying.
	Code []string
}

// Table is a table; the first cell of each row names it.
type Table struct {
	Title string
	Head  []string
	Rows  [][]string
}

// WriteSheet writes a page. Everything in it is escaped.
func WriteSheet(w io.Writer, s *Sheet) error {
	b := bufio.NewWriter(w)
	v := struct {
		*Sheet
		Lang, Policy string
		Style        template.HTML
	}{
		s.tamed(), s.Language.Tag(), frame.Policy(frame.Style, ""), frame.Element("style", "", frame.Style),
	}
	if err := sheetTemplate.Execute(b, v); err != nil {
		return err
	}
	return b.Flush()
}

// tamed returns a copy without characters that a browser would act upon.
func (s *Sheet) tamed() *Sheet {
	list := func(in []string) (out []string) {
		for _, x := range in {
			out = append(out, frame.Tame(x))
		}
		return out
	}
	out := &Sheet{Language: s.Language, Title: frame.Tame(s.Title), Kind: frame.Tame(s.Kind), Headline: frame.Tame(s.Headline), Lead: list(s.Lead)}
	for _, p := range s.Parts {
		q := Part{Title: frame.Tame(p.Title), Note: frame.Tame(p.Note)}
		for _, i := range p.Items {
			q.Items = append(q.Items, Item{frame.Tame(i.Text), frame.Tame(i.More), list(i.Code)})
		}
		for _, t := range p.Tables {
			u := Table{Title: frame.Tame(t.Title), Head: list(t.Head)}
			for _, r := range t.Rows {
				u.Rows = append(u.Rows, list(r))
			}
			q.Tables = append(q.Tables, u)
		}
		out.Parts = append(out.Parts, q)
	}
	return out
}
