package report

import (
	"fmt"
	"strconv"
	"time"
)

// millis writes milliseconds for a person, "-" for unknown.
func millis(ms *float64) string {
	if ms == nil {
		return "-"
	}
	switch v := *ms; {
	case v < 1:
		return fmt.Sprintf("%.2f ms", v)
	case v < 10:
		return fmt.Sprintf("%.1f ms", v)
	case v < 9999.5:
		return fmt.Sprintf("%.0f ms", v)
	case v < 600_000:
		return fmt.Sprintf("%.1f s", v/1000)
	default:
		return (time.Duration(v) * time.Millisecond).Round(time.Second).String()
	}
}

// bytesText writes a number of bytes for a person, in decimal units.
func bytesText(n uint64) string {
	switch {
	case n < 10_000:
		return strconv.FormatUint(n, 10) + " B"
	case n < 1_000_000:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	case n < 1_000_000_000:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%.1f GB", float64(n)/1e9)
}
