package screen

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"goproxytrace/internal/terminal"
)

// Row is one connection as the table shows it.
type Row struct {
	Process, Host, Stage string
	// Bytes are payload in both directions.
	Bytes uint64
	// Quiet is the time since the last payload.
	Quiet time.Duration
	Flags string
}

// Sizes from which on there is a table.
const (
	TableColumns = 80
	TableRows    = 10
)

// Table lays out rows for a width in cells and at most height lines, the
// heading included. Process and host share what the other columns leave.
func Table(rows []Row, columns, height int) []string {
	if len(rows) == 0 || height < 2 {
		return nil
	}
	const stage, size, quiet, flags = 9, 8, 6, 16
	room := columns - 1 - stage - size - quiet - flags - 5*2
	process := min(max(room*2/5, 10), 28)
	host := max(room-process, 10)
	line := func(p, h, st, by, q, f string) string {
		return strings.TrimRight(pad(p, process)+"  "+pad(h, host)+"  "+pad(st, stage)+"  "+left(by, size)+"  "+left(q, quiet)+"  "+terminal.Shorten(f, flags), " ")
	}
	out := []string{line("process", "host", "stage", "bytes", "quiet", "flags")}
	for i, r := range rows {
		if len(out) == height-1 && len(rows)-i > 1 {
			return append(out, fmt.Sprintf("and %d more", len(rows)-i))
		}
		out = append(out, line(terminal.Clean(r.Process), terminal.Clean(r.Host), r.Stage, Bytes(r.Bytes), seconds(r.Quiet), r.Flags))
	}
	return out
}

func pad(s string, n int) string {
	s = terminal.Shorten(s, n)
	return s + strings.Repeat(" ", max(n-terminal.Width(s), 0))
}

func left(s string, n int) string {
	s = terminal.Shorten(s, n)
	return strings.Repeat(" ", max(n-terminal.Width(s), 0)) + s
}

func seconds(d time.Duration) string {
	if d < 10*time.Second {
		return fmt.Sprintf("%.1f s", max(d, 0).Seconds())
	}
	return fmt.Sprintf("%.0f s", d.Seconds())
}

// Bytes writes a number of bytes with at most three digits, rounded down.
func Bytes(n uint64) string {
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	unit, names := uint64(1000), []string{"kB", "MB", "GB", "TB", "PB", "EB"}
	for n >= 1000*unit && len(names) > 1 {
		unit, names = unit*1000, names[1:]
	}
	// In hundredths, of which as many digits are shown as there is room for.
	switch h := n / (unit / 100); {
	case h >= 100_00:
		return fmt.Sprintf("%d %s", h/100, names[0])
	case h >= 10_00:
		return trimmed(h/10, 10) + " " + names[0]
	default:
		return trimmed(h, 100) + " " + names[0]
	}
}

// trimmed writes n/of without zeros at its end.
func trimmed(n, of uint64) string {
	s := fmt.Sprintf("%d.%0*d", n/of, len(strconv.FormatUint(of, 10))-1, n%of)
	return strings.TrimRight(strings.TrimRight(s, "0"), ".")
}
