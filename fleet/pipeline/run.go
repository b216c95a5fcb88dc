package pipeline

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"strings"
	"time"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
	// The runners that --runner may name, the form in which DoFns run fast, and
	// the start of a program as a worker.
	_ "github.com/apache/beam/sdks/v2/go/pkg/beam/core/runtime/exec/optimized"
	_ "github.com/apache/beam/sdks/v2/go/pkg/beam/runners/dataflow"
	_ "github.com/apache/beam/sdks/v2/go/pkg/beam/runners/flink"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/runners/prism"
	_ "github.com/apache/beam/sdks/v2/go/pkg/beam/runners/spark"
	_ "github.com/apache/beam/sdks/v2/go/pkg/beam/runners/universal"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/runners/universal/extworker"

	"goproxytrace/fleet/storage"
)

// Prism is the runner that runs inside this program, or as a job server beside it.
const Prism = "prism"

const (
	// fruitless is how many tries without a shard done or a file set aside end a
	// run, patient how many where there is still somebody to suspect: it takes
	// three deaths to set a file aside, and others may come between.
	fruitless = 3
	patient   = 6
	// mostAside is how many files one run sets aside: where more would have to be,
	// it is not files that kill workers.
	mostAside = 50
)

// Runners says where a pipeline runs.
type Runners struct {
	// Runner is a name that Beam knows; Prism unless it is given.
	Runner string
	// Endpoint returns the job server for Prism with workers of its own; nil for
	// Prism inside this program. Workers returns the worker pools that answer.
	// Both are asked before each try.
	Endpoint func(context.Context) (string, error)
	Workers  func(context.Context) ([]string, error)
	// AtOnce is how many shards one process works on side by side; zero for as
	// many as it has processors.
	AtOnce int
	// Tell is told what a person should know meanwhile; nil for nobody.
	Tell func(string)
}

// Run runs the pipeline of a plan to its end. With Prism, a try that fails is
// followed by another, which goes on where it stopped, as long as tries have
// results, or find out which file kills workers; other runners try again by
// themselves.
func (p *Plan) Run(ctx context.Context, r Runners) error {
	atOnce := r.AtOnce
	if atOnce <= 0 {
		atOnce = runtime.GOMAXPROCS(0)
	}
	tell := r.Tell
	if tell == nil {
		tell = func(string) {}
	}
	// What this process has begun and not ended, it has not died of.
	defer withdraw(p.Out)
	have, failures, before := progress{Done: -1}, 0, 0
	for {
		err := p.try(ctx, r, atOnce)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err == nil {
			// A job that was cancelled ends without an error, too.
			there, failed := storage.Exists(ctx, storage.Join(p.Out, successFile))
			if there {
				return nil
			}
			if err = failed; err == nil {
				err = errors.New("the job ended without results")
			}
		}
		if r.Runner != "" && r.Runner != Prism {
			return err
		}
		now, failed := p.progress(ctx)
		if failed != nil {
			return errors.Join(err, failed)
		}
		switch failures++; {
		case have.Done < 0:
			failures, before = 0, now.Aside
		case now.Done > have.Done || now.Aside > have.Aside:
			failures = 0
		}
		have = now
		if now.Aside-before >= mostAside {
			return fmt.Errorf("%d files were set aside because workers died while they analysed them, which are too many to be the files' fault: %w", now.Aside-before, jobError{err})
		}
		if failures >= patient || failures >= fruitless && now.Suspects == 0 {
			return fmt.Errorf("%d tries in a row came no further: %w", failures, jobError{err})
		}
		tell(fmt.Sprintf("the job failed, with %d of about %d shards done: %s; going on with the rest", now.Done, p.Shards, brief(err)))
		if err := pause(ctx, time.Duration(failures)*time.Second+100*time.Millisecond); err != nil {
			return err
		}
	}
}

// try runs the pipeline once.
func (p *Plan) try(ctx context.Context, r Runners, atOnce int) error {
	if r.Runner != "" && r.Runner != Prism {
		_, err := beam.Run(ctx, r.Runner, Build(p, Lanes{Branches: 1, AtOnce: atOnce}))
		return err
	}
	if r.Endpoint == nil {
		endpoint, err := InsidePrism(ctx)
		if err != nil {
			return err
		}
		own, err := extworker.StartLoopback(ctx, 0)
		if err != nil {
			return err
		}
		defer own.Stop(context.WithoutCancel(ctx))
		return submit(ctx, Build(p, Lanes{Branches: atOnce, AtOnce: atOnce}), endpoint, []string{own.EnvironmentConfig(ctx)})
	}
	endpoint, err := r.Endpoint(ctx)
	if err != nil {
		return err
	}
	workers, err := r.Workers(ctx)
	if err != nil {
		return err
	}
	if len(workers) == 0 {
		return errors.New("no worker answers")
	}
	return submit(ctx, Build(p, Lanes{Branches: len(workers) * atOnce, AtOnce: atOnce}), endpoint, workers)
}

// InsidePrism starts Prism's job server in this process and returns where it
// answers.
func InsidePrism(ctx context.Context) (string, error) {
	var err error
	for range 5 {
		var port int
		if port, err = freePort(); err != nil {
			return "", err
		}
		if err = ServePrism(ctx, port); err == nil {
			return fmt.Sprintf("localhost:%d", port), nil
		}
	}
	return "", err
}

// ServePrism starts Prism's job server at a port. It speaks to nobody but this
// machine's same user (see onlyLocal).
func ServePrism(ctx context.Context, port int) (err error) {
	if err := onlyLocal(); err != nil {
		return err
	}
	defer func() {
		// It does not return that the port is taken.
		if p := recover(); p != nil {
			err = fmt.Errorf("prism: %v", p)
		}
	}()
	_, err = prism.CreateJobServer(ctx, prism.Options{Port: port})
	return err
}

// freePort returns a port that nobody listens at; Prism does not tell which it has
// chosen itself.
func freePort() (int, error) {
	l, err := net.Listen("tcp", ":0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// jobError is a runner's error, said in brief.
type jobError struct{ error }

func (e jobError) Error() string { return brief(e.error) }

func (e jobError) Unwrap() error { return e.error }

// brief returns what an error of a runner is about, without what it was made of:
// plans, stacks, and the words of all that was under way.
func brief(err error) string {
	text := err.Error()
	if i := strings.LastIndex(text, causedBy); i >= 0 {
		text = text[i+len(causedBy):]
	}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "job ") && !strings.HasPrefix(line, "DoFn[") {
			text = line
			break
		}
	}
	const most = 300
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}

// causedBy stands in Beam's errors before each that is the reason of another.
const causedBy = "caused by:\n"
