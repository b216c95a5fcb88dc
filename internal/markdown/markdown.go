// Package markdown writes text that strangers had a hand in as GitHub-flavoured
// Markdown.
//
// In comes any text, out comes inline Markdown that shows it as it is: no
// markup, HTML, link, image, mention, reference to an issue, commit or emoji
// comes of it. GitHub turns some of these into links after Markdown is done,
// where backslashes have no say any more; it leaves alone what is code. So words
// that anything could be made of become code, and the others stay text.
package markdown

import (
	"regexp"
	"strings"

	"goproxytrace/internal/terminal"
)

// Text returns s as inline Markdown on one line. What stands between a pair of
// backquotes is code already.
func Text(s string) string {
	return write(&inline{}, terminal.Clean(s))
}

func write(b *inline, s string) string {
	s = strings.Join(strings.Fields(s), " ")
	parts := strings.Split(s, "`")
	if len(parts)%2 == 0 { // one that is not closed is a character
		b.text(s)
		return strings.TrimSpace(b.String())
	}
	for i, p := range parts {
		if i%2 == 1 {
			b.code(p)
		} else {
			b.text(p)
		}
	}
	return strings.TrimSpace(b.String())
}

// Cell is Text for the cell of a table: bars are escaped as \x7c, since in a
// cell even those in code separate.
func Cell(s string) string {
	return write(&inline{cell: true}, strings.ReplaceAll(terminal.Clean(s), "|", `\x7c`))
}

// Code returns s as code on one line; an empty s gives nothing.
func Code(s string) string {
	var b inline
	b.code(strings.Join(strings.Fields(terminal.Clean(s)), " "))
	return b.String()
}

// inline builds one line.
type inline struct {
	strings.Builder
	// cell is true in the cell of a table, where no block begins.
	cell bool
}

// text writes words separated by spaces.
func (b *inline) text(s string) {
	for s != "" {
		n := 0
		for n < len(s) && s[n] > ' ' && s[n] < 0x7f {
			n++
		}
		if n > 0 {
			b.word(s[:n])
			s = s[n:]
			continue
		}
		for n < len(s) && (s[n] <= ' ' || s[n] >= 0x7f) {
			n++ // spaces and other scripts mean nothing to Markdown
		}
		b.WriteString(s[:n])
		s = s[n:]
	}
}

// Punctuation that may stand around a word.
const (
	before = `("'`
	after  = `)"',;:.!?`
)

// word writes a run of ASCII characters.
func (b *inline) word(w string) {
	if address.MatchString(w) {
		b.code(w) // the rest of it may be in another script
		return
	}
	core := strings.TrimLeft(w, before)
	b.WriteString(w[:len(w)-len(core)])
	trimmed := strings.TrimRight(core, after)
	rest := core[len(trimmed):]
	switch {
	case trimmed == "":
	case plain.MatchString(trimmed) && !linked.MatchString(trimmed) && (b.cell || b.Len() > 0 || !marker.MatchString(trimmed)):
		b.WriteString(trimmed)
	default:
		b.code(trimmed)
	}
	b.WriteString(rest)
}

var (
	// plain matches words in which no character is markup. A hyphen alone is
	// one, which flags are not.
	plain = regexp.MustCompile(`^(?:[A-Za-z0-9][A-Za-z0-9.,;'"/()=+%?!-]*|-|/|\+|=|%)$`)
	// address matches web addresses without a scheme, linked issues (GH-12, and
	// references that a repository defines) and commits.
	address = regexp.MustCompile(`(?i)www\.`)
	linked  = regexp.MustCompile(`(?i)\b[a-z]+-[0-9]|\b[0-9a-f]{7,40}\b`)
	// marker matches what begins a list, a heading or a rule on a line of its
	// own.
	marker = regexp.MustCompile(`^(?:[0-9]+|-+|\++|=+)$`)
)

// code writes s, which has no line end, as a code span. The fence is longer
// than any run of backquotes in it.
func (b *inline) code(s string) {
	s = strings.TrimSpace(s)
	if s == "" {
		return
	}
	longest, run := 0, 0
	for i := range len(s) {
		if run++; s[i] != '`' {
			run = 0
		}
		longest = max(longest, run)
	}
	fence := strings.Repeat("`", longest+1)
	if strings.HasSuffix(b.String(), "`") {
		b.WriteByte(' ') // two spans side by side would be read as one
	}
	b.WriteString(fence)
	if longest > 0 {
		b.WriteByte(' ')
	}
	b.WriteString(s)
	if longest > 0 {
		b.WriteByte(' ')
	}
	b.WriteString(fence)
}
