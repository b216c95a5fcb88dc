package decode

import "bytes"

// pktap reads Apple's packet-tap header: the link type of what follows, and
// who owns the packet.
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
	p := Process{PID: -1, EffectivePID: -1}
	if le32(b[36:])&version2 != 0 && int(b[0]) >= 40 && int(b[0]) <= len(b) {
		n = int(b[0])
		inner = uint32(le16(b[6:]))
		p.PID, p.EffectivePID = int32(le32(b[28:])), int32(le32(b[32:]))
		p.Name = cString(b[:n], int(b[3]))
		p.EffectiveName = cString(b[:n], int(b[4]))
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
		p.PID, p.EffectivePID = int32(le32(b[52:])), int32(le32(b[84:]))
		p.Name = cString(b[:73], 56)
		p.EffectiveName = cString(b[:min(n, 105)], 88)
		if le32(b[4:]) == 0 {
			return // no packet follows
		}
	}
	if p.PID > 0 || p.EffectivePID > 0 {
		d.process = d.owner(p)
	}
	if inner == linkPKTAP || inner == linkPKTAPUser || inner > 0xffff || !d.enter() {
		d.miss(missLinkType, inner)
		return
	}
	d.linkFrame(uint16(inner), v.skip(n))
}

// cString returns the text at offset o up to a zero byte; an offset of 0
// means that there is none.
func cString(b []byte, o int) string {
	if o <= 0 || o >= len(b) {
		return ""
	}
	b = b[o:]
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	return string(b)
}

// maxOwners bounds the distinct owners kept so that equal ones share memory.
const maxOwners = 4096

func (d *Decoder) owner(p Process) *Process {
	if known := d.owners[p]; known != nil {
		return known
	}
	kept := new(Process)
	*kept = p
	if d.owners == nil {
		d.owners = make(map[Process]*Process)
	}
	if len(d.owners) < maxOwners {
		d.owners[p] = kept
	}
	return kept
}
