package compare

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"

	"goproxytrace/internal/terminal"
)

// What a capture's author wrote acts upon nothing that shows it.
func TestHostileNames(t *testing.T) {
	evil := "CN=\\u001b[31m|<script>`x`\\u202e\\n# heading"
	r := rand.New(rand.NewPCG(5, 5))
	c, err := Compare(generate(r, 10, usual), generate(r, 10, with(func(c *condition) { c.issuer = evil })), Options{Names: [2]string{"a|b", "\x1b[2J"}})
	if err != nil {
		t.Fatal(err)
	}
	for name, write := range map[string]func(*bytes.Buffer) error{
		"text":     func(b *bytes.Buffer) error { return WriteText(b, c, terminal.Output{Columns: 100}) },
		"JSON":     func(b *bytes.Buffer) error { return WriteJSON(b, c) },
		"Markdown": func(b *bytes.Buffer) error { return WriteMarkdown(b, c) },
		"HTML":     func(b *bytes.Buffer) error { return WriteHTML(b, c) },
	} {
		var b bytes.Buffer
		if err := write(&b); err != nil {
			t.Fatal(err)
		}
		if strings.ContainsAny(b.String(), "\x1b\u202e") {
			t.Errorf("%s holds an escape sequence", name)
		}
		switch name {
		case "HTML":
			if s := b.String(); strings.Contains(s, "<script") || !strings.Contains(s, "&lt;script&gt;") || strings.Contains(s, "ZgotmplZ") ||
				!strings.Contains(s, "default-src &#39;none&#39;") || strings.Contains(s, "heading.") {
				t.Errorf("the page has markup of the capture's, or no policy:\n%s", s[strings.Index(s, "<body>"):])
			}
		case "JSON":
			if !json.Valid(b.Bytes()) || bytes.Contains(b.Bytes(), []byte("<script")) {
				t.Errorf("the JSON is not valid, or fit for a page")
			}
		case "Markdown":
			if bytes.Contains(b.Bytes(), []byte(" <script")) || bytes.Contains(b.Bytes(), []byte("\n# heading")) || bytes.Contains(b.Bytes(), []byte("| a|b |")) {
				t.Errorf("the Markdown has markup of the capture's:\n%s", &b)
			}
		}
	}
}

// A narrow terminal gets lines that fit, but for a column that cannot be cut.
func TestNarrow(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 6))
	c, err := Compare(generate(r, 10, usual), generate(r, 10, with(func(c *condition) { c.delay = 90 })), Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, columns := range []int{60, 80, 200} {
		var b bytes.Buffer
		if err := WriteText(&b, c, terminal.Output{Columns: columns}); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(b.String()) {
			if w := terminal.Width(strings.TrimRight(line, "\n")); w > columns {
				t.Errorf("%d cells in %d columns: %s", w, columns, line)
			}
		}
		if strings.Contains(b.String(), "row.") || strings.Contains(b.String(), "heading.") {
			t.Errorf("words are missing:\n%s", &b)
		}
	}
}
