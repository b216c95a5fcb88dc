package questions

import (
	"bytes"
	"flag"
	"os"
	"regexp"
	"strings"
	"testing"
)

// Beam has a flag update.
var rewrite = flag.Bool("rewrite", false, "rewrite the answers in docs/fleet.md")

const documentPath = "../../docs/fleet.md"

// guide is docs/fleet.md: what is run first, and the questions.
type guide struct {
	text      string
	begin     dialects
	questions []question
}

// dialects is SQL for each of the databases.
type dialects struct{ duckdb, clickhouse string }

type question struct {
	title  string
	sql    dialects
	answer string
	// from and to are where the answer stands in the text.
	from, to int
}

var (
	heading = regexp.MustCompile(`(?m)^## (.*)$`)
	block   = regexp.MustCompile("(?ms)^```([a-z]*)\n(.*?)^```$")
)

// document reads the guide. A section with SQL is the preparation where it has
// no answer, else a question: what stands under "DuckDB" is for that, what
// stands under "ClickHouse" for the other.
func document(t *testing.T) (g guide) {
	t.Helper()
	raw, err := os.ReadFile(documentPath)
	if err != nil {
		t.Fatal(err)
	}
	g.text = string(bytes.ReplaceAll(raw, []byte("\r\n"), []byte("\n")))
	sections := heading.FindAllStringSubmatchIndex(g.text, -1)
	for i, s := range sections {
		end := len(g.text)
		if i+1 < len(sections) {
			end = sections[i+1][0]
		}
		q := question{title: g.text[s[2]:s[3]]}
		for _, b := range block.FindAllStringSubmatchIndex(g.text[s[1]:end], -1) {
			body := g.text[s[1]+b[4] : s[1]+b[5]]
			before := strings.TrimSpace(g.text[s[1] : s[1]+b[0]])
			switch g.text[s[1]+b[2] : s[1]+b[3]] {
			case "sql":
				named := false
				if strings.HasSuffix(before, "DuckDB:") || strings.HasSuffix(before, "DuckDB and ClickHouse:") {
					q.sql.duckdb += body
					named = true
				}
				if strings.HasSuffix(before, "ClickHouse:") {
					q.sql.clickhouse += body
					named = true
				}
				if !named {
					t.Errorf("%s: nothing says which database SQL is for", q.title)
				}
			case "text":
				q.answer, q.from, q.to = body, s[1]+b[4], s[1]+b[5]
			}
		}
		switch {
		case q.sql == dialects{}:
		case q.sql.duckdb == "" || q.sql.clickhouse == "":
			t.Errorf("%s: SQL for one database alone", q.title)
		case q.to == 0:
			g.begin.duckdb += q.sql.duckdb
			g.begin.clickhouse += q.sql.clickhouse
		default:
			g.questions = append(g.questions, q)
		}
	}
	if len(g.questions) < 10 || g.begin.duckdb == "" {
		t.Fatalf("%d questions in %s", len(g.questions), documentPath)
	}
	return g
}

// statements takes SQL apart at the semicolons that end lines.
func statements(sql string) (out []string) {
	for s := range strings.SplitSeq(sql, ";\n") {
		if s = strings.TrimSpace(s); s != "" {
			out = append(out, s)
		}
	}
	return out
}
