package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"goproxytrace/analyze"
	"goproxytrace/analyze/diagnose"
)

// Row is one connection of a Document. A capture may hold hundreds of
// thousands that live encoded in a file, so that a Row decodes no more than
// its reader asks for.
type Row struct {
	// ready is the connection of a Document without a store; held and what
	// follows belong to one with a store.
	ready  *Connection
	held   analyze.Held
	raw    []byte
	buf    bytes.Buffer
	member rawMembers
	class  []byte
	judged diagnose.Verdict
	wording
	redact *redactor // nil for none
	// words holds verdicts in words by their encoding: most connections of
	// a capture share one of a few, which need not be decoded again.
	words map[string][]byte
}

// Bounds on Row.words: verdicts with numbers of their own do not repeat and
// are longer.
const (
	maxWords      = 64
	maxWordsBytes = 200
)

// Connection is a whole connection with its verdict in words.
type Connection struct {
	*analyze.Connection
	Verdict Verdict
}

// rawMembers are the places in an encoded connection that matter to a Row.
type rawMembers struct {
	verdictStart, verdictEnd int
	target                   bool
	id                       int64
}

func (r *Row) set(h analyze.Held) error {
	if r.redact != nil {
		c, err := h.Decode()
		if err != nil {
			return err
		}
		h = analyze.Held{Connection: r.redact.connection(c)}
	}
	r.held, r.raw = h, h.JSON
	if c := h.Connection; c != nil {
		return nil
	}
	return r.scan()
}

// encode fills raw where the connection is not encoded yet.
func (r *Row) encode() error {
	if r.raw != nil {
		return nil
	}
	c := r.held.Connection
	if r.ready != nil {
		c = r.ready.Connection
	}
	r.buf.Reset()
	if err := json.NewEncoder(&r.buf).Encode(c); err != nil {
		return fmt.Errorf("encoding connection %d: %w", c.ID, err)
	}
	r.raw = bytes.TrimSuffix(r.buf.Bytes(), []byte("\n"))
	return r.scan()
}

// What stands around a verdict in an encoded connection. A quote inside a JSON
// string is escaped, so that these sequences of tokens occur nowhere else.
var (
	idMember      = []byte(`{"id":`)
	verdictMember = []byte(`"verdict":{"class":"`)
	targetMember  = []byte(`"target":true`)
)

// verdictOffset is where the value begins in verdictMember.
const verdictOffset = len(`"verdict":`)

var errEncoding = errors.New("a finished connection is not encoded as expected")

// scan finds the members of raw that a Row needs. The verdict stands near the
// end and the rest need not be looked at.
func (r *Row) scan() error {
	r.member, r.class = rawMembers{}, nil
	at := bytes.LastIndex(r.raw, verdictMember)
	if at < 0 || !bytes.HasPrefix(r.raw, idMember) {
		return errEncoding
	}
	class := r.raw[at+len(verdictMember):]
	n := bytes.IndexByte(class, '"')
	m := &r.member
	m.verdictStart = at + verdictOffset
	m.verdictEnd = objectEnd(r.raw, m.verdictStart)
	if n < 0 || m.verdictEnd < 0 {
		return errEncoding
	}
	r.class = class[:n]
	m.target = bytes.Contains(r.raw[m.verdictEnd:], targetMember)
	for _, c := range r.raw[len(idMember):at] {
		if c < '0' || c > '9' {
			break
		}
		m.id = m.id*10 + int64(c-'0')
	}
	return nil
}

// Died reports whether the connection's verdict is a death.
func (r *Row) Died() bool {
	if r.ready != nil {
		return r.ready.Verdict.Died
	}
	if c := r.held.Connection; c != nil {
		return c.Verdict.Died()
	}
	v := diagnose.Verdict{Class: diagnose.Class(r.class)}
	return v.Died()
}

// Target reports whether the server is one of Document.Targets.
func (r *Row) Target() bool {
	if r.ready != nil {
		return r.ready.Target
	}
	if c := r.held.Connection; c != nil {
		return c.Target
	}
	return r.member.target
}

// isSubject reports whether the connection has the ID.
func (r *Row) isSubject(id int64) bool {
	if r.ready != nil {
		return r.ready.ID == id
	}
	if c := r.held.Connection; c != nil {
		return c.ID == id
	}
	return r.member.id == id
}

// Connection returns the whole connection, which stays valid.
func (r *Row) Connection() (*Connection, error) {
	if r.ready != nil {
		return r.ready, nil
	}
	c, err := r.held.Decode()
	if err != nil {
		return nil, err
	}
	return &Connection{c, r.wording.verdict(&c.Verdict)}, nil
}

// diagnosed returns the connection's verdict as diagnosed.
func (r *Row) diagnosed() (*diagnose.Verdict, error) {
	if c := r.held.Connection; c != nil {
		return &c.Verdict, nil
	}
	r.judged = diagnose.Verdict{}
	if err := json.Unmarshal(r.raw[r.member.verdictStart:r.member.verdictEnd], &r.judged); err != nil {
		return nil, fmt.Errorf("decoding the verdict of a finished connection: %w", err)
	}
	return &r.judged, nil
}

// appendJSON appends the connection as the report shows it: as it is encoded,
// with the verdict in words and nothing that a terminal would act upon.
func (r *Row) appendJSON(b []byte) ([]byte, error) {
	if err := r.encode(); err != nil {
		return b, err
	}
	b = appendEscaped(b, r.raw[:r.member.verdictStart])
	b, err := r.appendVerdict(b)
	if err != nil {
		return b, err
	}
	return appendEscaped(b, r.raw[r.member.verdictEnd:]), nil
}

// appendVerdict appends the verdict in words.
func (r *Row) appendVerdict(b []byte) ([]byte, error) {
	if r.ready != nil {
		return appendVerdict(b, &r.ready.Verdict), nil
	}
	raw := r.raw[r.member.verdictStart:r.member.verdictEnd]
	if known, ok := r.words[string(raw)]; ok {
		return append(b, known...), nil
	}
	v, err := r.diagnosed()
	if err != nil {
		return b, err
	}
	start := len(b)
	b = appendDiagnosed(b, v, r.wording)
	if len(raw) <= maxWordsBytes && len(r.words) < maxWords {
		if r.words == nil {
			r.words = make(map[string][]byte)
		}
		r.words[string(raw)] = bytes.Clone(b[start:])
	}
	return b, nil
}

// objectEnd returns where the JSON object at start ends, -1 if it does not.
func objectEnd(raw []byte, start int) int {
	depth := 0
	for i := start; i < len(raw); i++ {
		switch raw[i] {
		case '"':
			if i = stringEnd(raw, i+1); i < 0 {
				return -1
			}
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return -1
}

// stringEnd returns the place of the quote that ends the string whose content
// begins at i, -1 if there is none.
func stringEnd(raw []byte, i int) int {
	for i < len(raw) {
		n := bytes.IndexByte(raw[i:], '"')
		if n < 0 {
			return -1
		}
		i += n
		slashes := 0
		for raw[i-1-slashes] == '\\' {
			slashes++
		}
		if slashes%2 == 0 {
			return i
		}
		i++
	}
	return -1
}
