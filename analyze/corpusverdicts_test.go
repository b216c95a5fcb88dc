package analyze

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"goproxytrace/analyze/diagnose"
	"goproxytrace/capture"
	"goproxytrace/capture/pcapfile"
	"goproxytrace/internal/corpus"
)

var update = flag.Bool("update", false, "rewrite what docs/corpus-verdicts.md has from the corpus; what a person wrote stays")

// verdictRow is a row of the tables of docs/corpus-verdicts.md. Its last
// column, why the verdict is right, is a person's.
type verdictRow struct {
	file, class, place, level string
	count                     int // connections and lookups; zero in the tables of whole captures
	why                       string
}

func (r *verdictRow) key() string {
	return strings.Join([]string{r.file, r.class, r.place, r.level}, "|")
}

// row makes the row of a verdict.
func row(file string, v *diagnose.Verdict) verdictRow {
	var places []string
	for _, p := range v.Place {
		places = append(places, string(p))
	}
	return verdictRow{file: file, class: string(v.Class), place: strings.Join(places, ", "), level: string(v.Level)}
}

// verdictTable is one table of the document: the one behind its heading.
type verdictTable struct {
	heading string
	counted bool // has the column "connections and lookups"
	// explained tables must say why in each row.
	explained bool
	// takes says which verdicts belong here.
	takes func(v *diagnose.Verdict, whole bool) bool
	rows  map[string]*verdictRow
}

func known(v *diagnose.Verdict) bool {
	return v.Level == diagnose.Proven || v.Level == diagnose.Suggested
}

func verdictTables() []*verdictTable {
	return []*verdictTable{
		{heading: "## Deaths of whole captures", explained: true, takes: func(v *diagnose.Verdict, whole bool) bool { return whole && v.Died() }},
		{heading: "## Proven and strongly suggested deaths of connections and lookups", counted: true, explained: true,
			takes: func(v *diagnose.Verdict, whole bool) bool { return !whole && v.Died() && known(v) }},
		{heading: "## Consistent deaths of connections and lookups", counted: true,
			takes: func(v *diagnose.Verdict, whole bool) bool { return !whole && v.Died() && !known(v) }},
		{heading: "## Captures that cannot be judged", takes: func(v *diagnose.Verdict, whole bool) bool {
			return whole && v.Class == diagnose.CaptureUnusable
		}},
		{heading: "## Captures without such traffic", takes: func(v *diagnose.Verdict, whole bool) bool {
			return whole && v.Class == diagnose.NoTraffic
		}},
	}
}

// take counts a verdict in the table that it belongs to.
func take(tables []*verdictTable, file string, v *diagnose.Verdict, whole bool) {
	for _, t := range tables {
		if !t.takes(v, whole) {
			continue
		}
		r := row(file, v)
		if t.rows == nil {
			t.rows = make(map[string]*verdictRow)
		}
		if t.rows[r.key()] == nil {
			t.rows[r.key()] = &r
		}
		if t.counted {
			t.rows[r.key()].count++
		}
	}
}

// takeFile takes all verdicts on one capture.
func takeFile(t *testing.T, tables []*verdictTable, dir, name string) {
	t.Helper()
	src, err := pcapfile.Open(filepath.Join(dir, "captures", filepath.FromSlash(name)))
	if errors.Is(err, capture.ErrNotCapture) {
		return
	}
	if err != nil {
		t.Fatalf("opening %s: %v", name, err)
	}
	defer src.Close()
	r, err := Run(context.Background(), src, Options{})
	if err != nil {
		t.Fatalf("analysing %s: %v", name, err)
	}
	defer r.Connections.Close()
	take(tables, name, &r.Verdict, true)
	for c, err := range r.Connections.All() {
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		take(tables, name, &c.Verdict, false)
	}
	for i := range r.Lookups {
		take(tables, name, &r.Lookups[i].Verdict, false)
	}
}

func (t *verdictTable) sorted() []*verdictRow {
	return slices.SortedFunc(maps.Values(t.rows), func(a, b *verdictRow) int {
		return cmp.Or(cmp.Compare(a.file, b.file), cmp.Compare(a.key(), b.key()))
	})
}

func (t *verdictTable) text() string {
	var b strings.Builder
	if t.counted {
		b.WriteString("| file | class | place | level | how many | why |\n|---|---|---|---|---|---|\n")
	} else {
		b.WriteString("| file | class | place | level | why |\n|---|---|---|---|---|\n")
	}
	for _, r := range t.sorted() {
		fmt.Fprintf(&b, "| `%s` | `%s` | %s | %s |", r.file, r.class, r.place, r.level)
		if t.counted {
			fmt.Fprintf(&b, " %d |", r.count)
		}
		fmt.Fprintf(&b, " %s |\n", r.why)
	}
	return strings.ReplaceAll(b.String(), "  |", " |")
}

// readTable reads a table back out of the document: its rows, and where its
// lines begin and end.
func (t *verdictTable) readTable(doc string) (rows map[string]*verdictRow, start, end int, err error) {
	h := strings.Index(doc, "\n"+t.heading+"\n")
	if h < 0 {
		return nil, 0, 0, fmt.Errorf("the document lacks the heading %q", t.heading)
	}
	start = h + 1
	for !strings.HasPrefix(doc[start:], "| ") {
		n := strings.IndexByte(doc[start:], '\n')
		if n < 0 || start > h+1 && strings.HasPrefix(doc[start:], "## ") {
			return nil, 0, 0, fmt.Errorf("the document lacks the table behind %q", t.heading)
		}
		start += n + 1
	}
	end = start
	rows = make(map[string]*verdictRow)
	for i := 0; strings.HasPrefix(doc[end:], "|"); i++ {
		line, _, _ := strings.Cut(doc[end:], "\n")
		end = min(end+len(line)+1, len(doc))
		if i < 2 {
			continue
		}
		cells := strings.Split(strings.TrimSuffix(strings.TrimPrefix(line, "|"), "|"), "|")
		for j := range cells {
			cells[j] = strings.Trim(strings.TrimSpace(cells[j]), "`")
		}
		want := 5
		if t.counted {
			want = 6
		}
		if len(cells) != want {
			return nil, 0, 0, fmt.Errorf("%q: a row of %d cells, want %d: %s", t.heading, len(cells), want, line)
		}
		r := verdictRow{file: cells[0], class: cells[1], place: cells[2], level: cells[3], why: cells[want-1]}
		if t.counted {
			if _, err := fmt.Sscan(cells[4], &r.count); err != nil {
				return nil, 0, 0, fmt.Errorf("%q: count %q: %w", t.heading, cells[4], err)
			}
		}
		if rows[r.key()] != nil {
			return nil, 0, 0, fmt.Errorf("%q: twice: %s", t.heading, r.key())
		}
		rows[r.key()] = &r
	}
	return rows, start, end, nil
}

// TestCorpusVerdicts compares the verdicts on the corpus with the tables of
// docs/corpus-verdicts.md, whose reasons a person checked against the packets.
func TestCorpusVerdicts(t *testing.T) {
	dir := corpus.Dir(t)
	if os.Getenv(corpus.Env) != "" && len(corpus.Captures(t, dir)) < 200 {
		t.Skip("the corpus that " + corpus.Env + " names is a part only: its verdicts are not those of the whole")
	}
	tables := verdictTables()
	for _, name := range corpus.Captures(t, dir) {
		takeFile(t, tables, dir, name)
	}
	path := filepath.Join("..", "docs", "corpus-verdicts.md")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	doc := strings.ReplaceAll(string(text), "\r\n", "\n")
	for _, table := range tables {
		old, start, end, err := table.readTable(doc)
		if err != nil {
			t.Fatal(err)
		}
		for k, r := range table.rows {
			o := old[k]
			switch {
			case o == nil:
				if !*update {
					t.Errorf("%s: not in the document: %s (%d)", table.heading, k, r.count)
				}
				continue
			case o.count != r.count && !*update:
				t.Errorf("%s: %s: %d times, the document says %d", table.heading, k, r.count, o.count)
			}
			r.why = o.why
			if table.explained && r.why == "" {
				t.Errorf("%s: nobody wrote why it is right: %s", table.heading, k)
			}
		}
		for k := range old {
			if table.rows[k] == nil && !*update {
				t.Errorf("%s: in the document only: %s", table.heading, k)
			}
		}
		doc = doc[:start] + table.text() + doc[end:]
	}
	if *update {
		if err := os.WriteFile(path, []byte(doc), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestVerdictTable reads back what it writes.
func TestVerdictTable(t *testing.T) {
	for _, counted := range []bool{false, true} {
		table := &verdictTable{heading: "## Some", counted: counted, takes: func(*diagnose.Verdict, bool) bool { return true }}
		tables := []*verdictTable{table}
		v := diagnose.Verdict{Class: diagnose.TLSReset, Place: []diagnose.Place{diagnose.Network, diagnose.Remote}, Level: diagnose.Proven}
		take(tables, "b/one.pcap", &v, false)
		take(tables, "b/one.pcap", &v, false)
		take(tables, "a/two.pcap", &diagnose.Verdict{Class: diagnose.NoTraffic, Level: diagnose.None}, false)
		table.sorted()[1].why = "frame 3"
		doc := "# Title\n\n## Some\n\nText.\n\n" + table.text() + "\n## Other\n"
		rows, start, end, err := table.readTable(doc)
		if err != nil {
			t.Fatal(err)
		}
		if doc[start:end] != table.text() {
			t.Errorf("table found as %q", doc[start:end])
		}
		for k, want := range table.rows {
			if rows[k] == nil || *rows[k] != *want {
				t.Errorf("%s: read back as %+v, want %+v", k, rows[k], want)
			}
		}
		if len(rows) != len(table.rows) {
			t.Errorf("%d rows, want %d", len(rows), len(table.rows))
		}
		for _, broken := range []string{"# Title\n", "# Title\n\n## Some\n\n## Other\n| file |\n", strings.Replace(doc, "| `a/two.pcap` |", "| x | y | `a/two.pcap` |", 1)} {
			if _, _, _, err := table.readTable(broken); err == nil {
				t.Errorf("no error for %q", broken)
			}
		}
	}
}
