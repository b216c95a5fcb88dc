// Package inert checks in tests that Markdown does nothing but show text.
//
// In comes a Markdown document, out comes what it shows, or what in it acts:
// links, images, HTML, and what GitHub makes links of once Markdown is done.
package inert

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	extension_ast "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/text"
)

var parser = goldmark.New(goldmark.WithExtensions(extension.GFM)).Parser()

// acted matches, outside code, what is made something of: mentions, issues,
// commits, addresses, emoji, formulas, HTML and escapes.
var acted = regexp.MustCompile("@|#|://|(?i:www\\.)|:[a-z0-9_+-]+:|\\$|&|<|>|\\b(?i:gh)-\\d|\\b[0-9a-f]{7,40}\\b|\\\\|\\*|~|\\[|`")

// Page is a document that does nothing.
type Page struct {
	// Text is all that is shown, code included, without HTML.
	Text string
	// Headings are those of the document, Blocks the kinds of its blocks in
	// order, HTML its pieces of HTML.
	Headings []string
	Blocks   []string
	HTML     []string
	// Tables holds each table as rows of cells, the head included.
	Tables [][][]string
}

// Parse reads a document; html are the pieces of HTML that it may hold.
func Parse(source string, html *regexp.Regexp) (*Page, error) {
	raw := []byte(source)
	p := &Page{}
	var shown strings.Builder
	root := parser.Parse(text.NewReader(raw))
	for n := root.FirstChild(); n != nil; n = n.NextSibling() {
		p.Blocks = append(p.Blocks, n.Kind().String())
	}
	piece := func(lines *text.Segments) error {
		for i := range lines.Len() {
			s := lines.At(i)
			tag := strings.TrimSpace(string(s.Value(raw)))
			if html == nil || !html.MatchString(tag) {
				return fmt.Errorf("HTML %q", tag)
			}
			p.HTML = append(p.HTML, tag)
		}
		return nil
	}
	err := ast.Walk(root, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		var err error
		switch n := n.(type) {
		case *ast.Document, *ast.Paragraph, *ast.TextBlock, *ast.Emphasis, *ast.CodeSpan, *ast.List, *ast.ListItem,
			*extension_ast.TableHeader, *extension_ast.TableRow, *extension_ast.TableCell:
		case *extension_ast.Table:
			p.Tables = append(p.Tables, cells(n, raw))
		case *ast.Heading:
			p.Headings = append(p.Headings, string(n.Lines().Value(raw)))
		case *ast.RawHTML:
			err = piece(n.Segments)
		case *ast.HTMLBlock:
			err = piece(n.Lines())
		case *ast.Text:
			s := string(n.Segment.Value(raw))
			shown.WriteString(s)
			if n.SoftLineBreak() || n.HardLineBreak() {
				err = fmt.Errorf("a line break behind %q", s)
			}
			if _, code := n.Parent().(*ast.CodeSpan); !code && acted.MatchString(s) {
				err = fmt.Errorf("%q, which GitHub acts on", s)
			}
		default:
			err = fmt.Errorf("%s", n.Kind())
		}
		return ast.WalkContinue, err
	})
	p.Text = shown.String()
	return p, err
}

func cells(table ast.Node, raw []byte) (rows [][]string) {
	for r := table.FirstChild(); r != nil; r = r.NextSibling() {
		var row []string
		for c := r.FirstChild(); c != nil; c = c.NextSibling() {
			row = append(row, string(c.Lines().Value(raw)))
		}
		rows = append(rows, row)
	}
	return rows
}
