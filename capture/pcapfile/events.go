package pcapfile

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"strings"

	"goproxytrace/capture"
)

const (
	// maxEventRecords and maxEventBytes bound Info.EventRecords.
	maxEventRecords = 64 << 10
	maxEventBytes   = 8 << 20
	// maxJournalFields and maxFieldBytes bound one journal entry.
	maxJournalFields = 256
	maxFieldBytes    = 64 << 10
)

// journalTime is the field that holds a journal entry's time in microseconds.
const journalTime = "__REALTIME_TIMESTAMP"

// event hands out a numbered record that is no frame.
func (p *pcapngParser) event(r *Reader, b *capture.Batch, kind string, data []byte, length int, ns int64, hasTime bool, fields map[string]string) {
	r.info.Events++
	r.info.Bytes += int64(len(data))
	pk := capture.Packet{
		Number:    r.info.Packets + r.info.Events,
		Time:      ns,
		HasTime:   hasTime,
		Data:      data,
		Length:    length,
		Interface: -1,
		FCSLen:    -1,
		Kind:      capture.KindEvent,
	}
	b.Packets = append(b.Packets, pk)
	size := 128
	for k, v := range fields {
		size += len(k) + len(v) + 64
	}
	if len(r.info.EventRecords) >= maxEventRecords || p.eventBytes+size > maxEventBytes {
		r.note("there are more journal and custom records than are kept")
		return
	}
	p.eventBytes += size
	r.info.EventRecords = append(r.info.EventRecords, capture.EventRecord{
		Number: pk.Number, Time: ns, Kind: kind, Fields: fields,
	})
}

// journal reads a systemd journal export block: one entry, padded with NULs.
func (p *pcapngParser) journal(r *Reader, b *capture.Batch, body []byte) string {
	body = bytes.TrimRight(body, "\x00")
	if len(body) < len(journalTime)+len("=0\n") {
		return fmt.Sprintf("a journal entry of %d bytes", len(body))
	}
	ns, hasTime := journalTimeOf(body)
	var fields map[string]string
	if p.eventBytes < maxEventBytes {
		fields = JournalFields(body)
	}
	p.event(r, b, "journal", body, len(body), ns, hasTime, fields)
	return ""
}

// journalTimeOf finds the time where Wireshark finds it: after the first
// occurrence of the field's name, wherever that is.
func journalTimeOf(entry []byte) (ns int64, ok bool) {
	_, rest, found := bytes.Cut(entry, []byte(journalTime+"="))
	if !found {
		return 0, false
	}
	n := 0
	for n < len(rest) && n < 20 && rest[n] >= '0' && rest[n] <= '9' {
		n++
	}
	us, err := strconv.ParseUint(string(rest[:n]), 10, 64)
	if err != nil {
		return 0, false
	}
	if us > math.MaxInt64/1000 {
		return math.MaxInt64, true
	}
	return int64(us * 1000), true
}

// JournalFields parses an entry in systemd's journal export format: lines
// NAME=value, or a line NAME followed by a little-endian 64-bit length, that
// many bytes, and a newline. Of a repeated field the first value counts.
// What does not follow the format ends the parsing.
func JournalFields(entry []byte) map[string]string {
	fields := make(map[string]string)
	for len(entry) > 0 && len(fields) < maxJournalFields {
		line, rest, _ := bytes.Cut(entry, []byte("\n"))
		if len(line) == 0 {
			entry = rest
			continue
		}
		name, value, inLine := bytes.Cut(line, []byte("="))
		if !inLine {
			if len(rest) < 8 {
				break
			}
			n := binary.LittleEndian.Uint64(rest)
			if n > uint64(len(rest)-8) {
				break
			}
			value, rest = rest[8:8+n], rest[8+n:]
			rest = bytes.TrimPrefix(rest, []byte("\n"))
		}
		if len(name) > 0 && len(name) <= 256 {
			key := strings.ToValidUTF8(string(name), "\uFFFD")
			if _, seen := fields[key]; !seen {
				fields[key] = string(value[:min(len(value), maxFieldBytes)])
			}
		}
		entry = rest
	}
	return fields
}

// Private enterprise numbers of custom blocks.
const penWireshark = 32622

// custom reads a custom block: an enterprise number, then whatever that
// enterprise defines.
func (p *pcapngParser) custom(r *Reader, b *capture.Batch, body []byte) string {
	pen := p.order.u32(body)
	data := body[4:]
	fields := map[string]string{"PEN": strconv.FormatUint(uint64(pen), 10)}
	if pen == penWireshark {
		p.wiresharkCustom(r, data, fields)
	}
	p.event(r, b, "custom", data, len(data), 0, false, fields)
	return ""
}

// sysdig reads a system-call record: CPU, time in nanoseconds, thread.
func (p *pcapngParser) sysdig(r *Reader, b *capture.Batch, body []byte) string {
	ns := p.order.u64(body[2:])
	if ns > math.MaxInt64 {
		ns = math.MaxInt64
	}
	p.event(r, b, "sysdig", body, len(body), int64(ns), true, nil)
	return ""
}

// longEvent numbers a record too long to be held; head are its first bytes.
func (p *pcapngParser) longEvent(r *Reader, b *capture.Batch, head []byte, typ uint32, total int) {
	name, _ := blockKind(typ)
	p.count(r, typ, name)
	length := total - minBlock
	if typ == blockCustom || typ == blockCustomKeep {
		length -= 4
	}
	kind, _, _ := strings.Cut(name, " ")
	r.note("record %d, of type %s and %d bytes, was numbered but not read", r.info.Packets+r.info.Events+1, kind, total)
	p.event(r, b, kind, nil, length, 0, false, nil)
}
