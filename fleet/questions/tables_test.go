package questions

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"

	"goproxytrace/fleet/internal/farm"
)

const pcaps = "../../testdata/pcaps"

func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))) // Beam tells much
	beam.Init()
	os.Exit(m.Run())
}

// farmed makes the farm's files and has the pipeline make its tables. In the
// directory that it returns, captures holds the files and out the tables.
func farmed(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	captures := filepath.Join(dir, "captures")
	if err := farm.Write(pcaps, captures); err != nil {
		t.Fatal(err)
	}
	if err := farm.Analyze(t.Context(), captures, filepath.Join(dir, "out"), ""); err != nil {
		t.Fatal(err)
	}
	return dir
}
