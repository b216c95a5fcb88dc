package otlp

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"time"

	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

const (
	typeProtobuf = "application/x-protobuf"
	typeJSON     = "application/json"
)

type httpClient struct {
	s       *Settings
	traces  *http.Client
	metrics *http.Client
}

func newHTTPClient(s *Settings) *httpClient {
	return &httpClient{s: s, traces: carrier(&s.Traces), metrics: carrier(&s.Metrics)}
}

func carrier(e *Endpoint) *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			Proxy:                 http.ProxyFromEnvironment,
			DialContext:           (&net.Dialer{Timeout: e.Timeout, KeepAlive: 30 * time.Second}).DialContext,
			TLSClientConfig:       e.TLS.Clone(),
			ForceAttemptHTTP2:     true,
			TLSHandshakeTimeout:   e.Timeout,
			IdleConnTimeout:       90 * time.Second,
			MaxIdleConnsPerHost:   1,
			ExpectContinueTimeout: time.Second,
		},
		// To follow would carry the fields with their secrets to another host.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func (c *httpClient) Close() error {
	c.traces.CloseIdleConnections()
	c.metrics.CloseIdleConnections()
	return nil
}

func (c *httpClient) Traces(ctx context.Context, td ptrace.Traces) (Rejection, error) {
	answer := ptraceotlp.NewExportResponse()
	if err := c.send(ctx, c.traces, &c.s.Traces, ptraceotlp.NewExportRequestFromTraces(td), answer); err != nil {
		return Rejection{}, err
	}
	p := answer.PartialSuccess()
	return Rejection{p.RejectedSpans(), said(p.ErrorMessage(), c.s.Traces.secrets())}, nil
}

func (c *httpClient) Metrics(ctx context.Context, md pmetric.Metrics) (Rejection, error) {
	answer := pmetricotlp.NewExportResponse()
	if err := c.send(ctx, c.metrics, &c.s.Metrics, pmetricotlp.NewExportRequestFromMetrics(md), answer); err != nil {
		return Rejection{}, err
	}
	p := answer.PartialSuccess()
	return Rejection{p.RejectedDataPoints(), said(p.ErrorMessage(), c.s.Metrics.secrets())}, nil
}

type encoder interface {
	MarshalProto() ([]byte, error)
	MarshalJSON() ([]byte, error)
}

type decoder interface {
	UnmarshalProto([]byte) error
	UnmarshalJSON([]byte) error
}

// maxAnswer bounds what is read of an answer, in bytes.
const maxAnswer = 64 << 10

// send sends one request and reads the answer to it.
func (c *httpClient) send(ctx context.Context, by *http.Client, e *Endpoint, in encoder, out decoder) error {
	body, contentType, err := c.encode(in, e.Gzip)
	if err != nil {
		return &Failure{Kind: Refused, Err: err}
	}
	timed, cancel := context.WithTimeout(ctx, e.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(timed, http.MethodPost, e.URL.String(), bytes.NewReader(body))
	if err != nil {
		return &Failure{Kind: Unusable, Err: withoutURL(err)}
	}
	for name, value := range e.Headers {
		if name == "host" {
			req.Host = value
		}
		req.Header.Set(name, value)
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("User-Agent", c.s.UserAgent)
	if e.Gzip {
		req.Header.Set("Content-Encoding", "gzip")
	}
	resp, err := by.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if timed.Err() != nil {
			err = fmt.Errorf("no answer within %s", e.Timeout)
		}
		return &Failure{Kind: Retry, Err: withoutURL(err)}
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return httpFailure(resp.StatusCode, resp.Header, statusText(kind, raw), e.secrets(), time.Now())
	}
	if kind == "text/html" {
		// A login page, or another program's: nothing that speaks OTLP answers so.
		return &Failure{Kind: Unusable, NotServed: true, Err: errors.New("the answer is an HTML page: this is no OTLP endpoint")}
	}
	// By its status the endpoint has the request: to send it again because of a
	// body that cannot be read would make it two.
	if err == nil && len(raw) > 0 {
		switch kind {
		case typeProtobuf:
			_ = out.UnmarshalProto(raw)
		case typeJSON:
			_ = out.UnmarshalJSON(raw)
		}
	}
	return nil
}

func (c *httpClient) encode(in encoder, compress bool) (body []byte, contentType string, err error) {
	if c.s.Protocol == HTTPJSON {
		contentType = typeJSON
		body, err = in.MarshalJSON()
	} else {
		contentType = typeProtobuf
		body, err = in.MarshalProto()
	}
	if err != nil || !compress {
		return body, contentType, err
	}
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err = w.Write(body)
	if err = errors.Join(err, w.Close()); err != nil {
		return nil, "", err
	}
	return b.Bytes(), contentType, nil
}

// withoutURL takes the URL out of an error: it may hold a secret.
func withoutURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// statusText reads the body of a refusal, a google.rpc.Status.
func statusText(kind string, raw []byte) string {
	var s rpcstatus.Status
	switch {
	case kind == typeProtobuf && proto.Unmarshal(raw, &s) == nil, kind == typeJSON && protojson.Unmarshal(raw, &s) == nil:
		return s.GetMessage()
	case kind == typeProtobuf:
		return ""
	}
	return string(raw)
}
