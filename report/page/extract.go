package page

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// mostPage bounds how much of a file is looked through for a report.
const mostPage = 64 << 20

// ErrNoReport says that a page holds no report.
var ErrNoReport = errors.New("this page holds no goproxytrace report")

// Extract returns the report that a page of Write holds as JSON.
func Extract(r io.Reader) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, mostPage+1))
	if err != nil {
		return nil, err
	}
	if len(b) > mostPage {
		return nil, fmt.Errorf("a page of more than %d bytes is no report", mostPage)
	}
	// In text < is escaped: these tags are elements.
	_, rest, ok := bytes.Cut(b, []byte(`<script type="application/json" id="`+dataID+`">`))
	if !ok {
		return nil, ErrNoReport
	}
	raw, _, ok := bytes.Cut(rest, []byte("</script>"))
	if !ok {
		return nil, fmt.Errorf("the page ends at offset %d, within its report", len(b))
	}
	return raw, nil
}

// IsPage reports whether a file that begins like this is an HTML page.
func IsPage(start []byte) bool {
	start = bytes.TrimLeft(start, " \t\r\n\ufeff")
	const doctype = "<!doctype html"
	return len(start) >= len(doctype) && bytes.EqualFold(start[:len(doctype)], []byte(doctype))
}
