package terminal

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// unbroken returns the length in bytes of the part of word, which holds no
// space, that no line end may come into.
func unbroken(word string) int {
	before, n := utf8.DecodeRuneInString(word)
	for n < len(word) {
		after, size := utf8.DecodeRuneInString(word[n:])
		if breakable(before, after) {
			return n
		}
		before = after
		n += size
	}
	return n
}

// Characters that no line begins with, and that none ends with: what closes or
// separates, and what opens. (Unicode Standard Annex 14, classes CL, CP, EX,
// IS, NS and OP; the ASCII ones count beside Chinese text only.)
const (
	closing = "，。、；：！？）」』】》〉〕”’…—～％·,.;:!?)]}%\"'"
	opening = "（「『【《〈〔“‘([{<\"'`"
)

// breakable reports whether a line may end between two characters that no space
// separates: where one of them is Chinese (or Japanese), but never in front of
// what closes nor behind what opens.
func breakable(before, after rune) bool {
	if before < 0x2000 && after < 0x2000 {
		return false
	}
	if !ideographic(before) && !ideographic(after) {
		return false
	}
	return !strings.ContainsRune(closing, after) && !strings.ContainsRune(opening, before)
}

// ideographic reports whether a character belongs to text that is written
// without spaces, its full-width punctuation included. Quotation marks and
// dashes, which other text has too, are none by themselves.
func ideographic(r rune) bool {
	switch {
	case r >= 0x3000 && r <= 0x303f, // CJK symbols and punctuation
		r >= 0xff01 && r <= 0xff60: // full-width forms
		return true
	}
	return unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Bopomofo)
}
