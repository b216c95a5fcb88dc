package tlswire

// state says what the next byte of a direction is.
type state uint8

const (
	stateHeader  state = iota // part of a record header
	stateCollect              // in a record body that is kept until it ends
	stateSkip                 // in a record body that is only counted
	stateLost                 // unknown, until a segment begins with a record
)

// direction is the record layer of one direction.
type direction struct {
	asm *assembly // nil while there is nothing to put together
	off int64     // stream bytes passed
	rec Record    // the record that has begun; Place is that of its header
	// last is the frame that brought the latest captured bytes.
	last    Place
	remain  int32 // bytes of the record's body still to come
	msgSkip int32 // bytes of a handshake message still to come that are not kept
	version uint16
	hdr     [headerLen]byte
	hdrLen  uint8
	state   state
	// segment is true where the next byte begins a segment.
	segment bool
	// ssl2 is true while the record is a ClientHello in SSL 2.0 framing.
	ssl2 bool
	// started is true once a record was seen.
	started bool
	// uncertain is true from the first hole on: a change_cipher_spec may
	// have been missed, so handshake records are taken for clear only where
	// their content says so.
	uncertain bool
	// torn is true while the rest of a handshake record has no known
	// message boundary.
	torn bool
	// ccs is true once change_cipher_spec was sent.
	ccs bool
}

// assembly holds the handshake bytes that are not parsed yet.
type assembly struct {
	buf []byte
	// kept is how many bytes of buf came with earlier records, begin the
	// record that they begin in.
	kept  int
	begin Record
	end   int64 // stream offset behind the last of these records
	// version is that in the first record's header; records and
	// recordBytes are counts over the records before the current one.
	version     uint16
	records     int
	recordBytes int
}

// Conversation reads both directions of one connection. The zero value is
// ready for use.
type Conversation struct {
	// OnMessage, where set, is called for each message or record as it is
	// completed, with the frame that completed it.
	OnMessage func(dir int, frame int64, m Message)
	// Cache, where set, is shared between conversations so that a
	// certificate seen before is neither parsed nor stored again.
	Cache *Cache

	facts *Facts
	dirs  [2]direction
}

// New returns a conversation that expects the first bytes of both directions.
func New() *Conversation { return &Conversation{} }

// Facts returns what is known so far. The result stays the conversation's own:
// it changes with later calls. It is never nil.
func (c *Conversation) Facts() *Facts {
	f := c.get()
	for dir := range c.dirs {
		d := &c.dirs[dir]
		s := &f.Sides[dir]
		s.Open, s.OpenHave = Record{}, 0
		if d.state == stateCollect || d.state == stateSkip {
			s.Open = d.rec
			s.OpenHave = int(d.rec.Length) - int(d.remain)
		}
	}
	return f
}

// ClientHello returns the first ClientHello, or nil. Unlike Facts it is cheap
// enough to be asked for every segment.
func (c *Conversation) ClientHello() *ClientHello {
	if c.facts == nil {
		return nil
	}
	return c.facts.ClientHello()
}

func (c *Conversation) get() *Facts {
	if c.facts == nil {
		c.facts = new(Facts)
	}
	return c.facts
}

// SegmentStart says that the next bytes of direction dir begin a TCP segment.
// Only there records are looked for again after their boundaries were lost.
func (c *Conversation) SegmentStart(dir int) { c.dirs[dir&1].segment = true }

// Data takes the next bytes of direction dir (0 or 1) and where they came
// from. b is not kept.
func (c *Conversation) Data(dir int, frame, time int64, b []byte) {
	dir &= 1
	d := &c.dirs[dir]
	segment := d.segment
	d.segment = false
	if len(b) == 0 {
		return
	}
	d.last = Place{frame, time}
	for len(b) > 0 {
		switch d.state {
		case stateSkip:
			n := min(len(b), int(d.remain))
			if d.rec.Type == typeApplicationData {
				c.appData(dir, d, n)
			}
			d.remain -= int32(n)
			d.off += int64(n)
			b = b[n:]
			if d.remain == 0 {
				c.endSkipped(dir, d)
			}
		case stateCollect:
			n := min(len(b), int(d.remain))
			d.remain -= int32(n)
			d.off += int64(n)
			c.collect(dir, d, b[:n])
			b = b[n:]
		case stateHeader:
			b = c.header(dir, d, b, segment)
		default: // stateLost
			if !segment || !LooksLikeRecord(b) {
				d.off += int64(len(b))
				c.get().Sides[dir].Unread += int64(len(b))
				return
			}
			d.state = stateHeader
		}
		segment = false
	}
}

// header takes bytes of a record header and returns the rest.
func (c *Conversation) header(dir int, d *direction, b []byte, segment bool) []byte {
	if d.hdrLen == 0 {
		if !d.started {
			if n := Preamble(b); n > 0 {
				d.off += int64(n)
				c.get().Sides[dir].Unread += int64(n)
				b = b[n:]
			}
		}
		d.rec = Record{Place: d.last, Offset: d.off}
	}
	had := int(d.hdrLen)
	n := copy(d.hdr[had:], b)
	h := d.hdr[:had+n]
	ssl2 := !d.started && validPrefix2(h)
	if !ssl2 && !validPrefix(h) {
		// A segment may begin a record although the bytes before it were
		// none: text before STARTTLS, an answer to CONNECT.
		if had > 0 && segment && LooksLikeRecord(b) {
			c.lose(dir, d, had, "bytes that are no TLS record header")
			d.state = stateHeader
			return b
		}
		c.lose(dir, d, had, "bytes that are no TLS record header")
		return b
	}
	d.hdrLen += uint8(n)
	d.off += int64(n)
	if d.hdrLen < headerLen {
		return nil
	}
	d.hdrLen = 0
	c.begin(dir, d, ssl2)
	return b[n:]
}

// begin starts the record whose header is in d.hdr.
func (c *Conversation) begin(dir int, d *direction, ssl2 bool) {
	s := &c.get().Sides[dir]
	s.Records++
	d.started = true
	d.ssl2 = ssl2
	d.torn = false
	if ssl2 {
		d.rec.Type = typeHandshake
		d.rec.Length = uint16(ssl2Len(d.hdr[:]))
		d.version = 0x0002
		d.remain = int32(d.rec.Length) - 3
		d.state = stateCollect
		a := d.assembly()
		a.buf = append(a.buf[:0], d.hdr[:]...)
		return
	}
	d.rec.Type = d.hdr[0]
	d.rec.Length = uint16(recordLen(d.hdr[:]))
	d.version = uint16(d.hdr[1])<<8 | uint16(d.hdr[2])
	d.remain = int32(d.rec.Length)
	d.state = stateSkip
	switch d.rec.Type {
	case typeHandshake, typeChangeCipherSpec:
		d.state = stateCollect
	case typeAlert:
		// An alert in clear is two bytes, an encrypted one always more.
		if d.rec.Length == 2 {
			d.state = stateCollect
		}
	case typeApplicationData:
		s.AppRecords++
		c.dropFragment(dir, d)
	}
	if d.remain == 0 {
		c.endSkipped(dir, d)
	}
}

// appData counts n captured bytes of application data.
func (c *Conversation) appData(dir int, d *direction, n int) {
	s := &c.get().Sides[dir]
	s.AppBytes += int64(n)
	s.LastApp = d.last
	if s.FirstApp.Frame == 0 && s.AppBytes == int64(n) {
		s.FirstApp = d.last
	}
}

// endSkipped ends a record that was only counted.
func (c *Conversation) endSkipped(dir int, d *direction) {
	d.state = stateHeader
	s := &c.get().Sides[dir]
	kind := KindOther
	switch d.rec.Type {
	case typeApplicationData:
		kind = KindApplicationData
	case typeAlert:
		kind = KindEncryptedAlert
		s.EncryptedAlerts++
	case typeHandshake:
		if d.torn {
			return
		}
		kind = KindEncryptedHandshake
		s.EncryptedHandshake++
	}
	r := d.rec
	r.Place = d.last
	s.list(r)
	if c.OnMessage != nil {
		c.OnMessage(dir, d.last.Frame, Message{
			Kind: kind, Version: d.version, Time: d.last.Time, Offset: d.rec.Offset, Length: int(d.rec.Length),
		})
	}
}

// list adds an encrypted record to First and Last.
func (s *Side) list(r Record) {
	s.Encrypted++
	if len(s.First) < firstRecords {
		if s.First == nil {
			s.First = make([]Record, 0, firstRecords)
		}
		s.First = append(s.First, r)
	}
	s.Last[0], s.Last[1] = s.Last[1], r
	if !IsControl(int(r.Length) - overhead13) {
		s.LastMessage = r
		s.Messages++
	}
	if !IsOneControl(int(r.Length) - overhead13) {
		s.LastOther = r
	}
}

// lose gives up the record boundaries of a direction; had is how many bytes
// of a header were held.
func (c *Conversation) lose(dir int, d *direction, had int, reason string) {
	s := &c.get().Sides[dir]
	s.Unread += int64(had)
	if d.started {
		s.SyncLost++
		if reason != "" {
			p := d.last
			if had > 0 {
				p = d.rec.Place
			}
			c.malformed(dir, p, d.off-int64(had), 0, reason)
		}
	} else if reason != "" && s.NotTLS.Frame == 0 {
		s.NotTLS = d.last
		if had > 0 {
			s.NotTLS = d.rec.Place
		}
	}
	c.dropFragment(dir, d)
	d.hdrLen = 0
	d.msgSkip = 0
	d.state = stateLost
	// Bytes that never were TLS (text before STARTTLS) hide no message.
	d.uncertain = d.uncertain || d.started
}

func (c *Conversation) malformed(dir int, p Place, offset int64, at int, reason string) {
	f := c.get()
	f.MalformedCount++
	if len(f.Malformed) < maxMalformed {
		f.Malformed = append(f.Malformed, Malformed{Place: p, Dir: dir, Offset: offset, At: at, Reason: reason})
	}
}

// Missing says that the next n bytes of direction dir exist but were not
// captured: cut by the snapshot length, or lost by the capture. A record they
// lie in keeps its boundary; what was captured of a handshake message before
// them is read and reported as cut.
func (c *Conversation) Missing(dir int, frame, time int64, n int) {
	dir &= 1
	d := &c.dirs[dir]
	d.segment = false
	if n <= 0 {
		return
	}
	whole := n
	if d.state == stateSkip && d.rec.Type == typeApplicationData {
		// Its length is known, and its content tells nothing.
		whole -= min(n, int(d.remain))
	}
	c.get().Sides[dir].Missing += int64(whole)
	if d.last.Frame == 0 {
		d.last = Place{frame, time}
	}
	switch d.state {
	case stateLost:
		d.off += int64(n)
		d.uncertain = true
		return
	case stateSkip, stateCollect:
		k := min(n, int(d.remain))
		if d.state == stateCollect {
			c.tear(dir, d, k)
		}
		if d.rec.Type == typeApplicationData {
			c.get().Sides[dir].AppBytes += int64(k)
		}
		d.remain -= int32(k)
		d.off += int64(k)
		n -= k
		if d.remain == 0 {
			// What comes behind the hole ended the record, but the frame
			// named is that which shows so.
			if frame != 0 {
				d.last = Place{frame, time}
			}
			if d.state == stateCollect {
				c.collect(dir, d, nil)
			} else {
				c.endSkipped(dir, d)
			}
		}
	}
	if n > 0 {
		had := int(d.hdrLen)
		if d.started || had > 0 {
			c.lose(dir, d, had, "")
		} else {
			d.state = stateLost
		}
		d.uncertain = true
		d.off += int64(n)
	}
}

// End says that no more bytes will come. What was captured of a handshake
// message that never ended goes into the facts, marked as cut; OnMessage is not
// called for it.
func (c *Conversation) End() {
	hook := c.OnMessage
	c.OnMessage = nil
	for dir := range c.dirs {
		d := &c.dirs[dir]
		if d.state == stateCollect && d.remain > 0 {
			c.tear(dir, d, 0)
		} else {
			c.dropFragment(dir, d)
		}
	}
	c.OnMessage = hook
}
