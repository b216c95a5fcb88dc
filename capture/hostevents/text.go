package hostevents

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"unicode/utf16"
	"unicode/utf8"
)

// encoding is how a file of text is written.
type encoding uint8

const (
	utf8Text encoding = iota
	utf16LE           // PowerShell 5.1's redirection, and Event Viewer
	utf16BE
)

// textReader yields a text as valid UTF-8 without control characters other than
// line ends and tabs, byte by byte.
type textReader struct {
	r    *bufio.Reader
	enc  encoding
	read int64 // bytes of the file that the text so far took
	out  [utf8.UTFMax]byte
	have []byte
	err  error
	// since counts bytes handed out since mark; beyond limit the text ends
	// with errLong, so that no token can grow without bound. Zero is no limit.
	since, limit int
}

// errLong ends a text whose next token is longer than any that is looked at.
var errLong = errors.New("a single element or line is longer than 1 MiB")

// maxToken bounds one token of markup and one line, in bytes.
const maxToken = 1 << 20

// newText finds out the encoding of what begins with head: by the byte order
// mark, or by the zero beside an ASCII character.
func newText(r *bufio.Reader, head []byte) *textReader {
	t := &textReader{r: r}
	skip := 0
	switch {
	case bytes.HasPrefix(head, []byte{0xff, 0xfe}):
		t.enc, skip = utf16LE, 2
	case bytes.HasPrefix(head, []byte{0xfe, 0xff}):
		t.enc, skip = utf16BE, 2
	case bytes.HasPrefix(head, []byte{0xef, 0xbb, 0xbf}):
		skip = 3
	case len(head) >= 2 && head[0] != 0 && head[1] == 0:
		t.enc = utf16LE
	case len(head) >= 2 && head[0] == 0 && head[1] != 0:
		t.enc = utf16BE
	}
	n, _ := r.Discard(skip)
	t.read = int64(n)
	return t
}

// firstByte returns the first byte that is no space, without taking it; zero
// at the end.
func (t *textReader) firstByte() byte {
	for {
		c, err := t.ReadByte()
		if err != nil {
			return 0
		}
		switch c {
		case ' ', '\t', '\r', '\n':
			continue
		}
		t.have = append([]byte{c}, t.have...)
		return c
	}
}

// mark begins a token.
func (t *textReader) mark() { t.since = 0 }

// Read is part of io.Reader.
func (t *textReader) Read(p []byte) (n int, err error) {
	for n < len(p) {
		c, err := t.ReadByte()
		if err != nil {
			return n, err
		}
		p[n] = c
		n++
	}
	return n, nil
}

// ReadByte is part of io.ByteReader.
func (t *textReader) ReadByte() (byte, error) {
	if t.limit > 0 && t.since >= t.limit {
		return 0, errLong
	}
	for len(t.have) == 0 {
		if t.err != nil {
			return 0, t.err
		}
		t.next()
	}
	c := t.have[0]
	t.have = t.have[1:]
	t.since++
	return c, nil
}

// next takes the next character of the file.
func (t *textReader) next() {
	var c rune
	if t.enc == utf8Text {
		var n int
		c, n, t.err = t.r.ReadRune()
		t.read += int64(n)
	} else {
		c = t.unit()
		if utf16.IsSurrogate(c) {
			c = utf16.DecodeRune(c, t.unit())
		}
	}
	switch {
	case t.err != nil:
		return
	case c == '\t' || c == '\n' || c == '\r':
	case c < ' ' || c == 0xfffe || c == 0xffff:
		c = ' ' // no character of XML (section 2.2)
	case c > utf8.MaxRune || utf16.IsSurrogate(c):
		c = utf8.RuneError
	}
	t.have = t.out[:utf8.EncodeRune(t.out[:], c)]
}

// unit takes a code unit of UTF-16; zero where the text has ended.
func (t *textReader) unit() rune {
	a, err := t.r.ReadByte()
	if err != nil {
		t.err = err
		return 0
	}
	b, err := t.r.ReadByte()
	if err != nil {
		t.err = io.EOF // half a character
		return 0
	}
	t.read += 2
	if t.enc == utf16LE {
		a, b = b, a
	}
	return rune(a)<<8 | rune(b)
}

// line returns the next line without its end. The slice is valid until the next
// call.
func (t *textReader) line(buf []byte) ([]byte, error) {
	buf = buf[:0]
	t.mark()
	for {
		c, err := t.ReadByte()
		if err != nil {
			if len(buf) > 0 && errors.Is(err, io.EOF) {
				return buf, nil
			}
			return buf, err
		}
		if c == '\n' {
			return bytes.TrimRight(buf, "\r"), nil
		}
		buf = append(buf, c)
	}
}
