package pcapfile

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
)

// Record types of a name-resolution block.
const (
	nameEnd  = 0
	nameIPv4 = 1
	nameIPv6 = 2
)

const (
	// maxNameBytes bounds Info.Names, in bytes of text.
	maxNameBytes = 4 << 20
	// maxNamesPerAddr bounds the names kept of one address.
	maxNamesPerAddr = 64
)

// names reads a name-resolution block: records of an address and the names
// it has, each ended by a NUL.
func (p *pcapngParser) names(r *Reader, body []byte) string {
	for len(body) > 0 {
		if len(body) < 4 {
			return fmt.Sprintf("%d bytes where a name record needs 4", len(body))
		}
		typ, n := p.order.u16(body), int(p.order.u16(body[2:]))
		body = body[4:]
		if pad4(n) > len(body) {
			return fmt.Sprintf("a name record of %d bytes where %d are left", n, len(body))
		}
		rec := body[:n]
		size := 0
		switch typ {
		case nameEnd:
			it := options{rest: body, order: p.order}
			for it.next() {
			}
			return it.fault
		case nameIPv4:
			size = 4
		case nameIPv6:
			size = 16
		}
		if size > 0 {
			if n < size {
				return fmt.Sprintf("a name record of %d bytes for an address of %d", n, size)
			}
			addr, _ := netip.AddrFromSlice(rec[:size])
			for rec = rec[size:]; len(rec) > 0; {
				i := bytes.IndexByte(rec, 0)
				if i < 0 {
					return "a name that no NUL ends"
				}
				p.addName(r, addr, rec[:i])
				rec = rec[i+1:]
			}
		}
		body = body[pad4(n):]
	}
	return ""
}

func (p *pcapngParser) addName(r *Reader, addr netip.Addr, name []byte) {
	if len(name) == 0 {
		return
	}
	if p.nameBytes > maxNameBytes {
		r.note("there are more resolved names than are kept")
		return
	}
	key, value := addr.String(), text(name)
	list := r.info.Names[key]
	if len(list) >= maxNamesPerAddr || slices.Contains(list, value) {
		return
	}
	if r.info.Names == nil {
		r.info.Names = make(map[string][]string)
	}
	r.info.Names[key] = append(list, value)
	p.nameBytes += len(key) + len(value) + 64
}

// secrets notes that there are decryption secrets; they are not kept.
func (p *pcapngParser) secrets(r *Reader, body []byte) string {
	return p.secretsHeader(r, body, len(body)+minBlock)
}

// secretsHeader checks the type and length of the secrets in a block of
// total bytes.
func (p *pcapngParser) secretsHeader(r *Reader, body []byte, total int) string {
	if n := p.order.u32(body[4:]); uint64(n) > uint64(total-minBlock-8) {
		return fmt.Sprintf("a decryption-secrets block of %d bytes for %d bytes of secrets", total, n)
	}
	r.info.HasSecrets = true
	return ""
}
