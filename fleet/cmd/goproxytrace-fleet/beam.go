package main

import (
	"cmp"
	"flag"
	"io"
	"log/slog"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
	beamlog "github.com/apache/beam/sdks/v2/go/pkg/beam/log"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/options/jobopts"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/runners"
	"github.com/spf13/cobra"

	"goproxytrace/fleet/pipeline"
)

// isWorker reports whether a runner's container started the program, which is done
// with Beam's own command line: --worker=true --id=… --control_endpoint=….
func isWorker(args []string) bool {
	return slices.ContainsFunc(args, func(a string) bool {
		name, value, given := strings.Cut(strings.TrimLeft(a, "-"), "=")
		return strings.HasPrefix(a, "-") && name == "worker" && (!given || value == "true" || value == "1")
	})
}

// serveRunner works for a runner. It does not return.
func serveRunner() {
	flag.Parse()
	beam.Init()
}

var initBeam sync.Once

// beginBeam readies Beam once its flags are set. Its log says what happens to
// bundles and is for whoever asks for it.
func beginBeam(verbose bool, errs io.Writer) {
	initBeam.Do(func() {
		beamlog.LogLevel = "error"
		beam.Init()
	})
	level := slog.LevelError + 4
	if verbose {
		level = slog.LevelInfo
	}
	slog.SetDefault(slog.New(slog.NewTextHandler(errs, &slog.HandlerOptions{Level: level})))
}

// shown are those of Beam's flags that the help lists.
var shown = []string{"endpoint", "environment_config", "environment_type", "job_name", "parallelism", "project", "region", "staging_location", "temp_location", "worker_binary"}

// reserved are those that belong to the command line of workers.
var reserved = []string{"worker", "id", "logging_endpoint", "control_endpoint", "semi_persist_dir", "options"}

// addBeamFlags adds Beam's own flags.
func addBeamFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	flag.VisitAll(func(b *flag.Flag) {
		if f.Lookup(b.Name) != nil || slices.Contains(reserved, b.Name) || strings.HasPrefix(b.Name, "test.") {
			return
		}
		_, usage := flag.UnquoteUsage(b)
		v := f.VarPF(&beamFlag{b}, b.Name, "", "Beam: "+strings.ToLower(usage[:min(1, len(usage))])+usage[min(1, len(usage)):])
		if boolean, ok := b.Value.(interface{ IsBoolFlag() bool }); ok && boolean.IsBoolFlag() {
			v.NoOptDefVal = "true"
		}
		v.Hidden = !slices.Contains(shown, b.Name)
	})
}

// beamFlag sets a flag by Beam's own way, which then knows that it was given and
// hands it to the runner.
type beamFlag struct{ f *flag.Flag }

func (b *beamFlag) String() string {
	if b.f == nil {
		return ""
	}
	return b.f.Value.String()
}

func (b *beamFlag) Set(s string) error { return flag.Set(b.f.Name, s) }

func (b *beamFlag) Type() string {
	if boolean, ok := b.f.Value.(interface{ IsBoolFlag() bool }); ok && boolean.IsBoolFlag() {
		return "bool"
	}
	return "string"
}

// runnerNames are what --runner takes.
var runnerNames = []string{pipeline.Prism, "flink", "spark", "dataflow", "portable"}

// runnerName is the runner that --runner names.
func runnerName() string { return cmp.Or(*runners.Runner, pipeline.Prism) }

// setWorkerBinary has runners other than Prism start this program on their
// workers, which run Linux; Beam's own way is to compile it anew.
func setWorkerBinary() error {
	if runnerName() == pipeline.Prism || *jobopts.WorkerBinary != "" || jobopts.IsLoopback() {
		return nil
	}
	if runtime.GOOS != "linux" {
		return withHint(usagef("the workers of %s run Linux, and this program is one for %s", runnerName(), runtime.GOOS),
			"--worker_binary names this program built for them: CGO_ENABLED=0 GOOS=linux GOARCH=amd64 go build ./cmd/goproxytrace-fleet")
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	return flag.Set("worker_binary", self)
}
