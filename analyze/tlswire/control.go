package tlswire

// overhead13 is what TLS 1.3 adds to the content of a record: one byte of
// content type and 16 of tag (RFC 8446, section 5.2).
const overhead13 = 17

// IsControl reports whether n bytes of content are an alert, or one or two
// HTTP/2 control frames: an acknowledgement of SETTINGS (9), WINDOW_UPDATE or
// RST_STREAM (13), PING (17), two of them (26; RFC 9113, section 6).
func IsControl(n int) bool {
	return n <= 2 || n == 9 || n == 13 || n == 17 || n == 26
}
