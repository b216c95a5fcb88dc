package decode

import (
	"bytes"

	"goproxytrace/capture"
)

// Flags of Apple's packet-tap header (xnu, bsd/net/pktap.h).
const (
	pktapInbound  = 1
	pktapOutbound = 2
)

// pktap reads Apple's packet-tap header: the link type of what follows, the
// interface and direction, and who owns the packet.
func (d *Decoder) pktap(lt uint16, v view) {
	b := v.b
	if len(b) < 40 {
		if lt == linkPKTAPUser {
			d.miss(missLinkType, uint32(lt))
		} else {
			d.cut(hdrPKTAP)
		}
		return
	}
	const version2 = 0x80000
	var n int
	var inner uint32
	var p ownerKey
	var ifname comm
	if le32(b[36:])&version2 != 0 && int(b[0]) >= 40 && int(b[0]) <= len(b) {
		n = int(b[0])
		inner = uint32(le16(b[6:]))
		p.pid, p.effectivePID = int32(le32(b[28:])), int32(le32(b[32:]))
		ifname = cString(b[:n], int(b[1]))
		p.name = cString(b[:n], int(b[3]))
		p.effectiveName = cString(b[:n], int(b[4]))
	} else {
		length := le32(b)
		if length < 108 || length > 4096 {
			// Private link type 149 has other users too.
			d.miss(missLinkType, uint32(lt))
			return
		}
		n = int(length)
		if len(b) < n {
			d.cut(hdrPKTAP)
			return
		}
		inner = le32(b[8:])
		p.pid, p.effectivePID = int32(le32(b[52:])), int32(le32(b[84:]))
		ifname = cString(b[:36], 12)
		p.name = cString(b[:73], 56)
		p.effectiveName = cString(b[:min(n, 105)], 88)
		if le32(b[4:]) == 0 {
			return // no packet follows
		}
	}
	// The record's own word stands where it has one.
	switch flags := le32(b[36:]); {
	case capture.Direction(d.direction) != capture.DirectionUnknown:
	case flags&pktapInbound != 0:
		d.direction = uint8(capture.Inbound)
	case flags&pktapOutbound != 0:
		d.direction = uint8(capture.Outbound)
	}
	d.loopback = d.loopback || ifname.String() == "lo0"
	if p.pid > 0 || p.effectivePID > 0 {
		d.process = d.owner(p)
	}
	if inner == linkPKTAP || inner == linkPKTAPUser || inner > 0xffff || !d.enter() {
		d.miss(missLinkType, inner)
		return
	}
	d.linkFrame(uint16(inner), v.skip(n))
}

// ownerKey is an owner as the header has it. It is a key without pointers so
// that looking up a known owner allocates nothing.
type ownerKey struct {
	pid, effectivePID   int32
	name, effectiveName comm
}

// comm is a command name; the kernel keeps at most 17 bytes of one.
type comm [32]byte

// cString returns the text at offset o up to a zero byte; an offset of 0
// means that there is none.
func cString(b []byte, o int) (c comm) {
	if o <= 0 || o >= len(b) {
		return c
	}
	b = b[o:]
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	copy(c[:], b)
	return c
}

func (c comm) String() string { return string(bytes.TrimRight(c[:], "\x00")) }

// maxOwners bounds the distinct owners kept so that equal ones share memory.
const maxOwners = 4096

func (d *Decoder) owner(key ownerKey) *Process {
	if known := d.owners[key]; known != nil {
		return known
	}
	p := &Process{PID: key.pid, Name: key.name.String(), EffectivePID: key.effectivePID, EffectiveName: key.effectiveName.String()}
	if d.owners == nil {
		d.owners = make(map[ownerKey]*Process)
	}
	if len(d.owners) < maxOwners {
		d.owners[key] = p
	}
	return p
}
