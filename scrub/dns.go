package scrub

import (
	"encoding/binary"
	"net/netip"
	"strings"

	"goproxytrace/redact"
)

// Record types of DNS (IANA's registry).
const (
	dnsA     = 1
	dnsNS    = 2
	dnsCNAME = 5
	dnsSOA   = 6
	dnsPTR   = 12
	dnsMX    = 15
	dnsAAAA  = 28
	dnsSRV   = 33
	dnsDNAME = 39
	dnsOPT   = 41
)

// dnsMessage returns a DNS message (RFC 1035, section 4), which may be cut,
// with the names in it replaced label by label and private addresses too. Data
// of other records is zero.
func dnsMessage(r *redact.Redactor, in []byte) []byte {
	m := message{r, in, make([]byte, len(in))}
	if !plausible(in) {
		return m.out
	}
	copy(m.out, in[:12])
	if at := m.records(); at < len(in) {
		// What is not understood is no name either: a pointer to nowhere.
		for i := at; i < len(in); i++ {
			m.out[i] = 0xff
		}
	}
	return m.out
}

// records copies questions and records, and returns where that ends.
func (m *message) records() int {
	in, at := m.in, 12
	questions := int(binary.BigEndian.Uint16(in[4:]))
	records := int(binary.BigEndian.Uint16(in[6:])) + int(binary.BigEndian.Uint16(in[8:])) + int(binary.BigEndian.Uint16(in[10:]))
	for range questions {
		end := m.name(at)
		if end < 0 || end+4 > len(in) {
			return at
		}
		at = m.copy(end, 4)
	}
	for range records {
		end := m.name(at)
		if end < 0 || end+10 > len(in) {
			return at
		}
		typ, n := binary.BigEndian.Uint16(in[end:]), int(binary.BigEndian.Uint16(in[end+8:]))
		body := m.copy(end, 10)
		m.data(typ, body, min(body+n, len(in)))
		if body+n > len(in) {
			return len(in)
		}
		at = body + n
	}
	return at
}

// plausible reports whether b begins with the header of a DNS message: a known
// kind of operation, and no more records than one has.
func plausible(b []byte) bool {
	const maxRecords = 512
	if len(b) < 12 || b[2]>>3&15 > 6 || binary.BigEndian.Uint16(b[4:]) > 4 {
		return false
	}
	for at := 6; at < 12; at += 2 {
		if binary.BigEndian.Uint16(b[at:]) > maxRecords {
			return false
		}
	}
	return true
}

type message struct {
	r       *redact.Redactor
	in, out []byte
}

func (m *message) copy(at, n int) int {
	return at + copy(m.out[at:], m.in[at:at+n])
}

// data copies the data of a record, from at to end.
func (m *message) data(typ uint16, at, end int) {
	n := end - at
	switch typ {
	case dnsA:
		if n == 4 {
			copy(m.out[at:end], m.r.Addr(netip.AddrFrom4([4]byte(m.in[at:end]))).AsSlice())
		}
	case dnsAAAA:
		if n == 16 {
			copy(m.out[at:end], m.r.Addr(netip.AddrFrom16([16]byte(m.in[at:end]))).AsSlice())
		}
	case dnsNS, dnsCNAME, dnsPTR, dnsDNAME:
		m.name(at)
	case dnsMX:
		if n > 2 {
			m.name(m.copy(at, 2))
		}
	case dnsSRV:
		if n > 6 {
			m.name(m.copy(at, 6))
		}
	case dnsSOA:
		if at = m.name(at); at >= 0 && at < end {
			if at = m.name(at); at >= 0 && at+20 <= end {
				m.copy(at, 20)
			}
		}
	case dnsOPT:
		m.options(at, end)
	}
}

// options copies the options of an OPT record (RFC 6891, section 6.1.2): of an
// extended error (RFC 8914) the code, of others the length.
func (m *message) options(at, end int) {
	const extendedError = 15
	for at+4 <= end {
		code, n := binary.BigEndian.Uint16(m.in[at:]), int(binary.BigEndian.Uint16(m.in[at+2:]))
		at = m.copy(at, 4)
		k := min(n, end-at)
		if code == extendedError && k >= 2 {
			m.copy(at, 2)
			copy(m.out[at+2:at+k], redact.Blank(string(m.in[at+2:at+k])))
		}
		at += k
	}
}

// maxPointers bounds the compression pointers of a name.
const maxPointers = 64

// name writes the name at a place in the message with its labels replaced, and
// returns where it ends, -1 where it makes no sense or is cut. Labels that a
// pointer leads to are written where they stand.
func (m *message) name(at int) (end int) {
	var labels []string
	var places []int
	end = -1
	i, pointers := at, 0
	for i < len(m.in) && len(labels) < 128 {
		c := int(m.in[i])
		switch {
		case c == 0:
			if end < 0 {
				end = i + 1
			}
			m.write(labels, places)
			return end
		case c&0xc0 == 0xc0:
			if i+2 > len(m.in) || pointers == maxPointers {
				return -1
			}
			if end < 0 {
				end = m.copy(i, 2)
			}
			pointers++
			i = (c&0x3f)<<8 | int(m.in[i+1])
		case c&0xc0 != 0 || i+1+c > len(m.in):
			return -1
		default:
			if end < 0 {
				places = append(places, i)
			}
			labels = append(labels, string(m.in[i+1:i+1+c]))
			i += 1 + c
		}
	}
	return -1
}

// write writes the labels that stand at places, the first ones of a name.
func (m *message) write(labels []string, places []int) {
	name := strings.Join(labels, ".")
	parts := strings.Split(m.r.Host(name), ".")
	for i, at := range places {
		n := len(labels[i])
		m.out[at] = byte(n)
		if len(parts) == len(labels) && len(parts[i]) == n {
			copy(m.out[at+1:], parts[i])
		} else {
			copy(m.out[at+1:], redact.Blank(labels[i]))
		}
	}
}
