package frame

import (
	"strings"
	"unicode/utf8"

	"goproxytrace/internal/terminal"
)

// Bounds on text from outside.
const (
	longestWord = 80   // characters without a space
	longestText = 1500 // characters
)

// Tame makes text from a capture fit for a page: nothing in it acts instead of
// being seen, and nothing is so long that it hides the rest.
func Tame(s string) string { return shorten(s, longestText) }

func shorten(s string, most int) string {
	if len(s) > 8*most { // before it is looked at closely
		s = s[:8*most]
	}
	s = terminal.Clean(s)
	var b strings.Builder
	run := 0 // where the word begins
	for i, r := range s {
		if r == ' ' || r >= wide {
			b.WriteString(cutMiddle(s[run:i], longestWord))
			b.WriteRune(r)
			run = i + utf8.RuneLen(r)
		}
	}
	b.WriteString(cutMiddle(s[run:], longestWord))
	s = b.String()
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	n := 0
	for i := range s {
		if n++; n == most {
			return s[:i] + "…"
		}
	}
	return s
}

// wide is where the characters begin that lines break between: ideographs and
// their punctuation.
const wide = 0x2e80

// cutMiddle keeps the beginning and the end of what is too long: names differ
// in front, and their domain is behind.
func cutMiddle(s string, most int) string {
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	r := []rune(s)
	return string(r[:most/2-1]) + "…" + string(r[len(r)-most/2:])
}

// Name is short text from outside: a host, a process.
func Name(s string) string { return cutMiddle(shorten(s, 4*longestWord), 64) }

// Part is a piece of text, or of code that a reader may copy.
type Part struct {
	Code bool
	Text string
}

// Parts tells code between backquotes from text.
func Parts(s string) (out []Part) {
	for i, p := range strings.Split(s, "`") {
		if p != "" {
			out = append(out, Part{i%2 == 1, p})
		}
	}
	return out
}
