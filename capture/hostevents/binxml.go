package hostevents

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf16"
)

// Tokens of binary XML ([MS-EVEN6] 2.2.12, BinXml). The bit 0x40 says that
// another of the same kind follows.
const (
	tokenEOF                = 0x00
	tokenOpenStart          = 0x01
	tokenCloseStart         = 0x02
	tokenCloseEmpty         = 0x03
	tokenEnd                = 0x04
	tokenValue              = 0x05
	tokenAttribute          = 0x06
	tokenCDATA              = 0x07
	tokenCharRef            = 0x08
	tokenEntityRef          = 0x09
	tokenPITarget           = 0x0a
	tokenPIData             = 0x0b
	tokenTemplateInstance   = 0x0c
	tokenNormalSubstitution = 0x0d
	tokenOptional           = 0x0e
	tokenFragment           = 0x0f
	tokenMore               = 0x40
)

// Bounds on one record: what one byte of a template makes is not more than a
// few bytes, but templates may stand in the values of others.
const (
	maxNesting = 8
	maxTokens  = 64 << 10
	maxValues  = 4 << 10
)

var errCut = errors.New("binary XML ends too early")

// binXML reads binary XML out of a chunk, of which names and templates are
// referred to by offset.
type binXML struct {
	chunk  []byte
	to     sink
	tokens int
	open   []string
}

// substitution is a value that a template refers to by number: where it lies in
// the chunk.
type substitution struct {
	typ        uint8
	start, end int
}

// record reads the fragment of one record, from start up to end.
func (b *binXML) record(to sink, start, end int) error {
	b.to, b.tokens, b.open = to, 0, b.open[:0]
	_, err := b.fragment(cursor{b, start, end}, nil, false, 0)
	return err
}

// cursor is a place in the chunk, and where the readable part ends.
type cursor struct {
	b        *binXML
	pos, end int
}

func (c *cursor) take(n int) ([]byte, error) {
	if n < 0 || n > c.end-c.pos {
		return nil, errCut
	}
	s := c.b.chunk[c.pos : c.pos+n]
	c.pos += n
	return s, nil
}

func (c *cursor) u8() (uint8, error) {
	s, err := c.take(1)
	if err != nil {
		return 0, err
	}
	return s[0], nil
}

func (c *cursor) u16() (uint16, error) {
	s, err := c.take(2)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint16(s), nil
}

func (c *cursor) u32() (uint32, error) {
	s, err := c.take(4)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint32(s), nil
}

// units reads UTF-16 text with its length in units before it.
func (c *cursor) units() (string, error) {
	n, err := c.u16()
	if err != nil {
		return "", err
	}
	s, err := c.take(2 * int(n))
	return utf16Text(s), err
}

// name reads the reference to a name. Where a name is used for the first time
// in a chunk it stands right there.
func (c *cursor) name() (string, error) {
	offset, err := c.u32()
	if err != nil {
		return "", err
	}
	if int64(offset) > int64(len(c.b.chunk)) {
		return "", fmt.Errorf("a name at %d, beyond the chunk", offset)
	}
	at := cursor{c.b, int(offset), len(c.b.chunk)}
	if _, err := at.take(6); err != nil { // next in the table, hash
		return "", err
	}
	s, err := at.units()
	if err != nil {
		return "", err
	}
	if _, err := at.take(2); err != nil { // a zero
		return "", err
	}
	if int(offset) == c.pos {
		if at.pos > c.end {
			return "", errCut
		}
		c.pos = at.pos
	}
	return s, nil
}

// fragment reads elements up to the end, or to an end-of-fragment token; it
// returns where that is. definition is true within a template.
func (b *binXML) fragment(c cursor, values []substitution, definition bool, nesting int) (int, error) {
	depth := len(b.open)
	for c.pos < c.end {
		if b.tokens++; b.tokens > maxTokens {
			return c.pos, fmt.Errorf("a record of more than %d tokens", maxTokens)
		}
		t, err := c.u8()
		if err != nil {
			return c.pos, err
		}
		switch t &^ tokenMore {
		case tokenEOF:
			if len(b.open) != depth {
				return c.pos, errors.New("binary XML ends within an element")
			}
			return c.pos, nil
		case tokenFragment:
			_, err = c.take(3)
		case tokenTemplateInstance:
			err = b.template(&c, nesting)
		case tokenOpenStart:
			err = b.element(&c, t&tokenMore != 0, values, definition, nesting)
		case tokenCloseStart:
		case tokenCloseEmpty, tokenEnd:
			if len(b.open) <= depth {
				return c.pos, errors.New("an element ends that did not begin")
			}
			b.to.end(b.open[len(b.open)-1])
			b.open = b.open[:len(b.open)-1]
		case tokenPITarget:
			_, err = c.name()
		case tokenPIData:
			_, err = c.units()
		default:
			var s string
			if s, err = b.content(&c, t, values, nesting); err == nil && s != "" {
				b.to.text(s)
			}
		}
		if err != nil {
			return c.pos, err
		}
	}
	if len(b.open) != depth {
		return c.pos, errCut
	}
	return c.pos, nil
}

// element reads the start of an element with its attributes.
func (b *binXML) element(c *cursor, hasAttributes bool, values []substitution, definition bool, nesting int) error {
	if len(b.open) >= maxDepth {
		return fmt.Errorf("elements nested more than %d deep", maxDepth)
	}
	if definition {
		if _, err := c.take(2); err != nil { // which value the element depends on
			return err
		}
	}
	if _, err := c.u32(); err != nil { // the element's size
		return err
	}
	name, err := c.name()
	if err != nil {
		return err
	}
	var attrs []attribute
	if hasAttributes {
		size, err := c.u32()
		if err != nil {
			return err
		}
		if int64(size) > int64(c.end-c.pos) {
			return errCut
		}
		list := cursor{b, c.pos, c.pos + int(size)}
		c.pos = list.end
		if attrs, err = b.attributes(list, values, nesting); err != nil {
			return err
		}
	}
	b.open = append(b.open, name)
	b.to.start(name, attrs)
	return nil
}

func (b *binXML) attributes(c cursor, values []substitution, nesting int) (attrs []attribute, err error) {
	for c.pos < c.end {
		t, err := c.u8()
		if err != nil {
			return nil, err
		}
		if b.tokens++; b.tokens > maxTokens {
			return nil, fmt.Errorf("a record of more than %d tokens", maxTokens)
		}
		if t&^tokenMore == tokenAttribute {
			name, err := c.name()
			if err != nil {
				return nil, err
			}
			attrs = append(attrs, attribute{name: name})
			continue
		}
		s, err := b.content(&c, t, values, nesting)
		if err != nil {
			return nil, err
		}
		if len(attrs) == 0 {
			return nil, errors.New("the value of no attribute")
		}
		a := &attrs[len(attrs)-1]
		a.value += s[:min(len(s), maxValue-len(a.value))]
	}
	return attrs, nil
}

// content reads one piece of text. A substitution that holds binary XML is
// handed on at once.
func (b *binXML) content(c *cursor, t uint8, values []substitution, nesting int) (string, error) {
	switch t &^ tokenMore {
	case tokenValue:
		typ, err := c.u8()
		if err != nil {
			return "", err
		}
		if typ != typeString {
			return "", fmt.Errorf("a value of type %#x in the text", typ)
		}
		return c.units()
	case tokenCDATA:
		return c.units()
	case tokenCharRef:
		n, err := c.u16()
		return string(rune(n)), err
	case tokenEntityRef:
		name, err := c.name()
		return entities[name], err
	case tokenNormalSubstitution, tokenOptional:
		n, err := c.u16()
		if err != nil {
			return "", err
		}
		if _, err := c.u8(); err != nil { // the type, which the value has too
			return "", err
		}
		if int(n) >= len(values) {
			return "", fmt.Errorf("value %d of %d", n, len(values))
		}
		v := values[n]
		if v.typ != typeBinXML {
			return valueText(v.typ, b.chunk[v.start:v.end]), nil
		}
		if nesting >= maxNesting {
			return "", fmt.Errorf("templates nested more than %d deep", maxNesting)
		}
		_, err = b.fragment(cursor{b, v.start, v.end}, nil, false, nesting+1)
		return "", err
	}
	return "", fmt.Errorf("the unknown token %#x", t)
}

// entities are XML's own.
var entities = map[string]string{"amp": "&", "lt": "<", "gt": ">", "quot": `"`, "apos": "'"}

// template reads an instance of a template: where the definition is, and the
// values that it refers to.
func (b *binXML) template(c *cursor, nesting int) error {
	if nesting >= maxNesting {
		return fmt.Errorf("templates nested more than %d deep", maxNesting)
	}
	if _, err := c.take(5); err != nil { // a one, the template's identifier
		return err
	}
	offset, err := c.u32()
	if err != nil {
		return err
	}
	if int64(offset) > int64(len(b.chunk)) {
		return fmt.Errorf("a template at %d, beyond the chunk", offset)
	}
	def := cursor{b, int(offset), len(b.chunk)}
	if _, err := def.take(4 + 16); err != nil { // next in the table, GUID
		return err
	}
	size, err := def.u32()
	if err != nil {
		return err
	}
	if int64(size) > int64(def.end-def.pos) {
		return errCut
	}
	def.end = def.pos + int(size)
	if int(offset) == c.pos {
		// Used for the first time in the chunk: the definition stands here.
		if def.end > c.end {
			return errCut
		}
		c.pos = def.end
	}
	values, err := b.values(c)
	if err != nil {
		return err
	}
	_, err = b.fragment(def, values, true, nesting+1)
	return err
}

// values reads the values of a template's instance.
func (b *binXML) values(c *cursor) ([]substitution, error) {
	n, err := c.u32()
	if err != nil {
		return nil, err
	}
	if n > maxValues || int(n)*4 > c.end-c.pos {
		return nil, fmt.Errorf("a template with %d values", n)
	}
	list := make([]substitution, n)
	at := c.pos + int(n)*4
	for i := range list {
		size, err := c.u16()
		if err != nil {
			return nil, err
		}
		typ, err := c.u16()
		if err != nil {
			return nil, err
		}
		if at+int(size) > c.end {
			return nil, errCut
		}
		list[i] = substitution{uint8(typ), at, at + int(size)}
		at += int(size)
	}
	c.pos = at
	return list, nil
}

// utf16Text reads UTF-16 up to a zero.
func utf16Text(s []byte) string {
	units := make([]uint16, 0, min(len(s)/2, maxValue))
	for i := 0; i+1 < len(s) && len(units) < maxValue; i += 2 {
		u := binary.LittleEndian.Uint16(s[i:])
		if u == 0 {
			break
		}
		units = append(units, u)
	}
	return string(utf16.Decode(units))
}

func decimal[T int8 | int16 | int32 | int64](n T) string { return strconv.FormatInt(int64(n), 10) }
