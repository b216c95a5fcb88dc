package tlswire

// overhead13 is what TLS 1.3 adds to the content of a record: one byte of
// content type and 16 of tag (RFC 8446, section 5.2).
const overhead13 = 17

// IsControl reports whether n bytes of content may be an alert, or a few HTTP/2
// control frames: acknowledgements of SETTINGS (9), WINDOW_UPDATE or RST_STREAM
// (13), PING (17; RFC 9113, section 6). Of the sums those are taken that a
// sender is likely to write at once: up to five of 13, one of the others with up
// to four of them (one for PING), two of the others.
func IsControl(n int) bool {
	switch n {
	case 9, 18, 22, 35, 48, 61, 13, 26, 39, 52, 65, 17, 30, 34:
		return true
	}
	return n <= 2
}

// IsOneControl reports whether n bytes of content are as long as an alert or
// one or two HTTP/2 control frames.
func IsOneControl(n int) bool {
	switch n {
	case 9, 13, 17, 18, 22, 26, 30:
		return true
	}
	return n <= 2
}
