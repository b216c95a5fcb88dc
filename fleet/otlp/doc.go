// Package otlp sends traces and metrics by the OpenTelemetry protocol and says
// what became of each request.
//
// In come the settings (Load: flags and the OTEL_EXPORTER_OTLP_* variables) and
// requests; out comes for each whether the endpoint has it, has a part of it,
// may be asked again and when, or will never take it. The clients of the SDK
// send by the same protocol and keep that to themselves: who counts what was
// acknowledged has to know it.
//
// Specifications: OpenTelemetry Protocol (OTLP) 1.x and OpenTelemetry Protocol
// Exporter, both of https://opentelemetry.io/docs/specs/.
package otlp

import (
	"context"
	"fmt"

	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// Client sends requests to an endpoint. It must not be used from several
// goroutines at once.
type Client interface {
	// Traces and Metrics send one request, once. The error is a *Failure, or
	// ctx's own; without one the endpoint has taken what the Rejection does
	// not name.
	Traces(ctx context.Context, td ptrace.Traces) (Rejection, error)
	Metrics(ctx context.Context, md pmetric.Metrics) (Rejection, error)
	Close() error
}

// Rejection is what an endpoint said of a request that it took (partial
// success). The zero value is that it took all of it and said nothing.
type Rejection struct {
	// Items is how many spans or data points it did not take. They are not to
	// be sent again.
	Items int64
	// Message is the reason, or where Items is zero a warning.
	Message string
}

func (r Rejection) String() string {
	switch {
	case r.Items == 0:
		return r.Message
	case r.Message == "":
		return fmt.Sprintf("%d rejected without a reason", r.Items)
	}
	return fmt.Sprintf("%d rejected: %s", r.Items, r.Message)
}

// NewClient returns the client for the protocol of the settings. It connects
// with the first request.
func NewClient(s *Settings) (Client, error) {
	if s.Protocol == GRPC {
		return newGRPCClient(s)
	}
	return newHTTPClient(s), nil
}
