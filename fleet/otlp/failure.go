package otlp

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Kind says what a failure means for the request.
type Kind uint8

const (
	// Retry is a failure that may pass: the same request is to be sent again.
	Retry Kind = iota
	// TooLarge is a request with more bytes than the endpoint takes.
	TooLarge
	// Refused is a request that the endpoint will not take; another one it
	// may.
	Refused
	// Unusable is an endpoint that will take no request of this signal until
	// somebody changes a setting, here or there.
	Unusable
)

// Failure is why an endpoint has not taken a request.
type Failure struct {
	Kind Kind
	// Wait is how long the endpoint asks to be left alone, zero where it
	// does not say.
	Wait time.Duration
	// NotServed is true where the endpoint does not know this signal.
	NotServed bool
	Err       error
}

func (f *Failure) Error() string { return f.Err.Error() }

func (f *Failure) Unwrap() error { return f.Err }

// maxWait bounds what an endpoint may ask for.
const maxWait = time.Hour

// grpcFailure sorts an error of a call (OTLP, "OTLP/gRPC Response"). secrets are
// cut out of what the endpoint says.
func grpcFailure(err error, secrets []string) *Failure {
	s := status.Convert(err)
	f := &Failure{Kind: Refused, Err: fmt.Errorf("%s: %s", s.Code(), said(s.Message(), secrets))}
	info := false
	for _, d := range s.Details() {
		if r, ok := d.(*errdetails.RetryInfo); ok {
			info = true
			f.Wait = min(max(r.GetRetryDelay().AsDuration(), 0), maxWait)
		}
	}
	switch s.Code() {
	case codes.Canceled, codes.DeadlineExceeded, codes.Aborted, codes.OutOfRange, codes.Unavailable, codes.DataLoss:
		f.Kind = Retry
	case codes.ResourceExhausted:
		// Without RetryInfo there is no recovery: mostly the message is too large.
		if f.Kind = TooLarge; info {
			f.Kind = Retry
		}
	case codes.Unauthenticated, codes.PermissionDenied:
		f.Kind = Unusable
	case codes.Unimplemented:
		f.Kind, f.NotServed = Unusable, true
	}
	return f
}

// httpFailure sorts an answer (OTLP, "OTLP/HTTP Response").
func httpFailure(code int, header http.Header, body string, secrets []string, now time.Time) *Failure {
	f := &Failure{Kind: Refused, Err: fmt.Errorf("HTTP status %d %s", code, http.StatusText(code))}
	if body = said(body, secrets); body != "" {
		f.Err = fmt.Errorf("%w: %s", f.Err, body)
	}
	switch {
	case code == http.StatusTooManyRequests, code == http.StatusBadGateway, code == http.StatusServiceUnavailable, code == http.StatusGatewayTimeout:
		f.Kind, f.Wait = Retry, retryAfter(header.Get("Retry-After"), now)
	case code == http.StatusRequestEntityTooLarge:
		f.Kind = TooLarge
	case code == http.StatusNotFound, code == http.StatusMethodNotAllowed:
		f.Kind, f.NotServed = Unusable, true
	case code == http.StatusUnauthorized, code == http.StatusForbidden, code == http.StatusProxyAuthRequired, code == http.StatusUnsupportedMediaType,
		code >= 300 && code < 400:
		f.Kind = Unusable
	}
	return f
}

// retryAfter reads the field of RFC 9110, section 10.2.3: seconds or a date.
func retryAfter(v string, now time.Time) time.Duration {
	if n, err := strconv.ParseUint(v, 10, 32); err == nil {
		return min(time.Duration(n)*time.Second, maxWait)
	}
	if t, err := http.ParseTime(v); err == nil {
		return min(max(t.Sub(now), 0), maxWait)
	}
	return 0
}

// maxSaid bounds what is repeated of an endpoint's own words, in bytes.
const maxSaid = 300

// said returns what an endpoint said without what it must not repeat: some
// return the request's fields.
func said(s string, secrets []string) string {
	s = strings.ToValidUTF8(s, "?")
	for _, secret := range secrets {
		s = strings.ReplaceAll(s, secret, "…")
	}
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > maxSaid {
		n := maxSaid
		for !utf8.RuneStart(s[n]) {
			n--
		}
		s = s[:n] + "…"
	}
	return s
}
