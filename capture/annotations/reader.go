package annotations

// Bounds on the comments that a Reader remembers.
const (
	maxKnown      = 4096
	maxKnownBytes = 4 << 20
)

// Reader reads comments one after the other: tools write a few texts thousands
// of times. The zero Reader is ready for use.
type Reader struct {
	known map[string]*Note
	bytes int
}

// Read returns what a comment says, nil where that is nothing. fresh is true
// where the Reader has not said the same before, or has forgotten it since.
func (r *Reader) Read(comment string) (n *Note, fresh bool) {
	if comment == "" {
		return nil, false
	}
	if n, ok := r.known[comment]; ok {
		return n, false
	}
	if len(r.known) >= maxKnown || r.bytes > maxKnownBytes || r.known == nil {
		r.known, r.bytes = make(map[string]*Note), 0
	}
	if parsed, ok := Parse(comment); ok {
		n = &parsed
	}
	r.known[comment] = n
	r.bytes += len(comment)
	return n, n != nil
}
