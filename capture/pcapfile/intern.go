package pcapfile

import "strings"

const (
	// maxComment bounds the comments of one packet, in bytes.
	maxComment = 16 << 10
	// maxInterned bounds the table of comments seen before, in bytes.
	maxInterned = 1 << 20
)

// interner hands out one string for equal comments: capture tools that name
// the owner of each packet repeat a few texts thousands of times.
type interner struct {
	seen  map[string]string
	bytes int
	// joined is the scratch in which a packet's comments are put together.
	joined []byte
}

// add appends one more comment of the packet.
func (in *interner) add(comment []byte) {
	if room := maxComment - len(in.joined); len(comment) > room {
		comment = comment[:max(room, 0)]
	}
	if len(comment) == 0 {
		return
	}
	if len(in.joined) > 0 {
		in.joined = append(in.joined, '\n')
	}
	in.joined = append(in.joined, comment...)
}

// take returns the comments added since the last call.
func (in *interner) take() string {
	if len(in.joined) == 0 {
		return ""
	}
	b := in.joined
	in.joined = in.joined[:0]
	if s, ok := in.seen[string(b)]; ok {
		return s
	}
	if in.bytes > maxInterned || in.seen == nil {
		in.seen, in.bytes = make(map[string]string), 0
	}
	key := string(b)
	s := strings.ToValidUTF8(key, "\uFFFD")
	in.seen[key] = s
	in.bytes += len(key) + len(s) + 64
	return s
}
