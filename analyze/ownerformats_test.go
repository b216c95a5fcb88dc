package analyze

import (
	"encoding/binary"
	"fmt"
	"slices"

	"goproxytrace/capture"
)

// ng lays out a little-endian pcapng section block by block, as the
// specification and the tools' own sources have it (draft-ietf-opsawg-pcapng).
type ng struct{ b []byte }

func le(values ...any) (b []byte) {
	for _, v := range values {
		switch v := v.(type) {
		case uint8:
			b = append(b, v)
		case uint16:
			b = binary.LittleEndian.AppendUint16(b, v)
		case uint32:
			b = binary.LittleEndian.AppendUint32(b, v)
		case int:
			b = binary.LittleEndian.AppendUint32(b, uint32(v))
		case uint64:
			b = binary.LittleEndian.AppendUint64(b, v)
		case string:
			b = append(b, v...)
		case []byte:
			b = append(b, v...)
		}
	}
	return b
}

func pad(b []byte) []byte {
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

func ngOption(code uint16, value []byte) []byte {
	return le(code, uint16(len(value)), pad(slices.Clone(value)))
}

func (g *ng) block(kind uint32, parts ...any) {
	body := pad(le(parts...))
	g.b = append(g.b, le(kind, 12+len(body), body, 12+len(body))...)
}

// begin writes the section header, by which application, and one interface with
// times in nanoseconds.
func (g *ng) begin(application string, link uint16, iface string) {
	g.block(0x0a0d0d0a, 0x1a2b3c4d, uint16(1), uint16(0), ^uint64(0), ngOption(4, []byte(application)))
	g.block(1, link, uint16(0), 0, ngOption(2, []byte(iface)), ngOption(9, []byte{9}))
}

func (g *ng) packet(p *capture.Packet, data []byte, options ...[]byte) {
	parts := []any{0, int(uint64(p.Time) >> 32), int(uint32(p.Time)), len(data), len(data), pad(slices.Clone(data))}
	for _, o := range options {
		parts = append(parts, o)
	}
	g.block(6, append(parts, uint32(0))...) // the end of options
}

func ngFlags(outbound bool) []byte {
	if outbound {
		return ngOption(2, le(2))
	}
	return ngOption(2, le(1))
}

// option8 names a packet's owner.
func option8(pid int) []byte { return ngOption(8, le(pid, 0)) }

func ngComment(format string, values ...any) []byte {
	return ngOption(1, fmt.Appendf(nil, format, values...))
}

// pktapFrame puts Apple's packet-tap header in front of a frame: version 1 of
// 156 bytes or version 2 of 40 and strings (xnu: bsd/net/pktap.h).
func pktapFrame(version, pid, effective int, outbound bool, frame []byte) []byte {
	flags := 1
	if outbound {
		flags = 2
	}
	const name, effectiveName = "git-remote-https", "go"
	if version == 1 {
		h := make([]byte, 156)
		put := func(at, v int) { binary.LittleEndian.PutUint32(h[at:], uint32(v)) }
		put(0, len(h))
		put(4, 1) // a packet follows
		put(8, 1) // of Ethernet
		copy(h[12:], "en0")
		put(36, flags)
		put(52, pid)
		copy(h[56:73], name)
		put(84, effective)
		copy(h[88:105], effectiveName)
		return append(h, frame...)
	}
	names := "en0\x00" + name + "\x00" + effectiveName + "\x00"
	h := make([]byte, 40, 256)
	h[0], h[1], h[3], h[4] = byte(40+len(names)), 40, 44, byte(44+len(name)+1)
	binary.LittleEndian.PutUint16(h[6:], 1)
	binary.LittleEndian.PutUint32(h[28:], uint32(pid))
	binary.LittleEndian.PutUint32(h[32:], uint32(effective))
	binary.LittleEndian.PutUint32(h[36:], uint32(flags)|0x80000)
	return slices.Concat(h, []byte(names), frame)
}

// ownerFormats make one capture of the packets in each form in which a tool
// leaves owners. A packet is outbound where the client sent it.
var ownerFormats = map[string]func(list []capture.Packet, outbound func(int) bool) []byte{
	// draft-ietf-opsawg-pcapng, section 4.3: epb_processid_threadid.
	"option8.pcapng": func(list []capture.Packet, outbound func(int) bool) []byte {
		var g ng
		g.begin("test", 1, "eth0")
		for i := range list {
			g.packet(&list[i], list[i].Data, ngFlags(outbound(i)), ngOption(8, le(goPID, 4199)))
		}
		return g.b
	},
	// etl2pcapng writes the process that was running: what comes in is logged in
	// deferred calls, here mostly of others, and now and then what goes out too.
	"etl2pcapng.pcapng": func(list []capture.Packet, outbound func(int) bool) []byte {
		var g ng
		g.begin("etl2pcapng", 1, "Ethernet")
		others := []int{4, 0, 3320, 3320, 3320, 3320}
		for i := range list {
			pid := others[i%len(others)]
			if outbound(i) && i != 2 {
				pid = int(goPID)
			}
			g.packet(&list[i], list[i].Data, ngFlags(outbound(i)), ngOption(8, le(pid, 88)), ngComment("PID=%d TID=%d", pid, 88))
		}
		return g.b
	},
	// ptcpdump: several comments of a packet, no direction.
	"ptcpdump.pcapng": func(list []capture.Packet, _ func(int) bool) []byte {
		var g ng
		g.begin("ptcpdump v0.31.0", 1, "eth0")
		for i := range list {
			g.packet(&list[i], list[i].Data, ngComment("PID: %d\nCmd: /usr/local/go/bin/go\nArgs: go mod download -x", goPID),
				ngComment("UserId: 1000"), ngComment("ParentPID: %d\nParentCmd: /usr/bin/make\nParentArgs: make all", makePID))
		}
		return g.b
	},
	// Apple's tcpdump: process blocks, which packets refer to by index.
	"apple.pcapng": func(list []capture.Packet, outbound func(int) bool) []byte {
		var g ng
		g.begin("tcpdump (libpcap version 1.10.1)", 1, "en0")
		process := func(pid uint32, name string) { g.block(0x80000001, pid, ngOption(2, []byte(name)), uint32(0)) }
		process(612, "mDNSResponder")
		process(helpPID, "git-remote-https")
		process(goPID, "go")
		for i := range list {
			g.packet(&list[i], list[i].Data, ngOption(0x8001, le(1)), ngFlags(outbound(i)), ngOption(0x8002, le(0)), ngOption(0x8003, le(2)), ngOption(0x8004, le(8)))
		}
		return g.b
	},
	"pktap-v1.pcapng": func(list []capture.Packet, outbound func(int) bool) []byte {
		var g ng
		g.begin("tcpdump", 149, "pktap")
		for i := range list {
			g.packet(&list[i], pktapFrame(1, int(helpPID), int(goPID), outbound(i), list[i].Data))
		}
		return g.b
	},
	"pktap-v2.pcapng": func(list []capture.Packet, outbound func(int) bool) []byte {
		var g ng
		g.begin("tcpdump", 258, "pktap")
		for i := range list {
			// The owner itself is not known of every packet.
			pid := int(helpPID)
			if i%2 == 1 {
				pid = -1
			}
			g.packet(&list[i], pktapFrame(2, pid, int(goPID), outbound(i), list[i].Data))
		}
		return g.b
	},
	// Wireshark 5.1: custom blocks of its enterprise number; the packets have
	// option 8. A number was used before and is used again.
	"wireshark.pcapng": func(list []capture.Packet, outbound func(int) bool) []byte {
		var g ng
		g.begin("Dumpcap (Wireshark) 5.1.0", 1, "eth0")
		process := func(pid uint32, name, command string, start int64) {
			o := slices.Concat(ngOption(2, []byte(name)), ngOption(4, []byte(command)), ngOption(5, le(makePID)), ngOption(9, le(uint64(start))))
			g.block(0xbad, 32622, 3, 4+len(o), pid, o)
		}
		process(goPID, "bash", "bash\x00-c\x00true\x00", clockStart-3600*second)
		process(goPID, "go", "go\x00mod\x00download\x00", clockStart-second)
		process(goPID, "vim", "vim\x00", clockStart+3600*second)
		for i := range list {
			g.packet(&list[i], list[i].Data, ngFlags(outbound(i)), ngOption(8, le(goPID, 0)))
		}
		return g.b
	},
	// A firewall's log: whose packet it is, it does not say.
	"nflog.pcapng": func(list []capture.Packet, _ func(int) bool) []byte {
		var g ng
		g.begin("tcpdump", 239, "nflog")
		for i := range list {
			ip := list[i].Data[14:]
			g.packet(&list[i], le(uint8(2), uint8(0), uint16(0), pad(le(uint16(8), uint16(1), uint16(0x0008), uint16(0))), uint16(4+len(ip)), uint16(9), pad(slices.Clone(ip))))
		}
		return g.b
	},
}
