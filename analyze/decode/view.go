package decode

import "encoding/binary"

// A view is a stretch of a frame: the captured bytes and the length the
// stretch had on the wire ("reported length"), which is never less than the
// captured one. All length arithmetic is done on n, all reading on b.
type view struct {
	b []byte
	n int
}

// skip returns the view without its first k bytes.
func (v view) skip(k int) view {
	if k >= v.n {
		return view{}
	}
	if k >= len(v.b) {
		return view{n: v.n - k}
	}
	return view{v.b[k:], v.n - k}
}

// limit returns the view with a reported length of at most n bytes.
func (v view) limit(n int) view {
	if n < v.n {
		v.n = max(n, 0)
	}
	if v.n < len(v.b) {
		v.b = v.b[:v.n]
	}
	return v
}

// complete says whether the capture holds all bytes of the view.
func (v view) complete() bool { return len(v.b) == v.n }

func be16(b []byte) uint16 { return binary.BigEndian.Uint16(b) }
func be32(b []byte) uint32 { return binary.BigEndian.Uint32(b) }
func le16(b []byte) uint16 { return binary.LittleEndian.Uint16(b) }
func le32(b []byte) uint32 { return binary.LittleEndian.Uint32(b) }
