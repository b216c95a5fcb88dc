package report

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/olekukonko/tablewriter"
	"github.com/olekukonko/tablewriter/renderer"
	"github.com/olekukonko/tablewriter/tw"

	"goproxytrace/internal/terminal"
	"goproxytrace/report/messages"
)

// tableColumn is one column of the connection table.
type tableColumn struct {
	// title is a label.
	title string
	// drop says which column goes first where the width does not suffice:
	// the highest; zero never goes.
	drop int
	// least is the width in cells that the column may be shortened to;
	// zero where a shortened value would be a wrong one.
	least int
	right bool
	text  func(*Connection) string
}

var tableColumns = []tableColumn{
	{title: "column.frame", drop: 3, right: true, text: func(c *Connection) string { return strconv.FormatInt(c.FirstFrame, 10) }},
	{title: "column.server", least: 12, text: serverText},
	{title: "column.address", drop: 5, least: 15, text: addressText},
	{title: "column.process", drop: 7, least: 8, text: processText},
	{title: "column.connect", drop: 8, right: true, text: func(c *Connection) string { return millis(c.Stages.Connect) }},
	{title: "column.tls", drop: 9, right: true, text: func(c *Connection) string { return millis(c.Stages.TLS) }},
	{title: "column.first-byte", drop: 11, right: true, text: func(c *Connection) string { return millis(c.Stages.FirstByte) }},
	{title: "column.lasted", drop: 4, right: true, text: func(c *Connection) string { return millis(&c.Duration) }},
	{title: "column.sent", drop: 6, right: true, text: func(c *Connection) string { return bytesText(c.Bytes.FromClient) }},
	{title: "column.received", drop: 2, right: true, text: func(c *Connection) string { return bytesText(c.Bytes.FromServer) }},
	{title: "column.resent", drop: 10, right: true, text: func(c *Connection) string {
		return strconv.FormatUint(uint64(c.TCP.Retransmissions-c.TCP.CopiedRetransmissions), 10)
	}},
	{title: "column.verdict", least: 14, text: func(c *Connection) string { return c.Verdict.Class }},
}

func serverText(c *Connection) string {
	if c.ServerName != "" {
		return c.ServerName
	}
	return c.Server
}

// addressText is empty where the server column shows the address already.
func addressText(c *Connection) string {
	if c.ServerName == "" {
		return ""
	}
	return c.Server
}

func processText(c *Connection) string {
	p := c.Process
	switch {
	case p == nil:
		return ""
	case p.Name == "":
		return strconv.FormatUint(uint64(p.PID), 10)
	}
	return fmt.Sprintf("%s[%d]", p.Name, p.PID)
}

// tableGap is the number of cells between two columns.
const tableGap = 2

// writeTable prints connections in at most o.Columns cells where the columns
// that never go allow it.
func writeTable(w io.Writer, rows []*Connection, l messages.Language, o terminal.Output) error {
	cells, widths, columns := layout(rows, l, o)
	gap := tw.Padding{Right: strings.Repeat(" ", tableGap), Overwrite: true}
	pad := make([]tw.Padding, len(columns))
	align := make([]tw.Align, len(columns))
	perColumn := tw.NewMapper[int, int]()
	header := make([]string, len(columns))
	for i, c := range columns {
		pad[i], align[i], header[i] = gap, tw.AlignLeft, o.Paint(terminal.Dim, o.Text(l.Label(c.title)))
		if c.right {
			align[i] = tw.AlignRight
		}
		if i == len(columns)-1 {
			pad[i] = tw.Padding{Overwrite: true}
		}
		perColumn.Set(i, widths[i]+terminal.Width(pad[i].Right))
	}
	cellConfig := tw.CellConfig{
		Formatting: tw.CellFormatting{AutoFormat: tw.Off, AutoWrap: tw.WrapNone},
		Alignment:  tw.CellAlignment{PerColumn: align},
		Padding:    tw.CellPadding{PerColumn: pad},
	}
	t := tablewriter.NewTable(w,
		tablewriter.WithRenderer(renderer.NewBlueprint(tw.Rendition{
			Borders:  tw.BorderNone,
			Symbols:  tw.NewSymbols(tw.StyleNone),
			Settings: tw.Settings{Lines: tw.LinesNone, Separators: tw.SeparatorsNone},
		})),
		tablewriter.WithConfig(tablewriter.Config{
			Header:   cellConfig,
			Row:      cellConfig,
			Widths:   tw.CellWidth{PerColumn: perColumn},
			Behavior: tw.Behavior{TrimSpace: tw.Off},
		}),
	)
	t.Header(header)
	for i, line := range cells {
		if v := &rows[i].Verdict; v.Died {
			line[len(line)-1] = o.Paint(terminal.Red, line[len(line)-1])
		}
		if err := t.Append(line); err != nil {
			return err
		}
	}
	return t.Render()
}

// layout chooses columns and widths, and cleans and shortens the cells.
func layout(rows []*Connection, l messages.Language, o terminal.Output) (cells [][]string, widths []int, columns []tableColumn) {
	all := make([][]string, len(tableColumns))
	for _, c := range tableColumns {
		used := false
		column := make([]string, len(rows))
		width := terminal.Width(o.Text(l.Label(c.title)))
		for k, r := range rows {
			s := o.Text(c.text(r))
			used = used || s != "" && s != "-"
			column[k] = s
			width = max(width, terminal.Width(s))
		}
		if !used && c.drop > 0 {
			continue
		}
		all[len(columns)] = column
		columns = append(columns, c)
		widths = append(widths, width)
	}
	for total(widths) > o.Columns {
		if shrink(columns, widths, total(widths)-o.Columns) {
			break
		}
		at := -1
		for i, c := range columns {
			if c.drop > 0 && (at < 0 || c.drop > columns[at].drop) {
				at = i
			}
		}
		if at < 0 {
			break
		}
		columns = append(columns[:at:at], columns[at+1:]...)
		widths = append(widths[:at:at], widths[at+1:]...)
		all = append(all[:at:at], all[at+1:]...)
	}
	if over := total(widths) - o.Columns; over > 0 {
		narrow(columns, widths, over)
	}
	cells = make([][]string, len(rows))
	for k := range rows {
		cells[k] = make([]string, len(columns))
		for i := range columns {
			cells[k][i] = terminal.Shorten(all[i][k], widths[i])
		}
	}
	return cells, widths, columns
}

func total(widths []int) int {
	n := tableGap * (len(widths) - 1)
	for _, w := range widths {
		n += w
	}
	return n
}

// comfortable is the width that a long name is cut to before a column goes.
const comfortable = 28

// shrink takes cells from over-long names; it reports whether that suffices,
// and leaves the widths as they are if not.
func shrink(columns []tableColumn, widths []int, over int) bool {
	room := 0
	for i, c := range columns {
		if c.least > 0 && c.drop == 0 {
			room += max(widths[i]-comfortable, 0)
		}
	}
	if room < over {
		return false
	}
	for i, c := range columns {
		if c.least > 0 && c.drop == 0 {
			n := min(over, max(widths[i]-comfortable, 0))
			widths[i] -= n
			over -= n
		}
	}
	return true
}

// narrow takes cells from every name down to its least width.
func narrow(columns []tableColumn, widths []int, over int) {
	for i, c := range columns {
		if c.least > 0 {
			n := min(over, max(widths[i]-c.least, 0))
			widths[i] -= n
			over -= n
		}
	}
}
