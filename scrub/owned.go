package scrub

import (
	"bytes"
	"encoding/binary"

	"goproxytrace/capture"
)

// Link types whose headers tell more than addresses.
const (
	linkPKTAPUser = 149
	linkNFLOG     = 239
	linkPKTAP     = 258
)

func (f *framer) le16(at int) uint16 { return binary.LittleEndian.Uint16(f.in[at:]) }
func (f *framer) le32(at int) uint32 { return binary.LittleEndian.Uint32(f.in[at:]) }

// pktap copies Apple's packet-tap header (xnu, bsd/net/pktap.h): the process
// names stay, what identifies a binary does not.
func (f *framer) pktap(at int) {
	if !f.has(at, 40) {
		return
	}
	const version2 = 0x80000
	if n := int(f.in[at]); f.le32(at+36)&version2 != 0 && n >= 40 && at+n <= len(f.in) {
		f.keep(at, 40)
		for i, place := range []int{1, 3, 4} {
			f.cString(at+int(f.in[at+place]), at+n, i == 0)
		}
		f.inner(uint32(f.le16(at+6)), at+n)
		return
	}
	n := int(f.le32(at))
	if n < 108 || n > 4096 || !f.has(at, n) {
		f.cut(at)
		return
	}
	f.keep(at, 12)
	f.cString(at+12, at+36, true)
	f.keep(at+36, 20)
	f.cString(at+56, at+73, false)
	f.keep(at+76, 12)
	f.cString(at+88, min(at+105, at+n), false)
	if f.le32(at+4) != 0 {
		f.inner(f.le32(at+8), at+n)
	}
}

// cString copies a text that a zero byte or end ends; an interface's name only
// where it says nothing.
func (f *framer) cString(at, end int, iface bool) {
	if at <= 0 || at >= end || end > len(f.in) {
		return
	}
	b := f.in[at:end]
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	if !iface || f.redactor.Interface(string(b)) == string(b) {
		copy(f.out[at:], b)
	}
}

func (f *framer) inner(lt uint32, at int) {
	if lt == linkPKTAP || lt == linkPKTAPUser || lt > 0xffff {
		f.cut(at)
		return
	}
	f.link(capture.LinkType(lt), at)
}

// nflog copies the packet in a message of Linux's packet filter log, and of its
// other attributes the type and the length.
func (f *framer) nflog(at int) {
	if !f.has(at, 4) {
		return
	}
	const (
		packetHeader = 1
		payload      = 9
	)
	family := f.in[at]
	f.keep(at, 4)
	var typ uint16
	for at += 4; at+4 <= len(f.in); {
		n, kind := int(f.le16(at)), f.le16(at+2)
		if kind > 0xff || at+n > len(f.in) {
			n, kind = int(f.u16(at)), f.u16(at+2)
		}
		if n < 4 {
			f.cut(at)
			return
		}
		f.keep(at, 4)
		switch kind & 0x7fff {
		case packetHeader:
			if n >= 8 && f.has(at, 8) {
				f.keep(at+4, 4)
				typ = f.u16(at + 4)
			}
		case payload:
			if family == 2 || family == 10 {
				f.ip(at + 4)
			} else {
				f.ether(typ, at+4)
			}
			return
		}
		at += (n + 3) &^ 3
	}
}
