package hostevents

import (
	"encoding/binary"
	"hash/crc32"
	"unicode/utf16"
)

// evtxFile writes event logs as Windows does: names and templates stand where
// they are used first in a chunk, and are referred to by offset after that.
type evtxFile struct {
	chunks [][]byte
	c      []byte // the chunk being written
	names  map[string]uint32
	temps  map[string]uint32
	record uint64
	last   int
}

func (w *evtxFile) u8(v ...byte) { w.c = append(w.c, v...) }
func (w *evtxFile) u16(v uint16) { w.c = binary.LittleEndian.AppendUint16(w.c, v) }
func (w *evtxFile) u32(v uint32) { w.c = binary.LittleEndian.AppendUint32(w.c, v) }
func (w *evtxFile) u64(v uint64) { w.c = binary.LittleEndian.AppendUint64(w.c, v) }
func (w *evtxFile) utf(s string) { w.c = append(w.c, utf16Bytes(s)...) }
func (w *evtxFile) patch(at int) { binary.LittleEndian.PutUint32(w.c[at:], uint32(len(w.c)-at-4)) }
func (w *evtxFile) pos() uint32  { return uint32(len(w.c)) }
func (w *evtxFile) begin() {
	w.names, w.temps, w.c = map[string]uint32{}, map[string]uint32{}, make([]byte, chunkHeader)
}
func (w *evtxFile) text(s string) {
	w.u8(tokenValue, typeString)
	w.u16(uint16(len(utf16Bytes(s)) / 2))
	w.utf(s)
}

func utf16Bytes(s string) (b []byte) {
	for _, u := range utf16.Encode([]rune(s)) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return b
}

func (w *evtxFile) name(s string) {
	if at, known := w.names[s]; known {
		w.u32(at)
		return
	}
	at := w.pos() + 4
	w.names[s] = at
	w.u32(at)
	var hash uint32
	for _, r := range s {
		hash = hash*65599 + uint32(r)
	}
	w.u32(0)
	w.u16(uint16(hash))
	w.u16(uint16(len(s)))
	w.utf(s)
	w.u16(0)
}

// part is an element of a template; a value below zero is none.
type part struct {
	name     string
	attrs    []attribute // a value "%N" is the substitution N
	text     string      // likewise
	typ      uint8
	children []part
	tail     string // content behind the children
}

func (w *evtxFile) content(s string, typ uint8) {
	if len(s) > 1 && s[0] == '%' {
		w.u8(tokenOptional)
		w.u16(uint16(s[1] - '0'))
		w.u8(typ)
		return
	}
	w.text(s)
}

func (w *evtxFile) element(p part) {
	token := byte(tokenOpenStart)
	if len(p.attrs) > 0 {
		token |= tokenMore
	}
	w.u8(token)
	w.u16(0xffff)
	size := len(w.c)
	w.u32(0)
	w.name(p.name)
	if len(p.attrs) > 0 {
		list := len(w.c)
		w.u32(0)
		for i, a := range p.attrs {
			token := byte(tokenAttribute)
			if i < len(p.attrs)-1 {
				token |= tokenMore
			}
			w.u8(token)
			w.name(a.name)
			w.content(a.value, p.typ)
		}
		w.patch(list)
	}
	if p.text == "" && len(p.children) == 0 && p.tail == "" {
		w.u8(tokenCloseEmpty)
	} else {
		w.u8(tokenCloseStart)
		if p.text != "" {
			w.content(p.text, p.typ)
		}
		for _, c := range p.children {
			w.element(c)
		}
		if p.tail != "" {
			w.content(p.tail, p.typ)
		}
		w.u8(tokenEnd)
	}
	w.patch(size)
}

// cell is a value of a template's instance: bytes, or binary XML to be written.
type cell struct {
	typ   uint8
	bytes []byte
	write func()
}

func (w *evtxFile) instance(id string, root part, cells []cell) {
	w.u8(tokenTemplateInstance, 1)
	number := crc32.ChecksumIEEE([]byte(id))
	w.u32(number)
	if at, known := w.temps[id]; known {
		w.u32(at)
	} else {
		at := w.pos() + 4
		w.temps[id] = at
		w.u32(at)
		w.u32(0)
		w.u32(number)
		w.c = append(w.c, make([]byte, 12)...)
		size := len(w.c)
		w.u32(0)
		w.u8(tokenFragment, 1, 1, 0)
		w.element(root)
		w.u8(tokenEOF)
		w.patch(size)
	}
	w.u32(uint32(len(cells)))
	table := len(w.c)
	for _, c := range cells {
		w.u16(0)
		w.u16(uint16(c.typ))
	}
	for i, c := range cells {
		begin := len(w.c)
		if c.write != nil {
			c.write()
		}
		w.c = append(w.c, c.bytes...)
		binary.LittleEndian.PutUint16(w.c[table+4*i:], uint16(len(w.c)-begin))
	}
}

var eventTemplate = part{
	name: "Event", attrs: []attribute{{"xmlns", "http://schemas.microsoft.com/win/2004/08/events/event"}},
	children: []part{
		{name: "System", children: []part{
			{name: "Provider", attrs: []attribute{{"Name", "%0"}}, typ: typeString},
			{name: "EventID", text: "%1", typ: typeUint16},
			{name: "TimeCreated", attrs: []attribute{{"SystemTime", "%2"}}, typ: typeFileTime},
			{name: "EventRecordID", text: "%3", typ: typeUint64},
			{name: "Channel", text: "%4", typ: typeString},
		}},
	},
	tail: "%5", typ: typeBinXML,
}

// event adds a record; values are strings, or cells of another type.
func (w *evtxFile) event(provider string, id uint16, at int64, names []string, values []cell) {
	if w.c == nil {
		w.begin()
	}
	w.record++
	begin := len(w.c)
	w.u32(recordMagic)
	w.u32(0)
	w.u64(w.record)
	w.u64(toFiletime(at))
	w.u8(tokenFragment, 1, 1, 0)
	le := binary.LittleEndian
	w.instance("event", eventTemplate, []cell{
		{typ: typeString, bytes: utf16Bytes(provider)},
		{typ: typeUint16, bytes: le.AppendUint16(nil, id)},
		{typ: typeFileTime, bytes: le.AppendUint64(nil, toFiletime(at))},
		{typ: typeUint64, bytes: le.AppendUint64(nil, w.record)},
		{typ: typeString, bytes: utf16Bytes("Security")},
		{typ: typeBinXML, write: func() {
			w.u8(tokenFragment, 1, 1, 0)
			data := part{name: "EventData"}
			for i, n := range names {
				data.children = append(data.children, part{name: "Data", attrs: []attribute{{"Name", n}}, text: "%" + string(rune('0'+i)), typ: values[i].typ})
			}
			w.instance(provider+string(rune(id)), data, values)
			w.u8(tokenEOF)
		}},
	})
	w.u8(tokenEOF)
	size := uint32(len(w.c) - begin + 4)
	binary.LittleEndian.PutUint32(w.c[begin+4:], size)
	w.u32(size)
	w.last = begin
}

func toFiletime(ns int64) uint64 { return uint64(ns/100) + filetimeToUnix }

// finish completes a chunk.
func (w *evtxFile) finish() {
	end := len(w.c)
	c := append(w.c, make([]byte, chunkSize-end)...)
	le := binary.LittleEndian
	copy(c, chunkMagic[:])
	le.PutUint64(c[8:], 1)
	le.PutUint64(c[16:], w.record)
	le.PutUint64(c[24:], 1)
	le.PutUint64(c[32:], w.record)
	le.PutUint32(c[40:], 128)
	le.PutUint32(c[44:], uint32(w.last))
	le.PutUint32(c[48:], uint32(end))
	seal(c)
	w.chunks = append(w.chunks, c)
	w.c = nil
}

// seal writes the checksums of a chunk.
func seal(c []byte) {
	le := binary.LittleEndian
	le.PutUint32(c[52:], crc32.ChecksumIEEE(c[chunkHeader:le.Uint32(c[48:])]))
	le.PutUint32(c[124:], crc32.Update(crc32.ChecksumIEEE(c[:120]), crc32.IEEETable, c[128:chunkHeader]))
}

func (w *evtxFile) bytes() []byte {
	if w.c != nil {
		w.finish()
	}
	h := make([]byte, evtxHeader)
	le := binary.LittleEndian
	copy(h, evtxMagic)
	le.PutUint64(h[16:], uint64(len(w.chunks)-1))
	le.PutUint64(h[24:], w.record+1)
	le.PutUint32(h[32:], 128)
	le.PutUint16(h[36:], 1)
	le.PutUint16(h[38:], 3)
	le.PutUint16(h[40:], evtxHeader)
	le.PutUint16(h[42:], uint16(len(w.chunks)))
	le.PutUint32(h[124:], crc32.ChecksumIEEE(h[:120]))
	for _, c := range w.chunks {
		h = append(h, c...)
	}
	return h
}

func str(s string) cell { return cell{typ: typeString, bytes: utf16Bytes(s)} }

func num(n uint32) cell {
	return cell{typ: typeUint32, bytes: binary.LittleEndian.AppendUint32(nil, n)}
}

func hex64(n uint64) cell {
	return cell{typ: typeHex64, bytes: binary.LittleEndian.AppendUint64(nil, n)}
}

var wfpNames = []string{"ProcessID", "Application", "Direction", "SourceAddress", "SourcePort", "DestAddress", "DestPort", "Protocol", "FilterRTID", "LayerRTID"}

// blockedConnection adds a 5157 of an outgoing connection.
func (w *evtxFile) blockedConnection(at int64, pid uint32, local, localPort, remote, remotePort string) {
	w.event(securityProvider, 5157, at, wfpNames, []cell{
		num(pid), str(`\device\harddiskvolume3\go\bin\go.exe`), str("%%14593"), str(local), str(localPort), str(remote), str(remotePort),
		num(6), cell{typ: typeUint64, bytes: binary.LittleEndian.AppendUint64(nil, 68893)}, num(48),
	})
}
