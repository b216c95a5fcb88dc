package push

import (
	"context"
	"io"

	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"goproxytrace/fleet/otlp"
)

// Preview is a client that writes each request as a line of OTLP in JSON, as
// collectors read it from files, and has an answer for none.
type Preview struct{ W io.Writer }

// Traces writes a request.
func (p Preview) Traces(_ context.Context, td ptrace.Traces) (otlp.Rejection, error) {
	b, err := (&ptrace.JSONMarshaler{}).MarshalTraces(td)
	return otlp.Rejection{}, p.line(b, err)
}

// Metrics writes a request.
func (p Preview) Metrics(_ context.Context, md pmetric.Metrics) (otlp.Rejection, error) {
	b, err := (&pmetric.JSONMarshaler{}).MarshalMetrics(md)
	return otlp.Rejection{}, p.line(b, err)
}

// Close does nothing.
func (p Preview) Close() error { return nil }

func (p Preview) line(b []byte, err error) error {
	if err != nil {
		return err
	}
	_, err = p.W.Write(append(b, '\n'))
	return err
}
