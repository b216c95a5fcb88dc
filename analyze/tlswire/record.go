package tlswire

// Content types of the record layer.
const (
	typeChangeCipherSpec = 20
	typeAlert            = 21
	typeHandshake        = 22
	typeApplicationData  = 23
	typeHeartbeat        = 24
)

const (
	headerLen      = 5
	ssl2MinHello   = 11 // header, type, version and the three length fields
	ssl2MaxHello   = 16 << 10
	minClientHello = 38 // version, random, three empty vectors less one byte
)

// validPrefix reports whether the first len(b) bytes of a record header, at
// most five, can be one.
func validPrefix(b []byte) bool {
	if len(b) > 0 && (b[0] < typeChangeCipherSpec || b[0] > typeHeartbeat) {
		return false
	}
	if len(b) > 1 && b[1] != 3 {
		return false
	}
	if len(b) > 2 && b[2] > 4 {
		return false
	}
	if len(b) >= headerLen {
		n := recordLen(b)
		if n > maxRecordBytes {
			return false
		}
		// Only application data may be empty (RFC 8446, section 5.1); a
		// change_cipher_spec is one byte and an alert at least two.
		switch b[0] {
		case typeChangeCipherSpec:
			return n == 1
		case typeAlert:
			return n >= 2
		case typeHandshake:
			return n >= 1
		}
	}
	return true
}

// validPrefix2 is validPrefix for a ClientHello in SSL 2.0 framing
// (RFC 5246, appendix E.2).
func validPrefix2(b []byte) bool {
	if len(b) > 0 && b[0]&0x80 == 0 {
		return false
	}
	if len(b) > 1 {
		n := ssl2Len(b)
		if n < ssl2MinHello || n > ssl2MaxHello {
			return false
		}
	}
	if len(b) > 2 && b[2] != 1 {
		return false
	}
	if len(b) > 3 && b[3] != 0 && b[3] != 3 {
		return false
	}
	if len(b) > 4 {
		if b[3] == 0 && b[4] != 2 || b[3] == 3 && b[4] > 4 {
			return false
		}
	}
	if len(b) >= ssl2MinHello {
		suites := int(b[5])<<8 | int(b[6])
		session := int(b[7])<<8 | int(b[8])
		challenge := int(b[9])<<8 | int(b[10])
		if suites == 0 || suites%3 != 0 || session > 32 || challenge < 16 || challenge > 32 ||
			9+suites+session+challenge != ssl2Len(b) {
			return false
		}
	}
	return true
}

func recordLen(h []byte) int { return int(h[3])<<8 | int(h[4]) }

func ssl2Len(h []byte) int { return int(h[0]&0x7f)<<8 | int(h[1]) }

// LooksLikeRecord reports whether a TLS record, or a ClientHello in SSL 2.0
// framing, begins at b. It looks at whatever is there of the header, of the
// beginning of its content where that is in clear, and of the next header, and
// wants five bytes at least (eleven for SSL 2.0). A PROXY protocol header
// before it is passed over.
func LooksLikeRecord(b []byte) bool {
	b = b[Preamble(b):]
	if len(b) < headerLen {
		return false
	}
	if b[0]&0x80 != 0 {
		return len(b) >= ssl2MinHello && validPrefix2(b[:ssl2MinHello])
	}
	if !validPrefix(b[:headerLen]) {
		return false
	}
	n := recordLen(b)
	body := b[headerLen:]
	if len(body) > n {
		next := body[n:]
		if len(next) > headerLen {
			next = next[:headerLen]
		}
		if !validPrefix(next) {
			return false
		}
		body = body[:n]
	}
	switch b[0] {
	case typeChangeCipherSpec:
		return len(body) == 0 || body[0] == 1
	case typeAlert:
		if n == 2 {
			return (len(body) < 1 || body[0] == 1 || body[0] == 2) && (len(body) < 2 || knownAlert(body[1]))
		}
		// An encrypted alert: nonce, two bytes, padding, MAC.
		return n >= 18 && n <= 512
	case typeHandshake:
		return looksLikeHandshake(body, n)
	case typeHeartbeat:
		return n >= 19
	}
	// No cipher's expansion goes beyond 256 bytes in practice (and TLS 1.3
	// forbids more); the shortest protected record of any is 9 bytes. An
	// empty record is a hello's padding attack at best.
	return n >= 9 && n <= 1<<14+256
}

// looksLikeHandshake judges the captured beginning of a handshake record of
// n bytes, in clear or encrypted.
func looksLikeHandshake(body []byte, n int) bool {
	// Encrypted is a Finished or a renegotiation: short, and no shorter
	// than a nonce or MAC allows.
	return len(body) == 0 || clearHandshake(body, n) || len(body) >= 4 && n >= 24 && n <= 256
}

// clearHandshake reports whether the captured beginning of a handshake record
// of n bytes can be a message in clear.
func clearHandshake(body []byte, n int) bool {
	if len(body) == 0 || !knownHandshake(body[0]) {
		return false
	}
	if len(body) < 4 {
		return true
	}
	m := uint24(body[1:])
	if body[0] == helloClient || body[0] == helloServer {
		return m >= minClientHello && m <= maxHandshake && (len(body) < 6 || body[4] == 3 && body[5] <= 4 || body[4] == 0x7f)
	}
	// The messages of a flight: the first must end with the record, or be
	// followed by another, or be one that is long enough to span records.
	rest := n - (m + 4)
	switch {
	case rest == 0:
		return true
	case rest < 0:
		return body[0] == typeCertificate && m <= maxHandshake
	case rest < 4:
		return false
	case len(body) > m+4:
		return knownHandshake(body[m+4])
	}
	return m > 0
}

func uint24(b []byte) int { return int(b[0])<<16 | int(b[1])<<8 | int(b[2]) }
