package tlswire

import "strconv"

// Handshake message types that this package looks into.
const (
	helloRequest           = 0
	helloClient            = 1
	helloServer            = 2
	typeCertificate        = 11
	typeServerKeyExchange  = 12
	typeCertificateRequest = 13
	typeServerHelloDone    = 14
	typeClientKeyExchange  = 16
)

// message is one handshake message with where it came from.
type message struct {
	typ    uint8
	cut    bool
	dir    int
	length int    // declared length of the body
	body   []byte // its captured beginning
	place  Place
	first  Place
	offset int64 // of its first record
	end    int64 // behind its last record
	// version is that in its first record's header.
	version              uint16
	records, recordBytes int
}

func (d *direction) assembly() *assembly {
	if d.asm == nil {
		d.asm = new(assembly)
	}
	return d.asm
}

// collect takes captured bytes of the body of a kept record; d.remain and
// d.off have passed them already.
func (c *Conversation) collect(dir int, d *direction, b []byte) {
	if k := min(len(b), int(d.msgSkip)); k > 0 && d.rec.Type == typeHandshake {
		d.msgSkip -= int32(k)
		b = b[k:]
	}
	if d.remain > 0 {
		if len(b) > 0 {
			a := d.assembly()
			a.buf = append(a.buf, b...)
		}
		return
	}
	d.state = stateHeader
	whole := b
	if a := d.asm; a != nil && len(a.buf) > 0 {
		a.buf = append(a.buf, b...)
		whole = a.buf
	}
	switch {
	case d.ssl2:
		d.ssl2 = false
		c.clientHello2(dir, d, whole)
		d.asm = nil
	case d.rec.Type == typeHandshake:
		c.handshakeRecord(dir, d, whole)
	default:
		// Both are at most two bytes and stand beside a fragment only in
		// a malformed stream.
		kept := 0
		if d.asm != nil {
			kept = d.asm.kept
		}
		content := whole[min(kept, len(whole)):]
		if d.rec.Type == typeAlert {
			c.alert(dir, d, content)
		} else {
			c.changeCipherSpec(dir, d)
		}
		if d.asm != nil {
			d.asm.buf = d.asm.buf[:min(kept, len(d.asm.buf))]
		}
	}
	if d.asm != nil && len(d.asm.buf) == 0 {
		d.asm = nil
	}
}

func (c *Conversation) alert(dir int, d *direction, b []byte) {
	f := c.get()
	if len(b) != 2 {
		return // its bytes are missing
	}
	if b[0] != 1 && b[0] != 2 {
		c.malformed(dir, d.last, d.rec.Offset, 0, "alert of unknown level")
		return
	}
	f.AlertCount++
	if len(f.Alerts) < maxAlerts {
		f.Alerts = append(f.Alerts, Alert{
			Place: d.last, Dir: dir, From: f.Role(dir), Level: b[0], Number: b[1], Offset: d.rec.Offset,
		})
	}
	if c.OnMessage != nil {
		c.OnMessage(dir, d.last.Frame, Message{
			Kind: KindAlert, AlertLevel: b[0], Alert: b[1], Version: d.version,
			Time: d.last.Time, Offset: d.rec.Offset, Length: 2,
		})
	}
}

func (c *Conversation) changeCipherSpec(dir int, d *direction) {
	s := &c.get().Sides[dir]
	s.ChangeCipherSpecs++
	if s.ChangeCipherSpecs == 1 {
		s.ChangeCipherSpec = d.last
	}
	d.ccs = true
	d.msgSkip = 0
	if c.OnMessage != nil {
		c.OnMessage(dir, d.last.Frame, Message{
			Kind: KindChangeCipherSpec, Version: d.version,
			Time: d.last.Time, Offset: d.rec.Offset, Length: int(d.rec.Length),
		})
	}
}

// trust says how readily a handshake record is taken for clear.
type trust uint8

const (
	trustFull  trust = iota // clear for sure
	trustChain              // clear where its messages fill it, or a hello begins it
	trustHello              // clear only where it is one hello
)

// trust judges the current record of d from what was seen of the connection.
func (c *Conversation) trust(d *direction) trust {
	f := c.get()
	if f.HelloRetry != nil && f.ServerHello == nil || f.ServerHello != nil && f.Version >= versionTLS13 {
		// TLS 1.3 encrypts nothing in records of type handshake, and its
		// change_cipher_spec means nothing (RFC 8446, appendix D.4).
		if d.uncertain {
			return trustChain
		}
		return trustFull
	}
	switch {
	case d.ccs:
		return trustHello
	case d.uncertain:
		return trustChain
	}
	return trustFull
}

// handshakeRecord ends a record of type handshake. b holds what earlier
// records left over and this record's content.
func (c *Conversation) handshakeRecord(dir int, d *direction, b []byte) {
	kept := 0
	if d.asm != nil {
		kept = d.asm.kept
	}
	if len(b) == 0 {
		return // all of it belonged to a message that is not kept
	}
	clear := true
	switch c.trust(d) {
	case trustHello:
		clear = kept == 0 && oneHello(b)
	case trustChain:
		clear = kept > 0 || fillsRecord(b) || beginsHello(b)
	}
	if !clear {
		d.asm = nil
		d.msgSkip = 0
		c.endSkipped(dir, d)
		return
	}
	cur := message{
		dir: dir, place: d.last, first: d.rec.Place, offset: d.rec.Offset, end: d.off,
		version: d.version, records: 1, recordBytes: headerLen + int(d.rec.Length),
	}
	for pos := 0; ; {
		rest := b[pos:]
		m := cur
		if pos == 0 && kept > 0 {
			a := d.asm
			m.first, m.offset, m.version = a.begin.Place, a.begin.Offset, a.version
			m.records += a.records
			m.recordBytes += a.recordBytes
		}
		if len(rest) == 0 {
			c.keep(d, nil, &m)
			return
		}
		if !knownHandshake(rest[0]) {
			c.malformed(dir, d.last, m.offset, pos, "handshake message of unknown type "+strconv.Itoa(int(rest[0])))
			c.keep(d, nil, &m)
			return
		}
		if len(rest) < 4 {
			c.keep(d, rest, &m)
			return
		}
		m.typ, m.length = rest[0], uint24(rest[1:])
		if len(rest)-4 >= m.length {
			m.body = rest[4 : 4+m.length]
			c.message(d, &m)
			pos += 4 + m.length
			continue
		}
		if m.length > maxHandshake {
			c.malformed(dir, d.last, m.offset, 1, "handshake message of "+strconv.Itoa(m.length)+" bytes, beyond the limit of "+strconv.Itoa(maxHandshake))
			m.body, m.cut = rest[4:], true
			c.message(d, &m)
			d.msgSkip = int32(m.length - len(m.body))
			c.keep(d, nil, &m)
			return
		}
		c.keep(d, rest, &m)
		return
	}
}

// keep holds rest, the beginning of message m, for the next record.
func (c *Conversation) keep(d *direction, rest []byte, m *message) {
	if len(rest) == 0 {
		d.asm = nil
		return
	}
	a := d.assembly()
	switch {
	case a.buf == nil:
		a.buf = append(a.buf, rest...)
	case len(a.buf) == 0 || &a.buf[0] != &rest[0] || len(a.buf) != len(rest):
		a.buf = append(a.buf[:0], rest...)
	}
	a.kept = len(rest)
	a.begin = Record{Place: m.first, Offset: m.offset}
	a.version, a.end = m.version, m.end
	a.records, a.recordBytes = m.records, m.recordBytes
}

// tear deals with k missing bytes inside a kept record, before d.remain is
// lowered: what was captured is read, and the boundary of the message in which
// they lie is kept where its header was captured.
func (c *Conversation) tear(dir int, d *direction, k int) {
	defer func() { d.uncertain = true }()
	var b []byte
	kept := 0
	if d.asm != nil {
		b, kept = d.asm.buf, d.asm.kept
	}
	if d.ssl2 {
		d.ssl2 = false
		c.clientHello2(dir, d, b)
		c.giveUp(d)
		return
	}
	if d.rec.Type != typeHandshake {
		if d.rec.Type == typeChangeCipherSpec && d.rec.Length == 1 && k > 0 {
			return // its one byte tells nothing more
		}
		c.giveUp(d)
		return
	}
	if len(b) == 0 && d.msgSkip == 0 {
		c.giveUp(d)
		return
	}
	if len(b) > 0 {
		d.msgSkip = 0
		switch c.trust(d) {
		case trustHello:
			if kept > 0 || !beginsHello(b) {
				c.giveUpEncrypted(d)
				return
			}
		case trustChain:
			if kept == 0 && !beginsHello(b) && !clearHandshake(b, int(d.rec.Length)) {
				c.giveUpEncrypted(d)
				return
			}
		}
		cur := message{
			dir: dir, place: d.last, first: d.rec.Place, offset: d.rec.Offset, end: d.off + int64(d.remain),
			version: d.version, records: 1, recordBytes: headerLen + int(d.rec.Length),
		}
		for pos := 0; ; {
			rest := b[pos:]
			if len(rest) < 4 || !knownHandshake(rest[0]) {
				if len(rest) > 0 {
					c.giveUp(d)
					return
				}
				break
			}
			m := cur
			if pos == 0 && kept > 0 {
				a := d.asm
				m.first, m.offset, m.version = a.begin.Place, a.begin.Offset, a.version
				m.records += a.records
				m.recordBytes += a.recordBytes
			}
			m.typ, m.length = rest[0], uint24(rest[1:])
			if len(rest)-4 >= m.length {
				m.body = rest[4 : 4+m.length]
				c.message(d, &m)
				pos += 4 + m.length
				continue
			}
			m.body, m.cut = rest[4:], true
			c.message(d, &m)
			d.msgSkip = int32(m.length - len(m.body))
			break
		}
		d.asm = nil
	}
	if int(d.msgSkip) < k || d.msgSkip == 0 {
		c.giveUp(d)
		return
	}
	d.msgSkip -= int32(k)
}

// giveUp leaves the rest of a handshake record unread.
func (c *Conversation) giveUp(d *direction) {
	d.asm = nil
	d.msgSkip = 0
	d.torn = true
	d.state = stateSkip
}

// giveUpEncrypted leaves the rest of a record that is encrypted.
func (c *Conversation) giveUpEncrypted(d *direction) {
	c.giveUp(d)
	d.torn = false
}

// dropFragment reports the beginning of a handshake message whose rest will
// not come.
func (c *Conversation) dropFragment(dir int, d *direction) {
	a := d.asm
	d.asm = nil
	d.msgSkip = 0
	if a == nil || a.kept < 4 || !knownHandshake(a.buf[0]) {
		return
	}
	m := message{
		typ: a.buf[0], cut: true, dir: dir, length: uint24(a.buf[1:]), body: a.buf[4:a.kept],
		place: d.last, first: a.begin.Place, offset: a.begin.Offset, end: a.end,
		version: a.version, records: a.records, recordBytes: a.recordBytes,
	}
	c.message(d, &m)
}

// message takes a handshake message in clear, complete or cut.
func (c *Conversation) message(d *direction, m *message) {
	f := c.get()
	out := Message{
		Kind: KindHandshake, Type: m.typ, Cut: m.cut, Version: m.version,
		Time: m.place.Time, Offset: m.offset, Length: 4 + m.length,
	}
	switch m.typ {
	case helloClient:
		h := c.clientHello(m)
		out.ClientHello = h
		c.offered(m.dir, h)
	case helloServer:
		out.ServerHello = c.serverHello(m)
		c.chosen(m.dir, out.ServerHello)
	case typeCertificate:
		out.Chain = c.certificates(m)
		if f.client == 0 {
			break
		}
		if f.Role(m.dir) == RoleClient {
			if f.ClientChain == nil {
				f.ClientChain = out.Chain
			}
		} else if f.ServerChain == nil {
			f.ServerChain = out.Chain
		}
	case typeCertificateRequest:
		c.role(m.dir, RoleServer)
		note(&f.CertificateRequest, m.place)
	case typeServerHelloDone:
		c.role(m.dir, RoleServer)
		note(&f.ServerDone, m.place)
	case typeServerKeyExchange:
		c.role(m.dir, RoleServer)
	case typeClientKeyExchange:
		c.role(m.dir, RoleClient)
		note(&f.ClientKeyExchange, m.place)
	}
	if c.OnMessage != nil {
		c.OnMessage(m.dir, m.place.Frame, out)
	}
}

func note(p *Place, at Place) {
	if *p == (Place{}) {
		*p = at
	}
}

// role learns who is client and who is server from a message of dir; the first
// message that tells decides.
func (c *Conversation) role(dir int, r Role) {
	f := c.get()
	if f.client != 0 {
		return
	}
	client := dir
	if r == RoleServer {
		client = 1 - dir
	}
	f.client = int8(client) + 1
	for i := range f.Alerts {
		f.Alerts[i].From = f.Role(f.Alerts[i].Dir)
	}
}

func (c *Conversation) offered(dir int, h *ClientHello) {
	f := c.get()
	c.role(dir, RoleClient)
	f.ClientHelloCount++
	switch {
	case len(f.ClientHellos) == 0,
		len(f.ClientHellos) < maxHellos && f.HelloRetry != nil && f.ServerHello == nil:
		f.ClientHellos = append(f.ClientHellos, h)
	}
}

func (c *Conversation) chosen(dir int, h *ServerHello) {
	f := c.get()
	c.role(dir, RoleServer)
	if h.Retry {
		if f.HelloRetry == nil {
			f.HelloRetry = h
		}
		return
	}
	if f.ServerHello != nil {
		return
	}
	f.ServerHello = h
	f.Version, f.CipherSuite, f.ALPN = h.Version, h.CipherSuite, h.ALPN
	f.Resumed = h.PSK
	if ch := f.ClientHello(); ch != nil && h.Version < versionTLS13 && h.SessionID != "" && h.SessionID == ch.SessionID {
		f.Resumed = true
	}
}

// fillsRecord reports whether b is exactly a run of handshake messages.
func fillsRecord(b []byte) bool {
	if len(b) == 0 {
		return false
	}
	for len(b) > 0 {
		if len(b) < 4 || !knownHandshake(b[0]) {
			return false
		}
		n := 4 + uint24(b[1:])
		// Two empty messages in a row are the nonce of an encrypted one.
		if n > len(b) || b[0] == helloRequest && len(b) > 4 {
			return false
		}
		b = b[n:]
	}
	return true
}

// beginsHello reports whether b begins with a hello, whatever its length.
func beginsHello(b []byte) bool {
	if len(b) < 4 || b[0] != helloClient && b[0] != helloServer {
		return false
	}
	n := uint24(b[1:])
	return n >= minClientHello-1 && n <= maxHandshake && (len(b) < 6 || b[4] == 3 && b[5] <= 4 || b[4] == 0x7f)
}

// oneHello reports whether b is one hello and nothing else.
func oneHello(b []byte) bool {
	return beginsHello(b) && 4+uint24(b[1:]) == len(b)
}
