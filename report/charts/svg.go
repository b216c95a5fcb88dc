// Package charts draws diagrams as SVG.
//
// In come plain structures: what is to be seen, already chosen, measured and
// put into words; out comes one svg element for an HTML page. Nothing here
// knows packets or verdicts. Colours, fonts and line widths belong to the
// page's style sheet, which finds everything by class; without it a drawing is
// black on white and still complete. Text comes from anywhere and is escaped.
//
// A text may be in several languages: each is drawn, marked with its language,
// and the page shows one.
package charts

import (
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Words is one text in each of the languages of a drawing, in their order. One
// element alone stands for all of them.
type Words []string

// Say returns a text that is the same in every language.
func Say(s string) Words { return Words{s} }

// in returns the text in the i-th language.
func (w Words) in(i int) string {
	switch {
	case len(w) == 0:
		return ""
	case i < len(w):
		return w[i]
	}
	return w[0]
}

// same reports whether the text is the same in every language.
func (w Words) same() bool {
	for i := range w {
		if w[i] != w[0] {
			return false
		}
	}
	return true
}

// Frame is what all drawings have.
type Frame struct {
	// ID begins the identifiers of elements; it must be unique on the page.
	ID string
	// Languages are the tags (RFC 5646) of the languages of Words.
	Languages []string
	// Title names the drawing, Desc says in words what it shows.
	Title, Desc Words
	// LabelledBy are identifiers of elements of the page that name it.
	LabelledBy string
}

// drawing is an svg element in the making.
type drawing struct {
	b         []byte
	languages []string
}

// begin opens an svg element of a size.
func begin(f *Frame, class string, w, h float64, attrs string) *drawing {
	d := &drawing{languages: f.Languages}
	d.raw(`<svg class="`, class, `" id="`, f.ID, `" viewBox="0 0 `)
	d.number(w)
	d.raw(" ")
	d.number(h)
	d.raw(`" role="group" aria-labelledby="`)
	if f.LabelledBy != "" {
		d.raw(f.LabelledBy)
	} else {
		d.raw(f.ID, "-t")
	}
	d.raw(`" aria-describedby="`, f.ID, `-d"`, attrs, ">")
	d.named("title", f.ID+"-t", f.Title)
	d.named("desc", f.ID+"-d", f.Desc)
	return d
}

// named writes a title or desc. In the languages after the first it has no
// identifier: a reader is given the first, or the page's own words.
func (d *drawing) named(element, id string, w Words) {
	d.raw("<", element, ` id="`, id, `"`)
	if !w.same() {
		d.raw(` lang="`, d.languages[0], `"`)
	}
	d.raw(">")
	d.escape(w.in(0))
	d.raw("</", element, ">")
}

func (d *drawing) end() string {
	d.raw("</svg>")
	return string(d.b)
}

func (d *drawing) raw(parts ...string) {
	for _, p := range parts {
		d.b = append(d.b, p...)
	}
}

// number writes a coordinate in at most hundredths.
func (d *drawing) number(v float64) { d.b = appendNumber(d.b, v) }

func appendNumber(b []byte, v float64) []byte {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		v = 0
	}
	v = math.Round(max(min(v, 1e7), -1e7)*100) / 100
	if v == 0 {
		return append(b, '0')
	}
	start := len(b)
	b = strconv.AppendFloat(b, v, 'f', -1, 64)
	// 0.5 is .5 in SVG.
	if b[start] == '0' {
		b = append(b[:start], b[start+1:]...)
	} else if b[start] == '-' && b[start+1] == '0' && len(b) > start+2 {
		b = append(b[:start+1], b[start+2:]...)
	}
	return b
}

// attr writes an attribute with a number.
func (d *drawing) attr(name string, v float64) {
	d.raw(" ", name, `="`)
	d.number(v)
	d.raw(`"`)
}

// escape writes text that may come from anywhere: markup is escaped, what XML
// does not allow becomes a replacement character.
func (d *drawing) escape(s string) {
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == '&':
			d.raw("&amp;")
		case r == '<':
			d.raw("&lt;")
		case r == '>':
			d.raw("&gt;")
		case r == '"':
			d.raw("&#34;")
		case r == '\'':
			d.raw("&#39;")
		case r < ' ', r >= 0x7f && r < 0xa0, r == 0xfffe, r == 0xffff, r == utf8.RuneError:
			d.raw("\ufffd")
		default:
			d.b = append(d.b, s[i:i+n]...)
		}
		i += n
	}
}

func (d *drawing) rect(class string, x, y, w, h float64, more string) {
	d.raw(`<rect class="`, class, `"`)
	d.attr("x", x)
	d.attr("y", y)
	d.attr("width", max(w, 0))
	d.attr("height", max(h, 0))
	d.raw(more, "/>")
}

func (d *drawing) line(class string, x1, y1, x2, y2 float64) {
	d.raw(`<path class="`, class, `" d="M`)
	d.number(x1)
	d.raw(" ")
	d.number(y1)
	d.raw("L")
	d.number(x2)
	d.raw(" ")
	d.number(y2)
	d.raw(`"/>`)
}

// text writes a text in each language.
func (d *drawing) text(class string, x, y float64, w Words) {
	for i, lang := range d.languages {
		if w.in(i) == "" {
			continue
		}
		d.raw(`<text class="`, class, `"`)
		if !w.same() {
			d.raw(` lang="`, lang, `"`)
		}
		d.attr("x", x)
		d.attr("y", y)
		d.raw(">")
		d.escape(w.in(i))
		d.raw("</text>")
		if w.same() {
			return
		}
	}
}

// tip writes what a pointer shows; a browser takes the first title, which is
// the one of the first language.
func (d *drawing) tip(w Words) {
	if s := w.in(0); s != "" {
		d.raw("<title>")
		d.escape(s)
		d.raw("</title>")
	}
}

// link opens an a element, where there is a target; unlink closes it. The
// name is for a link without text; text that it has must be part of it.
func (d *drawing) link(href, name string) {
	if href == "" {
		d.raw("<g>")
		return
	}
	d.raw(`<a href="`)
	d.escape(href)
	d.raw(`"`)
	if name != "" {
		d.raw(` aria-label="`)
		d.escape(name)
		d.raw(`"`)
	}
	d.raw(">")
}

func (d *drawing) unlink(href string) {
	if href == "" {
		d.raw("</g>")
	} else {
		d.raw("</a>")
	}
}

// Width estimates how wide a text is at a font size: letters are about half as
// wide as high, ideographs as wide as high.
func Width(s string, size float64) float64 {
	w := 0.0
	for _, r := range s {
		switch {
		case r >= 0x1100 && r != '–' && r != '—' && (r >= 0x2e80 || r <= 0x115f):
			w += 1.02
		case strings.ContainsRune("iljtfr.,:;'|!()[] ", r):
			w += 0.36
		case r >= 'A' && r <= 'Z', r == 'm', r == 'w':
			w += 0.74
		default:
			w += 0.62
		}
	}
	return w * size
}

// cut shortens a text that would be wider than room.
func cut(s string, size, room float64) string {
	if Width(s, size) <= room {
		return s
	}
	w := Width("…", size)
	for i, r := range s {
		if w += Width(string(r), size); w > room {
			return s[:i] + "…"
		}
	}
	return s
}

func (w Words) cut(size, room float64) Words {
	out := make(Words, len(w))
	for i := range w {
		out[i] = cut(w[i], size, room)
	}
	return out
}
