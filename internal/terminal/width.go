package terminal

import (
	"strings"

	"github.com/olekukonko/tablewriter/pkg/twwidth"
)

// Width returns how many terminal cells s takes; escape sequences take none.
func Width(s string) int { return twwidth.WidthNoCache(s) }

// Shorten cuts s, which must hold no escape sequences, to at most n cells and
// marks the cut with a tilde.
func Shorten(s string, n int) string {
	if n <= 0 {
		return ""
	}
	if len(s) <= n || Width(s) <= n {
		return s
	}
	w := 0
	for i, r := range s {
		w += twwidth.WidthNoCache(string(r))
		if w > n-1 {
			return s[:i] + "~"
		}
	}
	return s
}

// Wrap breaks s, which must hold no escape sequences, into lines of at most
// width cells, at spaces and, in Chinese text, between characters; first and
// rest are put in front of the first and of the further lines and count. A word
// longer than a line stays whole, so that it can be copied.
func Wrap(s string, width int, first, rest string) string {
	var b strings.Builder
	b.WriteString(first)
	used := Width(first)
	start := true
	for word := range strings.FieldsSeq(s) {
		gap := 1
		for word != "" {
			n := unbroken(word)
			piece := word[:n]
			word = word[n:]
			w := Width(piece)
			if !start && used+gap+w > width {
				b.WriteByte('\n')
				b.WriteString(rest)
				used, start = Width(rest), true
			}
			if !start && gap > 0 {
				b.WriteByte(' ')
				used++
			}
			b.WriteString(piece)
			used += w
			start, gap = false, 0
		}
	}
	return b.String()
}
