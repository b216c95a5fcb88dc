package casefile

import (
	"encoding/binary"
	"fmt"

	"goproxytrace/capture"
)

// conversation tells connections apart for the sake of comments: addresses and
// ports, the lower end first. Two of the same ends at different times are one.
type conversation struct {
	pid  uint32
	ends [2]endpoint
}

type endpoint struct {
	addr [16]byte
	port uint16
}

// maxConversations bounds those remembered; then some are told of again.
const maxConversations = 64 << 10

// maxOwner bounds the comment, in bytes.
const maxOwner = 256

// ownerComment names the owner of a packet for a person who reads the file:
// on the first packet of each connection of each process whose name is known.
func (w *Writer) ownerComment(p *capture.Packet) string {
	proc, known := w.state.processes[p.ProcessID]
	if p.ProcessID == 0 || !known {
		return ""
	}
	c := conversation{pid: p.ProcessID}
	if !c.read(p) {
		return ""
	}
	if _, told := w.told[c]; told {
		return ""
	}
	if len(w.told) >= maxConversations {
		clear(w.told)
	}
	w.told[c] = struct{}{}
	s := proc.Message()
	if len(s) > maxOwner {
		s = fmt.Sprintf("%.*s…", maxOwner, s)
	}
	return "owner: " + s
}

// read takes the ends from a TCP or UDP packet; it says no where it does not
// recognise one.
func (c *conversation) read(p *capture.Packet) bool {
	b := p.Data
	// The network layer's place (tcpdump.org, link-layer header types).
	at := 0
	switch p.LinkType {
	case 1: // EN10MB
		at = 14
		for len(b) >= at && (binary.BigEndian.Uint16(b[at-2:]) == 0x8100 || binary.BigEndian.Uint16(b[at-2:]) == 0x88a8) {
			at += 4
		}
	case 113: // LINUX_SLL
		at = 16
	case 276: // LINUX_SLL2
		at = 20
	case 0, 108: // NULL, LOOP
		at = 4
	case 101, 228, 229: // RAW, IPV4, IPV6
	default:
		return false
	}
	if len(b) < at+20 {
		return false
	}
	b = b[at:]
	var protocol byte
	switch b[0] >> 4 {
	case 4:
		header := int(b[0]&15) * 4
		// RFC 791, 3.1: only the first fragment has ports.
		if header < 20 || len(b) < header+4 || binary.BigEndian.Uint16(b[6:])&0x1fff != 0 {
			return false
		}
		protocol = b[9]
		c.ends[0].addr, c.ends[1].addr = v4(b[12:]), v4(b[16:])
		b = b[header:]
	case 6:
		if len(b) < 44 {
			return false
		}
		protocol = b[6]
		c.ends[0].addr, c.ends[1].addr = [16]byte(b[8:24]), [16]byte(b[24:40])
		b = b[40:]
	default:
		return false
	}
	if protocol != 6 && protocol != 17 {
		return false
	}
	c.ends[0].port, c.ends[1].port = binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
	if c.ends[1].before(c.ends[0]) {
		c.ends[0], c.ends[1] = c.ends[1], c.ends[0]
	}
	return true
}

func (e endpoint) before(o endpoint) bool {
	a, b := string(e.addr[:]), string(o.addr[:])
	return a < b || a == b && e.port < o.port
}

func v4(b []byte) [16]byte {
	return [16]byte{10: 0xff, 0xff, b[0], b[1], b[2], b[3]}
}
