package terminal

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

const hex = "0123456789abcdef"

// Clean returns s with everything escaped that a terminal, an editor or a
// spreadsheet would act upon instead of show: C0 and C1 controls and DEL as
// \x1b, bidirectional controls, zero-width and other invisible characters,
// line and paragraph separators as \u202e, bytes that are not UTF-8 as \xff.
// Text without any of them is returned as it is.
func Clean(s string) string {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < ' ' || c >= 0x7f {
			return string(AppendClean(make([]byte, 0, len(s)+16), s))
		}
	}
	return s
}

// AppendClean appends Clean(s) to b.
func AppendClean(b []byte, s string) []byte {
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			b = appendByte(b, s[i])
		case Harmless(r):
			b = append(b, s[i:i+n]...)
		case r < 0x100:
			b = appendByte(b, byte(r))
		case r < 0x10000:
			b = append(b, '\\', 'u', hex[r>>12&15], hex[r>>8&15], hex[r>>4&15], hex[r&15])
		default:
			b = append(b, '\\', 'U', '0', '0', hex[r>>20&15], hex[r>>16&15],
				hex[r>>12&15], hex[r>>8&15], hex[r>>4&15], hex[r&15])
		}
		i += n
	}
	return b
}

func appendByte(b []byte, c byte) []byte {
	return append(b, '\\', 'x', hex[c>>4], hex[c&15])
}

// Harmless reports whether a character shows as itself: printable, visible
// and without effect on its neighbours' order.
func Harmless(r rune) bool {
	if r < 0x7f {
		return r >= ' '
	}
	// IsPrint leaves out controls (Cc), format characters (Cf: bidi
	// controls, zero-width ones, tags), separators other than the ASCII
	// space, private use and surrogates.
	return strconv.IsPrint(r) && !invisible(r)
}

// invisible lists characters that Unicode counts as letters, marks or symbols
// and that show as nothing: names could differ by them without anybody seeing.
func invisible(r rune) bool {
	switch {
	case r == 0x034f, // combining grapheme joiner
		r == 0x115f, r == 0x1160, r == 0x3164, r == 0xffa0, // Hangul fillers
		r == 0x17b4, r == 0x17b5, // Khmer inherent vowels
		r >= 0x180b && r <= 0x180f, // Mongolian variation selectors
		r == 0x2800,                // blank braille pattern
		r >= 0xfe00 && r <= 0xfe0f, // variation selectors
		r >= 0xe0100 && r <= 0xe01ef:
		return true
	}
	return unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r)
}

// ASCII returns s cleaned, with every character outside ASCII escaped too, for
// output whose reader's encoding is unknown.
func ASCII(s string) string {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < ' ' || c >= 0x7f {
			var b strings.Builder
			for _, r := range Clean(s) {
				if a, ok := plain[r]; ok {
					b.WriteString(a)
				} else {
					q := strconv.QuoteRuneToASCII(r)
					b.WriteString(q[1 : len(q)-1])
				}
			}
			return b.String()
		}
	}
	return s
}

// plain holds what stands for the characters that this program itself prints.
var plain = func() map[rune]string {
	m := map[rune]string{
		'–': "-", '—': "-", '…': "...", '·': "-", '→': "->", '←': "<-", '•': "*",
		'≥': ">=", '≤': "<=", '×': "x", 'µ': "u", '’': "'", '‘': "'", '“': `"`, '”': `"`,
	}
	for r := rune(' '); r < 0x7f; r++ {
		m[r] = string(r)
	}
	return m
}()
