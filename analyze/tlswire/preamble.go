package tlswire

import "bytes"

var (
	proxyText   = []byte("PROXY ")
	proxyBinary = []byte("\r\n\r\n\x00\r\nQUIT\n")
)

// Preamble returns the length of a PROXY protocol header (version 1 or 2, as
// load balancers put it before the client's first bytes) at the start of b, or
// zero where there is none or its end is not in b.
func Preamble(b []byte) int {
	switch {
	case bytes.HasPrefix(b, proxyText):
		line := b[:min(len(b), 107)] // the longest that version 1 allows
		if i := bytes.Index(line, []byte("\r\n")); i >= 0 {
			return i + 2
		}
	case bytes.HasPrefix(b, proxyBinary) && len(b) >= 16 && b[12]>>4 == 2:
		if n := 16 + int(b[14])<<8 + int(b[15]); n <= len(b) {
			return n
		}
	}
	return 0
}
