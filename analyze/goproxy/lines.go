package goproxy

import "strings"

// Lines reads what the go command printed line by line, as it came. The zero
// value is ready for use.
type Lines struct {
	parser outputParser
	bytes  int
}

// Add takes the next line, with the time at which it was printed in Unix
// nanoseconds. Lines beyond MaxOutput bytes are counted and not read.
func (l *Lines) Add(text string, at int64) {
	out := l.Output()
	out.Lines++
	if l.bytes += len(text) + 1; l.bytes > MaxOutput {
		return
	}
	if len(text) > maxLine {
		text = text[:maxLine]
	}
	n := len(out.Statements)
	l.parser.line(strings.TrimRight(text, "\r\n"))
	for i := n; i < len(out.Statements); i++ {
		out.Statements[i].Time = at
	}
}

// Output is what was read so far. It stays the same object.
func (l *Lines) Output() *Output {
	if l.parser.out == nil {
		l.parser.out = &Output{Hosts: make(map[string]Requests)}
		l.parser.seen = make(map[statementKey]int)
	}
	return l.parser.out
}
