package pipeline

import (
	"context"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/core/runtime/graphx"
	jobpb "github.com/apache/beam/sdks/v2/go/pkg/beam/model/jobmanagement_v1"
	pipepb "github.com/apache/beam/sdks/v2/go/pkg/beam/model/pipeline_v1"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/options/jobopts"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/runners/universal/runnerlib"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/util/grpcx"
	"google.golang.org/protobuf/proto"
)

// submit runs a pipeline on a job server that starts one worker for each
// environment of a pipeline, as Prism does: the branches are dealt to as many
// environments as there are worker pools.
func submit(ctx context.Context, p *beam.Pipeline, endpoint string, pools []string) error {
	edges, _, err := p.Build()
	if err != nil {
		return err
	}
	environment, err := graphx.CreateEnvironment(ctx, graphx.URNEnvExternal, func(context.Context) string { return pools[0] })
	if err != nil {
		return err
	}
	job, err := graphx.Marshal(edges, &graphx.Options{Environment: environment})
	if err != nil {
		return err
	}
	if err := deal(ctx, job, pools); err != nil {
		return err
	}
	// A worker pool is a program that has the DoFns already: none is sent.
	if err := runnerlib.UpdateGoEnvironmentWorker(os.DevNull, job); err != nil {
		return err
	}
	conn, err := grpcx.Dial(ctx, endpoint, 20*time.Second)
	if err != nil {
		return fmt.Errorf("job server %s: %w", endpoint, err)
	}
	defer conn.Close()
	client := jobpb.NewJobServiceClient(conn)
	prepared, artifacts, session, err := runnerlib.Prepare(ctx, client, job, &runnerlib.JobOptions{Name: jobopts.GetJobName(), Experiments: jobopts.GetExperiments()})
	if err != nil {
		return err
	}
	token, err := runnerlib.Stage(ctx, prepared, artifacts, os.DevNull, session)
	if err != nil {
		return err
	}
	id, err := runnerlib.Submit(ctx, client, prepared, token)
	if err != nil {
		return err
	}
	err = runnerlib.WaitForCompletion(ctx, client, id)
	if ctx.Err() != nil {
		// The job would go on without whoever asked for it.
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		_, _ = client.Cancel(last, &jobpb.CancelJobRequest{JobId: id})
		return ctx.Err()
	}
	return err
}

var laneOf = regexp.MustCompile(`-lane-(\d+)/`)

// deal gives each branch of a pipeline the environment of one worker pool.
func deal(ctx context.Context, job *pipepb.Pipeline, pools []string) error {
	c := job.GetComponents()
	names := slices.Collect(maps.Keys(c.GetEnvironments()))
	if len(names) != 1 {
		return fmt.Errorf("the pipeline has %d environments, want one", len(names))
	}
	ids := []string{names[0]}
	for i, pool := range pools[1:] {
		e, err := graphx.CreateEnvironment(ctx, graphx.URNEnvExternal, func(context.Context) string { return pool })
		if err != nil {
			return err
		}
		same := proto.Clone(c.Environments[names[0]]).(*pipepb.Environment)
		same.Payload, same.Dependencies = e.Payload, nil
		id := fmt.Sprintf("%s-%d", names[0], i+1)
		c.Environments[id] = same
		ids = append(ids, id)
	}
	for _, t := range c.GetTransforms() {
		if m := laneOf.FindStringSubmatch(t.GetUniqueName()); m != nil && t.GetEnvironmentId() != "" {
			n, err := strconv.Atoi(m[1])
			if err != nil {
				return err
			}
			t.EnvironmentId = ids[n%len(ids)]
		}
	}
	return nil
}
