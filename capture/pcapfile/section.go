package pcapfile

import (
	"bytes"
	"fmt"
	"math"
	"strings"

	"goproxytrace/capture"
)

// Option codes; the same code means something else in another block.
const (
	optEnd     = 0
	optComment = 1

	optSectionHardware    = 2
	optSectionOS          = 3
	optSectionApplication = 4

	optIfName        = 2
	optIfDescription = 3
	optIfTsresol     = 9
	optIfFilter      = 11
	optIfOS          = 12
	optIfFCSLen      = 13
	optIfTsoffset    = 14
	optIfHardware    = 15

	optCustomText      = 2988
	optCustomBytes     = 2989
	optCustomTextKeep  = 19372
	optCustomBytesKeep = 19373
)

// options walks over the options at the end of a block.
type options struct {
	rest  []byte
	order order
	code  uint16
	value []byte
	// fault says why the walk ended early; empty for the proper end.
	fault string
}

func (it *options) next() bool {
	if len(it.rest) == 0 {
		return false
	}
	if len(it.rest) < 4 {
		it.fault = "not enough room for an option header"
		return false
	}
	it.code = it.order.u16(it.rest)
	n := int(it.order.u16(it.rest[2:]))
	if pad4(n) > len(it.rest)-4 {
		it.fault = fmt.Sprintf("option %d of length %d does not fit its block", it.code, n)
		return false
	}
	if it.code == optEnd {
		return false
	}
	it.value = it.rest[4 : 4+n]
	it.rest = it.rest[4+pad4(n):]
	switch it.code {
	case optCustomText, optCustomBytes, optCustomTextKeep, optCustomBytesKeep:
		if n < 4 {
			it.fault = fmt.Sprintf("custom option of length %d; it holds an enterprise number of 4 bytes", n)
			return false
		}
	}
	return true
}

// maxText bounds a text taken from an option, in bytes.
const maxText = 4 << 10

// text makes a string of an option's value: up to the first NUL, valid UTF-8,
// bounded.
func text(b []byte) string {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	return strings.ToValidUTF8(string(b[:min(len(b), maxText)]), "\uFFFD")
}

// setText sets a field once: of a repeated option the first counts.
func setText(field *string, value []byte) {
	if *field == "" {
		*field = text(value)
	}
}

// section begins a new section: its interfaces and processes are its own.
func (p *pcapngParser) section(r *Reader, body []byte) string {
	major, minor := p.order.u16(body[4:]), p.order.u16(body[6:])
	if major != 1 || minor != 0 && minor != 2 {
		return fmt.Sprintf("a section of pcapng version %d.%d, which is not known", major, minor)
	}
	r.info.Sections++
	p.ifaces = p.ifaces[:0]
	p.procs = p.procs[:0]
	it := options{rest: body[16:], order: p.order}
	for it.next() {
		switch it.code {
		case optSectionHardware:
			setText(&r.info.Hardware, it.value)
		case optSectionOS:
			setText(&r.info.OS, it.value)
		case optSectionApplication:
			setText(&r.info.Application, it.value)
		case optComment:
			if c := text(it.value); c != "" {
				r.note("comment: %s", c)
			}
		}
	}
	return it.fault
}

// maxInterfaceText bounds the texts in Info.Interfaces, in bytes.
const maxInterfaceText = 4 << 20

func (p *pcapngParser) iface(r *Reader, body []byte) string {
	if len(p.ifaces) >= maxSectionInterfaces {
		return fmt.Sprintf("more than %d interfaces in a section", maxSectionInterfaces)
	}
	in := capture.Interface{
		LinkType: capture.LinkType(p.order.u16(body)),
		SnapLen:  p.order.u32(body[4:]),
		Section:  r.info.Sections - 1,
	}
	ng := ngInterface{
		snapLen:  in.SnapLen,
		linkType: in.LinkType,
		maxFrame: maxFrameOf(in.LinkType),
		index:    -1,
		fcsLen:   -1,
	}
	units, offset := uint64(1_000_000), int64(0)
	resolved, shifted := false, false
	it := options{rest: body[8:], order: p.order}
	for it.next() {
		v := it.value
		switch it.code {
		case optIfName:
			setText(&in.Name, v)
		case optIfDescription:
			setText(&in.Description, v)
		case optIfOS:
			setText(&in.OS, v)
		case optIfHardware:
			setText(&in.Hardware, v)
		case optIfFilter:
			if len(v) < 1 {
				return "an interface filter without its type byte"
			}
			// Type 0 is a tcpdump expression, type 1 its byte code.
			if v[0] == 0 {
				setText(&in.Filter, v[1:])
			}
		case optIfTsresol:
			if len(v) != 1 || resolved {
				continue
			}
			resolved = true
			u, ok := unitsOf(v[0])
			if !ok {
				ng.timeless = true
				r.note("interface %d has the time resolution %#02x, which is finer than 64 bits can count: its packets have no time", len(p.ifaces), v[0])
				continue
			}
			units = u
		case optIfTsoffset:
			if len(v) == 8 && !shifted {
				shifted = true
				offset = int64(p.order.u64(v))
			}
		case optIfFCSLen:
			if len(v) == 1 && ng.fcsLen < 0 {
				ng.fcsLen = fcsBytes(v[0])
			}
		}
	}
	if it.fault != "" {
		return it.fault
	}
	ng.clock = newClock(units, offset)
	size := len(in.Name) + len(in.Description) + len(in.OS) + len(in.Hardware) + len(in.Filter)
	if len(r.info.Interfaces) < maxInterfaces && p.interfaceBytes+size <= maxInterfaceText {
		p.interfaceBytes += size
		ng.index = int32(len(r.info.Interfaces))
		r.info.Interfaces = append(r.info.Interfaces, in)
	} else {
		r.note("there are more interfaces than are listed")
	}
	p.ifaces = append(p.ifaces, ng)
	return ""
}

// fcsBytes reads if_fcslen. The specification counts bits, but some writers
// count bytes, and no link has a check sequence of 2 or 4 bits.
func fcsBytes(v byte) int8 {
	if v == 2 || v == 4 {
		return int8(v)
	}
	return int8(v / 8)
}

const (
	optStatStart    = 2
	optStatEnd      = 3
	optStatReceived = 4
	optStatDropped  = 5
	optStatAccepted = 6
	optStatOSDrop   = 7
	optStatDeliver  = 8
)

// statistics keeps the counters of an interface; a later block replaces the
// values that it repeats.
func (p *pcapngParser) statistics(r *Reader, body []byte) string {
	id := p.order.u32(body)
	var in capture.Interface
	var c clock
	known := uint64(id) < uint64(len(p.ifaces))
	target := &in
	if known {
		c = p.ifaces[id].clock
		if i := p.ifaces[id].index; i >= 0 {
			target = &r.info.Interfaces[i]
		}
	} else {
		c = newClock(1_000_000, 0)
		r.note("statistics of interface %d, which the section does not describe", id)
	}
	it := options{rest: body[12:], order: p.order}
	for it.next() {
		v := it.value
		if len(v) != 8 {
			continue
		}
		switch it.code {
		case optStatStart:
			target.Start = p.splitTime(&c, v)
		case optStatEnd:
			target.End = p.splitTime(&c, v)
		case optStatReceived:
			p.counter(&target.Received, v)
		case optStatDropped:
			p.counter(&target.Dropped, v)
		case optStatAccepted:
			p.counter(&target.FilterAccepted, v)
		case optStatOSDrop:
			p.counter(&target.OSDropped, v)
		case optStatDeliver:
			p.counter(&target.Delivered, v)
		}
	}
	return it.fault
}

// splitTime reads a time stored as two 32-bit halves, the high one first
// whatever the byte order.
func (p *pcapngParser) splitTime(c *clock, v []byte) int64 {
	ns, exact := c.ns(uint64(p.order.u32(v))<<32 | uint64(p.order.u32(v[4:])))
	if !exact {
		return 0
	}
	// dumpcap writes these times in microseconds also where the interface's
	// resolution is nanoseconds: they would lie weeks after 1970.
	const year = 365 * 24 * 3600 * nsPerSecond
	if c.units == nsPerSecond && p.first > year && ns >= 0 && ns < p.first-year && ns < math.MaxInt64/1000 && ns*1000 > p.first-year {
		return ns * 1000
	}
	return ns
}

func (p *pcapngParser) counter(field **uint64, v []byte) {
	n := p.order.u64(v)
	// All ones stands for "not counted" in some writers' blocks.
	if n == math.MaxUint64 {
		return
	}
	*field = &n
}
