package farm

import (
	"context"
	"path/filepath"

	"goproxytrace/fleet/ingest"
	"goproxytrace/fleet/pipeline"
	"goproxytrace/fleet/storage"
)

// Analyze runs the pipeline on the farm's files. Names stay as they are, unless key
// is the path of a key for pseudonyms. Programs that call it have called
// beam.Init.
func Analyze(ctx context.Context, captures, out, key string) error {
	paths, err := storage.List(ctx, filepath.Join(captures, "**"))
	if err != nil {
		return err
	}
	p, err := pipeline.Prepare(ctx, pipeline.Request{
		Paths: paths, Out: out, KeyPath: key, Ingest: ingest.Options{Version: "v0.0.0", Whole: key == "", MachineFrom: MachineFrom},
	})
	if err != nil {
		return err
	}
	if err := p.Run(ctx, pipeline.Runners{}); err != nil {
		return err
	}
	return pipeline.Clean(ctx, out)
}
