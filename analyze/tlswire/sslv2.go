package tlswire

// clientHello2 reads a ClientHello in SSL 2.0 framing, b from its first header
// byte on (RFC 5246, appendix E.2).
func (c *Conversation) clientHello2(dir int, d *direction, b []byte) {
	n := int(d.rec.Length)
	h := &ClientHello{
		Place: d.last, First: d.rec.Place, Offset: d.rec.Offset, End: d.rec.Offset + 2 + int64(n),
		Bytes: n, RecordBytes: n + 2, Records: 1, RecordVersion: 0x0002, SSLv2: true,
		Cut: len(b) < n+2,
	}
	if len(b) < headerLen {
		return
	}
	h.Version = uint16(b[3])<<8 | uint16(b[4])
	if len(b) >= ssl2MinHello {
		suites := int(b[5])<<8 | int(b[6])
		session := int(b[7])<<8 | int(b[8])
		if !validPrefix2(b[:ssl2MinHello]) {
			c.malformed(dir, d.last, d.rec.Offset, 5, "SSL 2.0 ClientHello: lengths do not fit")
		}
		rest := b[ssl2MinHello:]
		for i := 0; i+3 <= suites && i+3 <= len(rest); i += 3 {
			if rest[i] == 0 && len(h.CipherSuites) < maxListed {
				h.CipherSuites = append(h.CipherSuites, uint16(rest[i+1])<<8|uint16(rest[i+2]))
			}
		}
		if suites <= len(rest) {
			rest = rest[suites:]
			h.SessionID = string(rest[:min(session, len(rest), 32)])
		}
	}
	c.offered(dir, h)
	if c.OnMessage != nil {
		c.OnMessage(dir, d.last.Frame, Message{
			Kind: KindHandshake, Type: helloClient, Cut: h.Cut, Version: h.RecordVersion,
			Time: d.last.Time, Offset: d.rec.Offset, Length: n, ClientHello: h,
		})
	}
}
