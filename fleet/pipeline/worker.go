package pipeline

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	fnpb "github.com/apache/beam/sdks/v2/go/pkg/beam/model/fnexecution_v1"
	pipepb "github.com/apache/beam/sdks/v2/go/pkg/beam/model/pipeline_v1"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/runners/universal/extworker"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/util/grpcx"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// ServeWorker makes this process a worker pool of one worker, itself, that listens
// at a port of the loopback interface (0 for any), and returns where.
//
// Prism (2.77) keeps one table for each job of the short names that workers give
// to their metrics (beam:protocol:monitoring_info_short_ids:v1), though each worker
// process numbers its own: with several, it takes the one's size of elements for
// the other's count, and gives the job up where that does not decode. Here the
// names of a process begin with its number.
func ServeWorker(ctx context.Context, port int) (string, error) {
	if err := onlyLocal(); err != nil {
		return "", err
	}
	own := names(strconv.Itoa(os.Getpid()) + "-")
	grpcx.Dial = func(ctx context.Context, endpoint string, timeout time.Duration) (*grpc.ClientConn, error) {
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		conn, err := grpc.NewClient(endpoint, grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(1<<31-1)), grpc.WithStreamInterceptor(own.stream))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", endpoint, err)
		}
		conn.Connect()
		for state := conn.GetState(); state.String() != "READY"; state = conn.GetState() {
			if !conn.WaitForStateChange(ctx, state) {
				_ = conn.Close()
				return nil, fmt.Errorf("%s: %w", endpoint, ctx.Err())
			}
		}
		return conn, nil
	}
	pool, err := extworker.StartLoopback(ctx, port)
	if err != nil {
		return "", err
	}
	return pool.EnvironmentConfig(ctx), nil
}

// names is what the names of a process's metrics begin with.
type names string

func (n names) stream(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, streamer grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	s, err := streamer(ctx, desc, cc, method, opts...)
	if err != nil || !strings.HasSuffix(method, "BeamFnControl/Control") {
		return s, err
	}
	return &control{s, n}, nil
}

// control is the stream on which a runner asks and a worker answers.
type control struct {
	grpc.ClientStream
	own names
}

func (c *control) SendMsg(m any) error {
	if r, ok := m.(*fnpb.InstructionResponse); ok {
		c.own.mark(r)
	}
	return c.ClientStream.SendMsg(m)
}

func (c *control) RecvMsg(m any) error {
	err := c.ClientStream.RecvMsg(m)
	if r, ok := m.(*fnpb.InstructionRequest); ok && err == nil {
		ids := r.GetMonitoringInfos().GetMonitoringInfoId()
		for i := range ids {
			ids[i] = strings.TrimPrefix(ids[i], string(c.own))
		}
	}
	return err
}

// mark gives the metrics of an answer their names.
func (n names) mark(r *fnpb.InstructionResponse) {
	data := func(old map[string][]byte) map[string][]byte {
		out := make(map[string][]byte, len(old))
		for id, v := range old {
			out[string(n)+id] = v
		}
		return out
	}
	if b := r.GetProcessBundle(); b != nil {
		b.MonitoringData = data(b.MonitoringData)
	}
	if p := r.GetProcessBundleProgress(); p != nil {
		p.MonitoringData = data(p.MonitoringData)
	}
	if i := r.GetMonitoringInfos(); i != nil {
		out := make(map[string]*pipepb.MonitoringInfo, len(i.MonitoringInfo))
		for id, v := range i.MonitoringInfo {
			out[string(n)+id] = v
		}
		i.MonitoringInfo = out
	}
}
