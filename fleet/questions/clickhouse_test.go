package questions

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"goproxytrace/internal/corpus"
)

const clickhouseDir = "testdata/clickhouse"

// clickhouse returns ClickHouse's answers, nil where it is not installed.
func clickhouse(t *testing.T, dir string, g guide) []answer {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		corpus.Skip(t, "node is not installed: ClickHouse is not asked")
	}
	if _, err := os.Stat(filepath.Join(clickhouseDir, "node_modules", "chdb")); err != nil {
		corpus.Skip(t, "ClickHouse is not installed (npm install in fleet/questions/"+clickhouseDir+"): it is not asked")
	}
	script, err := filepath.Abs(filepath.Join(clickhouseDir, "ask.mjs"))
	if err != nil {
		t.Fatal(err)
	}
	order := struct {
		Begin     []string `json:"begin"`
		Questions []string `json:"questions"`
	}{Begin: statements(g.begin.clickhouse)}
	for _, q := range g.questions {
		order.Questions = append(order.Questions, statements(q.sql.clickhouse)...)
	}
	in, err := json.Marshal(order)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, node, script)
	cmd.Dir, cmd.Stdin = dir, bytes.NewReader(in)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%.3000s", err, stderr.String())
	}
	var said struct {
		Version string
		Answers []struct {
			Error string
			Meta  []struct{ Name string }
			Data  [][]any
		}
	}
	if err := json.Unmarshal(stdout.Bytes(), &said); err != nil {
		t.Fatalf("%v in %.500s", err, stdout.String())
	}
	if len(said.Answers) != len(g.questions) {
		t.Fatalf("%d answers to %d questions", len(said.Answers), len(g.questions))
	}
	t.Logf("ClickHouse %s", said.Version)
	var out []answer
	for i, s := range said.Answers {
		if s.Error != "" {
			t.Errorf("%s: ClickHouse: %s", g.questions[i].title, s.Error)
		}
		var a answer
		for _, m := range s.Meta {
			a.columns = append(a.columns, m.Name)
		}
		for _, row := range s.Data {
			var r []string
			for _, v := range row {
				r = append(r, below(dir, plain(v)))
			}
			a.rows = append(a.rows, r)
		}
		out = append(out, a)
	}
	return out
}
