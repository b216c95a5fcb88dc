package otlp

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
)

func traces() ptrace.Traces {
	td := ptrace.NewTraces()
	td.ResourceSpans().AppendEmpty().ScopeSpans().AppendEmpty().Spans().AppendEmpty().SetName("x")
	return td
}

func client(t *testing.T, f Flags, variables ...string) (Client, *Settings) {
	t.Helper()
	s, err := Load(f, env(variables...))
	if err != nil {
		t.Fatal(err)
	}
	s.UserAgent = "test/1"
	c, err := NewClient(s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c, s
}

// What each status means (OTLP, "OTLP/HTTP Response").
func TestHTTPStatuses(t *testing.T) {
	for _, c := range []struct {
		code      int
		after     string
		kind      Kind
		wait      time.Duration
		notServed bool
	}{
		{code: 429, after: "7", kind: Retry, wait: 7 * time.Second},
		{code: 503, after: "86400000", kind: Retry, wait: time.Hour},
		{code: 503, after: "-1", kind: Retry},
		{code: 503, after: "soon", kind: Retry},
		{code: 502, kind: Retry},
		{code: 504, kind: Retry},
		{code: 413, kind: TooLarge},
		{code: 400, after: "7", kind: Refused},
		{code: 500, kind: Refused},
		{code: 501, kind: Refused},
		{code: 401, kind: Unusable},
		{code: 403, kind: Unusable},
		{code: 404, kind: Unusable, notServed: true},
		{code: 405, kind: Unusable, notServed: true},
		{code: 415, kind: Unusable},
		{code: 302, kind: Unusable},
	} {
		var asked atomic.Int32
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			asked.Add(1)
			if c.after != "" {
				w.Header().Set("Retry-After", c.after)
			}
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(c.code)
		}))
		cl, _ := client(t, Flags{Endpoint: srv.URL})
		_, err := cl.Traces(context.Background(), traces())
		var f *Failure
		if !errors.As(err, &f) || f.Kind != c.kind || f.Wait != c.wait || f.NotServed != c.notServed || asked.Load() != 1 {
			t.Errorf("%d, Retry-After %q: %+v after %d requests", c.code, c.after, f, asked.Load())
		}
		srv.Close()
	}
	f := httpFailure(503, http.Header{"Retry-After": {"Fri, 02 Jan 2026 00:00:30 GMT"}}, "", nil, time.Date(2026, 1, 2, 0, 0, 10, 0, time.UTC))
	if f.Wait != 20*time.Second {
		t.Errorf("a date: wait %v", f.Wait)
	}
}

type fakeServer struct {
	*ptraceotlp.UnimplementedGRPCServer
	export func(context.Context, ptraceotlp.ExportRequest) (ptraceotlp.ExportResponse, error)
}

func (s fakeServer) Export(ctx context.Context, r ptraceotlp.ExportRequest) (ptraceotlp.ExportResponse, error) {
	return s.export(ctx, r)
}

func serveGRPC(t *testing.T, export func(context.Context, ptraceotlp.ExportRequest) (ptraceotlp.ExportResponse, error), options ...grpc.ServerOption) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := grpc.NewServer(options...)
	ptraceotlp.RegisterGRPCServer(srv, fakeServer{export: export})
	go srv.Serve(l)
	t.Cleanup(srv.Stop)
	return l.Addr().String()
}

// What each code means (OTLP, "OTLP/gRPC Response").
func TestGRPCCodes(t *testing.T) {
	var answer error
	addr := serveGRPC(t, func(context.Context, ptraceotlp.ExportRequest) (ptraceotlp.ExportResponse, error) {
		return ptraceotlp.NewExportResponse(), answer
	})
	cl, _ := client(t, Flags{Endpoint: "http://" + addr, Protocol: "grpc"})
	withInfo := func(c codes.Code, d time.Duration) error {
		s, err := status.New(c, "later").WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(d)})
		if err != nil {
			t.Fatal(err)
		}
		return s.Err()
	}
	for _, c := range []struct {
		answer    error
		kind      Kind
		wait      time.Duration
		notServed bool
	}{
		{answer: status.Error(codes.Unavailable, ""), kind: Retry},
		{answer: withInfo(codes.Unavailable, 3*time.Second), kind: Retry, wait: 3 * time.Second},
		{answer: status.Error(codes.Canceled, ""), kind: Retry},
		{answer: status.Error(codes.DeadlineExceeded, ""), kind: Retry},
		{answer: status.Error(codes.Aborted, ""), kind: Retry},
		{answer: status.Error(codes.OutOfRange, ""), kind: Retry},
		{answer: status.Error(codes.DataLoss, ""), kind: Retry},
		{answer: withInfo(codes.ResourceExhausted, time.Second), kind: Retry, wait: time.Second},
		{answer: withInfo(codes.ResourceExhausted, 9999*time.Hour), kind: Retry, wait: time.Hour},
		{answer: status.Error(codes.ResourceExhausted, "received message larger than max"), kind: TooLarge},
		{answer: status.Error(codes.InvalidArgument, ""), kind: Refused},
		{answer: status.Error(codes.Internal, ""), kind: Refused},
		{answer: status.Error(codes.Unknown, ""), kind: Refused},
		{answer: status.Error(codes.NotFound, ""), kind: Refused},
		{answer: status.Error(codes.Unauthenticated, ""), kind: Unusable},
		{answer: status.Error(codes.PermissionDenied, ""), kind: Unusable},
		{answer: status.Error(codes.Unimplemented, ""), kind: Unusable, notServed: true},
	} {
		answer = c.answer
		_, err := cl.Traces(context.Background(), traces())
		var f *Failure
		if !errors.As(err, &f) || f.Kind != c.kind || f.Wait != c.wait || f.NotServed != c.notServed {
			t.Errorf("%v: %+v", c.answer, f)
		}
	}
	answer = nil
	if r, err := cl.Traces(context.Background(), traces()); err != nil || r != (Rejection{}) {
		t.Errorf("%v, %v", r, err)
	}
	// The server has no service for metrics.
	_, err := cl.Metrics(context.Background(), metrics())
	var f *Failure
	if !errors.As(err, &f) || !f.NotServed {
		t.Errorf("metrics: %v", err)
	}
}

func metrics() pmetric.Metrics {
	md := pmetric.NewMetrics()
	m := md.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
	m.SetName("x")
	m.SetEmptySum().DataPoints().AppendEmpty().SetIntValue(1)
	return md
}

// An endpoint that takes a request and leaves out a part says so, in any form.
func TestPartialSuccess(t *testing.T) {
	answer := ptraceotlp.NewExportResponse()
	answer.PartialSuccess().SetRejectedSpans(2)
	answer.PartialSuccess().SetErrorMessage("too\nold")
	want := Rejection{2, "too old"}
	addr := serveGRPC(t, func(context.Context, ptraceotlp.ExportRequest) (ptraceotlp.ExportResponse, error) { return answer, nil })
	cl, _ := client(t, Flags{Endpoint: "http://" + addr, Protocol: "grpc"})
	if r, err := cl.Traces(context.Background(), traces()); err != nil || r != want {
		t.Errorf("grpc: %v, %v", r, err)
	}
	for protocol, contentType := range map[string]string{"http/protobuf": "application/x-protobuf", "http/json": "application/json; charset=utf-8"} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			body, _ := answer.MarshalProto()
			if protocol == "http/json" {
				body, _ = answer.MarshalJSON()
			}
			w.Header().Set("Content-Type", contentType)
			w.Write(body)
		}))
		cl, _ := client(t, Flags{Endpoint: srv.URL, Protocol: protocol})
		if r, err := cl.Traces(context.Background(), traces()); err != nil || r != want {
			t.Errorf("%s: %v, %v", protocol, r, err)
		}
		srv.Close()
	}
	// A status is an answer, whatever stands in the body.
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-protobuf")
		fmt.Fprint(w, "<html>thanks</html>")
	}))
	defer srv.Close()
	cl, _ = client(t, Flags{Endpoint: srv.URL})
	if r, err := cl.Traces(context.Background(), traces()); err != nil || r.Items != 0 {
		t.Errorf("a page: %v, %v", r, err)
	}
}

// What is sent is what the settings say, and nothing that is said shows a secret.
func TestHTTPRequest(t *testing.T) {
	var got *http.Request
	var body []byte
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body)
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprintf(w, "no: %s %s", r.Header.Get("Authorization"), r.Header.Get("Api-Key"))
	}))
	defer srv.Close()
	cl, s := client(t, Flags{Endpoint: strings.Replace(srv.URL, "//", "//user:opensesame@", 1)}, "HEADERS=api-key=opensesame,authorization=Bearer%20sesame2", "COMPRESSION=gzip")
	_, err := cl.Traces(context.Background(), traces())
	if err == nil || strings.Contains(err.Error(), "sesame") || !strings.Contains(err.Error(), "HTTP status 401 Unauthorized: no: …") {
		t.Errorf("error %v", err)
	}
	if strings.Contains(s.Traces.Name(), "sesame") {
		t.Errorf("name %s", s.Traces.Name())
	}
	if got.Header.Get("Content-Encoding") != "gzip" || got.Header.Get("Content-Type") != "application/x-protobuf" || got.Header.Get("User-Agent") != "test/1" || got.URL.Path != "/v1/traces" {
		t.Errorf("%s %v", got.URL, got.Header)
	}
	z, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	in := ptraceotlp.NewExportRequest()
	if err := in.UnmarshalProto(plain); err != nil || in.Traces().SpanCount() != 1 {
		t.Errorf("%d spans, %v", in.Traces().SpanCount(), err)
	}
	// Nobody there: the error has no URL, which may hold a password.
	srv.Close()
	_, err = cl.Traces(context.Background(), traces())
	var f *Failure
	if !errors.As(err, &f) || f.Kind != Retry || strings.Contains(err.Error(), "sesame") || strings.Contains(err.Error(), "user") {
		t.Errorf("nobody there: %v", err)
	}
}

func TestGRPCRequest(t *testing.T) {
	var got metadata.MD
	addr := serveGRPC(t, func(ctx context.Context, _ ptraceotlp.ExportRequest) (ptraceotlp.ExportResponse, error) {
		got, _ = metadata.FromIncomingContext(ctx)
		return ptraceotlp.NewExportResponse(), status.Error(codes.PermissionDenied, "not with opensesame")
	})
	cl, _ := client(t, Flags{Endpoint: "http://" + addr, Protocol: "grpc", Headers: []string{"Api-Key=opensesame"}}, "COMPRESSION=gzip")
	_, err := cl.Traces(context.Background(), traces())
	if err == nil || strings.Contains(err.Error(), "sesame") {
		t.Errorf("error %v", err)
	}
	if v := got.Get("api-key"); len(v) != 1 || v[0] != "opensesame" || !strings.HasPrefix(got.Get("user-agent")[0], "test/1") {
		t.Errorf("%v", got)
	}
}

// An endpoint that accepts and then says nothing costs one timeout, by either
// protocol, and is to be asked again.
func TestHanging(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, protocol := range []string{"http/protobuf", "grpc"} {
		cl, _ := client(t, Flags{Endpoint: "http://" + l.Addr().String(), Protocol: protocol}, "TIMEOUT=100")
		_, err := cl.Traces(context.Background(), traces())
		var f *Failure
		if !errors.As(err, &f) || f.Kind != Retry {
			t.Errorf("%s: %v", protocol, err)
		}
	}
}

// Certificates: an authority of one's own, a client's, and neither.
func TestTLS(t *testing.T) {
	certificate, key := selfSigned(t, t.TempDir())
	pair, err := tls.LoadX509KeyPair(certificate, key)
	if err != nil {
		t.Fatal(err)
	}
	pem, err := os.ReadFile(certificate)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	serverTLS := &tls.Config{Certificates: []tls.Certificate{pair}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert}
	addr := serveGRPC(t, func(context.Context, ptraceotlp.ExportRequest) (ptraceotlp.ExportResponse, error) {
		return ptraceotlp.NewExportResponse(), nil
	}, grpc.Creds(credentials.NewTLS(serverTLS)))
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	srv.TLS = serverTLS.Clone()
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	defer srv.Close()
	for protocol, endpoint := range map[string]string{"grpc": "https://" + addr, "http/protobuf": "https://" + srv.Listener.Addr().String()} {
		for _, c := range []struct {
			variables []string
			ok        bool
		}{
			{[]string{"CERTIFICATE=" + certificate, "CLIENT_CERTIFICATE=" + certificate, "CLIENT_KEY=" + key}, true},
			{[]string{"CERTIFICATE=" + certificate}, false},
			{nil, false},
		} {
			cl, _ := client(t, Flags{Endpoint: endpoint, Protocol: protocol}, append(c.variables, "TIMEOUT=3000")...)
			_, err := cl.Traces(context.Background(), traces())
			if (err == nil) != c.ok {
				t.Errorf("%s with %d variables: %v", protocol, len(c.variables), err)
			}
		}
	}
}

// flaky is a client that fails so often, and so.
type flaky struct {
	Client
	failures []*Failure
	calls    int
}

func (f *flaky) Traces(context.Context, ptrace.Traces) (Rejection, error) {
	f.calls++
	if f.calls <= len(f.failures) {
		return Rejection{}, f.failures[f.calls-1]
	}
	return Rejection{Message: "taken"}, nil
}

func (f *flaky) send(s *Sender, ctx context.Context) (Rejection, error) {
	s.Client = f
	return s.Send(ctx, func(ctx context.Context, c Client) (Rejection, error) { return c.Traces(ctx, ptrace.NewTraces()) })
}

func TestSender(t *testing.T) {
	again := &Failure{Kind: Retry, Err: errors.New("away")}
	asked := &Failure{Kind: Retry, Wait: 30 * time.Millisecond, Err: errors.New("busy")}
	no := &Failure{Kind: Refused, Err: errors.New("no")}

	var waits []time.Duration
	recovered := 0
	s := &Sender{First: time.Millisecond, Longest: 4 * time.Millisecond, Waiting: func(_ *Failure, w, _ time.Duration) { waits = append(waits, w) }, Recovered: func(time.Duration) { recovered++ }}
	f := &flaky{failures: []*Failure{again, again, asked, again, again, again}}
	if r, err := f.send(s, context.Background()); err != nil || r.Message != "taken" || f.calls != 7 || recovered != 1 {
		t.Errorf("%v, %v after %d calls, recovered %d times", r, err, f.calls, recovered)
	}
	for i, w := range waits {
		most := min(time.Millisecond<<i, 4*time.Millisecond) * 3 / 2
		if i == 2 {
			if w != 30*time.Millisecond {
				t.Errorf("asked for 30 ms, waited %v", w)
			}
		} else if w > most || w < time.Millisecond/2 {
			t.Errorf("wait %d: %v, at most %v", i, w, most)
		}
	}

	f = &flaky{failures: []*Failure{again, no}}
	if _, err := f.send(s, context.Background()); !errors.Is(err, error(no)) || f.calls != 2 {
		t.Errorf("refused: %v after %d calls", err, f.calls)
	}

	f = &flaky{failures: []*Failure{again, asked, again, again, again, again, again, again, again, again, again, again, again, again}}
	s = &Sender{First: time.Millisecond, GiveUp: 20 * time.Millisecond}
	if _, err := f.send(s, context.Background()); err == nil || !strings.Contains(err.Error(), "given up after") || f.calls != 2 {
		t.Errorf("given up: %v after %d calls", err, f.calls)
	}

	ctx, cancel := context.WithCancel(context.Background())
	s = &Sender{First: time.Hour, Waiting: func(*Failure, time.Duration, time.Duration) { cancel() }}
	f = &flaky{failures: []*Failure{again, again}}
	if _, err := f.send(s, ctx); !errors.Is(err, context.Canceled) || f.calls != 1 {
		t.Errorf("ended while waiting: %v after %d calls", err, f.calls)
	}
	// A request that was taken is told of, also where ctx ended meanwhile.
	f = &flaky{}
	if r, err := f.send(&Sender{}, ctx); err != nil || r.Message != "taken" {
		t.Errorf("taken: %v, %v", r, err)
	}
}

func TestSaid(t *testing.T) {
	if got := said("a\x1b[2J\tb \xff"+strings.Repeat("ä", 400), []string{"b"}); len(got) > maxSaid+3 || !strings.HasPrefix(got, "a\x1b[2J … ?") || !strings.HasSuffix(got, "ä…") {
		t.Errorf("%q", got)
	}
}

// Whoever answers with a page, a portal that wants a login or another program's
// port, has not taken anything.
func TestPageIsNoAnswer(t *testing.T) {
	for kind, want := range map[string]bool{"text/html; charset=utf-8": false, "application/x-protobuf": true, "text/plain": true, "": true} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Type"] = []string{kind}
			if strings.HasPrefix(kind, "text") {
				fmt.Fprint(w, "welcome")
			}
		}))
		cl, _ := client(t, Flags{Endpoint: srv.URL})
		_, err := cl.Traces(context.Background(), traces())
		var f *Failure
		if (err == nil) != want || err != nil && (!errors.As(err, &f) || f.Kind != Unusable) {
			t.Errorf("%q: %v", kind, err)
		}
		srv.Close()
	}
}
