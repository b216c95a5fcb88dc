package spans

import (
	"crypto/sha256"
	"encoding/binary"

	"go.opentelemetry.io/collector/pdata/pcommon"
)

// place is where a span stands: its trace and its own identifier.
type place struct {
	trace pcommon.TraceID
	span  pcommon.SpanID
}

// ids makes the identifiers of one case.
type ids struct{ id string }

// hash has each field with its length before it, so that no two lists of fields
// are the same bytes.
func (i ids) hash(what string, numbers ...int64) [sha256.Size]byte {
	h := sha256.New()
	for _, s := range []string{"goproxytrace.span/v1", i.id, what} {
		_ = binary.Write(h, binary.BigEndian, uint64(len(s)))
		h.Write([]byte(s))
	}
	for _, n := range numbers {
		_ = binary.Write(h, binary.BigEndian, n)
	}
	return [sha256.Size]byte(h.Sum(nil))
}

func (i ids) trace(what string, numbers ...int64) (t pcommon.TraceID) {
	h := i.hash("trace "+what, numbers...)
	copy(t[:], h[:])
	t[0] |= 1 // all zero would be none
	return t
}

func (i ids) span(what string, numbers ...int64) (s pcommon.SpanID) {
	h := i.hash("span "+what, numbers...)
	copy(s[:], h[:])
	s[0] |= 1
	return s
}
