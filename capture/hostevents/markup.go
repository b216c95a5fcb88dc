package hostevents

import (
	"encoding/xml"
	"errors"
	"io"
)

// Bounds on markup, whatever it was encoded in.
const (
	maxDepth = 64
	// maxValue cuts the text of an element or attribute, in bytes.
	maxValue = 16 << 10
)

// attribute is one of an element's.
type attribute struct{ name, value string }

// sink takes the elements of a document in order. Names have no namespace.
type sink interface {
	start(name string, attrs []attribute)
	text(s string)
	end(name string)
}

// sinks hands everything to several.
type sinks []sink

func (s sinks) start(name string, attrs []attribute) {
	for _, k := range s {
		k.start(name, attrs)
	}
}

func (s sinks) text(v string) {
	for _, k := range s {
		k.text(v)
	}
}

func (s sinks) end(name string) {
	for _, k := range s {
		k.end(name)
	}
}

// xml reads a sequence of elements, with or without one around them. Entities
// other than XML's own five are errors, so that nothing expands.
func (l *Log) xml(t *textReader) error {
	to := sinks{&eventReader{emit: l.event}, &wfpReader{log: l}}
	t.limit = maxToken
	d := xml.NewDecoder(t)
	// What the declaration names was decoded already.
	d.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil }
	var attrs []attribute
	for depth := 0; ; {
		at := t.read
		t.mark()
		tok, err := d.RawToken()
		if err != nil {
			switch {
			case errors.Is(err, io.EOF) && depth == 0:
			case errors.Is(err, io.EOF):
				l.broken(at, "the text ends within an element")
			case errors.Is(err, errLong):
				l.broken(at, "%v", err)
			default:
				if syntax := new(xml.SyntaxError); !errors.As(err, &syntax) {
					return err
				}
				l.broken(at, "%v", err)
			}
			return nil
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			if depth++; depth > maxDepth {
				l.broken(at, "elements nested more than %d deep", maxDepth)
				return nil
			}
			attrs = attrs[:0]
			for _, a := range tok.Attr {
				attrs = append(attrs, attribute{a.Name.Local, clip(a.Value, maxValue)})
			}
			to.start(tok.Name.Local, attrs)
		case xml.EndElement:
			if depth--; depth < 0 {
				l.broken(at, "an element ends that did not begin: </%s>", clip(tok.Name.Local, 64))
				return nil
			}
			to.end(tok.Name.Local)
		case xml.CharData:
			to.text(string(tok))
		}
	}
}

// builder collects the text of an element.
type builder struct{ b []byte }

func (b *builder) reset() { b.b = b.b[:0] }

func (b *builder) add(s string) {
	b.b = append(b.b, s[:min(len(s), maxValue-len(b.b))]...)
}
