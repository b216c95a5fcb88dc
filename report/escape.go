package report

import (
	"encoding/binary"
	"unicode/utf16"
	"unicode/utf8"

	"goproxytrace/internal/terminal"
)

const hex = "0123456789abcdef"

// appendString appends s as a JSON string in which everything that a terminal,
// a browser or an editor would act upon is escaped: controls, bidirectional
// and invisible characters, and <, > and & for JSON inside HTML.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c < 0x7f && c != '"' && c != '\\' && c != '<' && c != '>' && c != '&' {
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		if c >= 0x80 && terminal.Harmless(r) && (r != utf8.RuneError || n > 1) {
			i += n
			continue
		}
		b = append(b, s[start:i]...)
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, `\n`...)
		case '\t':
			b = append(b, `\t`...)
		default:
			b = appendUnicode(b, r) // a byte that is not UTF-8 is U+FFFD here
		}
		i += n
		start = i
	}
	b = append(b, s[start:]...)
	return append(b, '"')
}

func appendUnicode(b []byte, r rune) []byte {
	if r >= 0x10000 {
		hi, lo := utf16.EncodeRune(r)
		return appendUnicode(appendUnicode(b, hi), lo)
	}
	return append(b, '\\', 'u', hex[r>>12&15], hex[r>>8&15], hex[r>>4&15], hex[r&15])
}

// plainASCII reports whether all eight bytes are below 0x7f.
func plainASCII(v uint64) bool {
	const high, one = 0x8080808080808080, 0x0101010101010101
	return (v|(v&^uint64(high)+one))&high == 0
}

// appendEscaped appends JSON as encoding/json writes it, with the characters
// escaped that encoding/json leaves as they are and appendString does not.
// Outside ASCII there is nothing but string content in JSON, and an escape is
// right wherever such a character is.
func appendEscaped(b, raw []byte) []byte {
	start := 0
	for i := 0; i < len(raw); {
		if i+8 <= len(raw) && plainASCII(binary.LittleEndian.Uint64(raw[i:])) {
			i += 8
			continue
		}
		if raw[i] < 0x7f {
			i++
			continue
		}
		r, n := utf8.DecodeRune(raw[i:])
		if !terminal.Harmless(r) || r == utf8.RuneError {
			b = append(b, raw[start:i]...)
			b = appendUnicode(b, r)
			start = i + n
		}
		i += n
	}
	return append(b, raw[start:]...)
}

// EscapeJSON returns JSON as encoding/json writes it with the characters escaped
// that WriteJSON escapes too.
func EscapeJSON(raw []byte) []byte { return appendEscaped(make([]byte, 0, len(raw)+64), raw) }
