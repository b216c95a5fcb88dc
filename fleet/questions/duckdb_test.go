//go:build cgo

package questions

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	_ "github.com/duckdb/duckdb-go/v2"
	"github.com/google/go-cmp/cmp"
)

// duckdb returns DuckDB's answers.
func duckdb(t *testing.T, dir string, g guide) []answer {
	t.Helper()
	db, err := sql.Open("duckdb", "")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1) // settings are those of a connection
	begin := []string{
		"SET autoinstall_known_extensions = false", "SET autoload_known_extensions = false",
		"SET file_search_path = '" + strings.ReplaceAll(dir, "'", "''") + "'",
	}
	for _, s := range append(begin, statements(g.begin.duckdb)...) {
		if _, err := db.Exec(s); err != nil {
			t.Fatalf("%s\n%v", s, err)
		}
	}
	var out []answer
	for _, q := range g.questions {
		list := statements(q.sql.duckdb)
		if len(list) != 1 {
			t.Fatalf("%s: %d statements", q.title, len(list))
		}
		a, err := ask(db, list[0], dir)
		if err != nil {
			t.Errorf("%s: DuckDB: %v", q.title, err)
		}
		out = append(out, a)
	}
	return out
}

func ask(db *sql.DB, query, dir string) (a answer, err error) {
	found, err := db.Query(query)
	if err != nil {
		return a, err
	}
	defer found.Close()
	if a.columns, err = found.Columns(); err != nil {
		return a, err
	}
	for found.Next() {
		values := make([]any, len(a.columns))
		for i := range values {
			values[i] = &values[i]
		}
		if err := found.Scan(values...); err != nil {
			return a, err
		}
		var r []string
		for _, v := range values {
			r = append(r, below(dir, plain(v)))
		}
		a.rows = append(a.rows, r)
	}
	return a, found.Err()
}

// TestAnswers asks both databases everything. They say the same, and the document
// prints it.
func TestAnswers(t *testing.T) {
	g := document(t)
	dir := farmed(t)
	answers := duckdb(t, dir, g)
	if t.Failed() {
		return
	}
	t.Run("counted", func(t *testing.T) { checkAnswers(t, g, answers, cases(t, dir)) })
	t.Run("printed", func(t *testing.T) {
		fresh := g.text
		for i, q := range slices.Backward(g.questions) {
			fresh = fresh[:q.from] + answers[i].String() + fresh[q.to:]
			if len(answers[i].rows) == 0 {
				t.Errorf("%s: no row answers", q.title)
			}
		}
		if fresh == g.text {
			return
		}
		if *rewrite {
			if err := os.WriteFile(documentPath, []byte(fresh), 0o644); err != nil {
				t.Fatal(err)
			}
			return
		}
		t.Errorf("%s differs from what DuckDB says (go test ./questions -rewrite, in fleet, rewrites it, -want +got):\n%s",
			filepath.Base(documentPath), cmp.Diff(strings.Split(g.text, "\n"), strings.Split(fresh, "\n")))
	})
	t.Run("clickhouse", func(t *testing.T) {
		for i, a := range clickhouse(t, dir, g) {
			if d := cmp.Diff(fmt.Sprint(answers[i]), fmt.Sprint(a)); d != "" {
				t.Errorf("%s: (-DuckDB +ClickHouse)\n%s", g.questions[i].title, d)
			}
		}
	})
}
