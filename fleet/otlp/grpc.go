package otlp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/metadata"
)

type grpcClient struct {
	s               *Settings
	traces, metrics *grpc.ClientConn
}

func newGRPCClient(s *Settings) (Client, error) {
	traces, err := dial(&s.Traces, s.UserAgent)
	if err != nil {
		return nil, err
	}
	metrics, err := dial(&s.Metrics, s.UserAgent)
	if err != nil {
		traces.Close()
		return nil, err
	}
	return &grpcClient{s, traces, metrics}, nil
}

func dial(e *Endpoint, agent string) (*grpc.ClientConn, error) {
	secured := insecure.NewCredentials()
	if e.URL.Scheme == "https" {
		c := e.TLS
		if c == nil {
			c = &tls.Config{MinVersion: tls.VersionTLS12}
		}
		secured = credentials.NewTLS(c.Clone())
	}
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(secured), grpc.WithUserAgent(agent), grpc.WithDisableServiceConfig(),
		// Who sends again waits as the protocol has it (Sender); gRPC's own
		// waits would come on top.
		grpc.WithDisableRetry(),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1, MaxDelay: 100 * time.Millisecond}, MinConnectTimeout: e.Timeout}),
	}
	if e.Gzip {
		options = append(options, grpc.WithDefaultCallOptions(grpc.UseCompressor(gzip.Name)))
	}
	target := e.URL.Host
	if e.URL.Scheme == "unix" {
		target = e.URL.String()
	}
	conn, err := grpc.NewClient(target, options...)
	if err != nil {
		return nil, fmt.Errorf("endpoint %s: %w", e.Name(), err)
	}
	return conn, nil
}

func (c *grpcClient) Close() error { return errors.Join(c.traces.Close(), c.metrics.Close()) }

func (c *grpcClient) Traces(ctx context.Context, td ptrace.Traces) (r Rejection, err error) {
	err = call(ctx, &c.s.Traces, c.traces, func(ctx context.Context) error {
		answer, err := ptraceotlp.NewGRPCClient(c.traces).Export(ctx, ptraceotlp.NewExportRequestFromTraces(td))
		if err == nil {
			p := answer.PartialSuccess()
			r = Rejection{p.RejectedSpans(), said(p.ErrorMessage(), c.s.Traces.secrets())}
		}
		return err
	})
	return r, err
}

func (c *grpcClient) Metrics(ctx context.Context, md pmetric.Metrics) (r Rejection, err error) {
	err = call(ctx, &c.s.Metrics, c.metrics, func(ctx context.Context) error {
		answer, err := pmetricotlp.NewGRPCClient(c.metrics).Export(ctx, pmetricotlp.NewExportRequestFromMetrics(md))
		if err == nil {
			p := answer.PartialSuccess()
			r = Rejection{p.RejectedDataPoints(), said(p.ErrorMessage(), c.s.Metrics.secrets())}
		}
		return err
	})
	return r, err
}

func call(ctx context.Context, e *Endpoint, conn *grpc.ClientConn, export func(context.Context) error) error {
	timed, cancel := context.WithTimeout(ctx, e.Timeout)
	defer cancel()
	for name, value := range e.Headers {
		timed = metadata.AppendToOutgoingContext(timed, name, value)
	}
	conn.ResetConnectBackoff()
	err := export(timed)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return grpcFailure(err, e.secrets())
}
