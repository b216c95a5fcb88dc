package pipeline

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	_ "github.com/apache/beam/sdks/v2/go/pkg/beam/io/filesystem/memfs"

	"goproxytrace/fleet/ingest"
	"goproxytrace/fleet/storage"
)

// TestObjectStore reads from and writes to one of Beam's file systems that is no
// local disk.
func TestObjectStore(t *testing.T) {
	ctx := context.Background()
	key := putKey(t)
	for _, path := range pcaps(t)[:8] {
		if err := storage.Write(ctx, "memfs://captures/2026/"+filepath.Base(path), content(t, path)); err != nil {
			t.Fatal(err)
		}
	}
	paths, err := storage.List(ctx, "memfs://captures/**/*.pcapng")
	if err != nil || len(paths) != 8 {
		t.Fatalf("%q, %v", paths, err)
	}
	const out = "memfs://results/one"
	r := Request{Paths: append(paths, "memfs://captures/none.pcapng"), Out: out, KeyPath: key, Ingest: ingest.Options{Version: "v1"}}
	s := ran(t, r, Runners{})
	if s.Files.OK != 8 || s.Files.Unreadable != 1 || s.Rows["verdicts"] == 0 {
		t.Errorf("%+v, %v", s.Files, s.Rows)
	}
	local := analyzed(t, Request{Paths: pcaps(t)[:8], KeyPath: key})
	if s.Rows["connections"] != local.Rows["connections"] || s.Rows["evidence"] != local.Rows["evidence"] || s.Cases != local.Cases {
		t.Errorf("rows %v, those of local files %v", s.Rows, local.Rows)
	}
	if err := Clean(ctx, out); err != nil {
		t.Fatal(err)
	}
	left, err := storage.List(ctx, out+"/**")
	if err != nil {
		t.Fatal(err)
	}
	parts := 0
	for _, name := range left {
		if strings.Contains(name, "/"+runDir+"/") {
			t.Errorf("%s is left", name)
		}
		if strings.HasSuffix(name, ".parquet") {
			parts++
		}
	}
	if parts < 20 {
		t.Errorf("%d parts in %q", parts, left)
	}
	if _, err := Prepare(ctx, r); err == nil {
		t.Error("results are written over")
	}
	r.Overwrite = true
	if again := ran(t, r, Runners{}); again.Rows["verdicts"] != s.Rows["verdicts"] {
		t.Errorf("rows %v, were %v", again.Rows, s.Rows)
	}
}
