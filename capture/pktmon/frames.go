package pktmon

import (
	"encoding/binary"

	"goproxytrace/capture"
)

// Link types (tcpdump.org).
const (
	linkEthernet capture.LinkType = 1
	linkRaw      capture.LinkType = 101
	linkWLAN     capture.LinkType = 105
)

// linkOf says what a frame is that pktmon's converter calls Ethernet: it does
// so with what adapters for Wi-Fi, mobile networks and tunnels hand over, too
// (github.com/MicrosoftDocs/windowsserverdocs, issue 6696). Where nothing else
// is plain it stays Ethernet.
func linkOf(frame []byte) capture.LinkType {
	switch {
	case isEthernet(frame):
		return linkEthernet
	case isIP(frame):
		return linkRaw
	case isWLAN(frame):
		return linkWLAN
	}
	return linkEthernet
}

// isEthernet reports whether the EtherType is a usual one that fits what
// follows it.
func isEthernet(b []byte) bool {
	if len(b) < 15 {
		return false
	}
	switch binary.BigEndian.Uint16(b[12:]) {
	case 0x0800:
		return b[14]>>4 == 4
	case 0x86dd:
		return b[14]>>4 == 6
	case 0x0806, 0x8100, 0x88a8, 0x9100, 0x888e, 0x88cc:
		return true
	}
	return false
}

// isIP reports whether a frame is an IP packet to its last byte.
func isIP(b []byte) bool {
	if len(b) < 20 {
		return false
	}
	switch b[0] >> 4 {
	case 4:
		header := int(b[0]&0x0f) * 4
		total := int(binary.BigEndian.Uint16(b[2:]))
		// Length zero is what offload leaves of more than 64 KiB.
		return header >= 20 && header <= len(b) && (total == len(b) || total == 0)
	case 6:
		return len(b) >= 40 && int(binary.BigEndian.Uint16(b[4:]))+40 == len(b)
	}
	return false
}

// isWLAN reports whether a frame is an IEEE 802.11 data frame with a SNAP
// header behind its own (sections 9.2 and 9.3.2).
func isWLAN(b []byte) bool {
	const (
		dataMask, data = 0x0f, 0x08 // version 0, type 2
		qos            = 0x80
		bothDS         = 0x03
		order          = 0x80
	)
	if len(b) < 24 || b[0]&dataMask != data {
		return false
	}
	n := 24
	if b[1]&bothDS == bothDS {
		n += 6
	}
	if b[0]&qos != 0 {
		n += 2
		if b[1]&order != 0 {
			n += 4
		}
	}
	return len(b) >= n+8 && b[n] == 0xaa && b[n+1] == 0xaa && b[n+2] == 0x03
}
