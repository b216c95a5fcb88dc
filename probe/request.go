package probe

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync/atomic"
	"time"
)

// maxBody is how much of an answer is read, in bytes.
const maxBody = 256 << 10

// request asks one path over a connection that is there, in the version of
// HTTP that it has agreed on, as the go command's own client does.
func request(ctx context.Context, c *tls.Conn, host, path string) (status int, location string, first time.Duration, err error) {
	var used atomic.Bool
	t := &http.Transport{
		ForceAttemptHTTP2: true, MaxResponseHeaderBytes: maxHeader, DisableKeepAlives: c.ConnectionState().NegotiatedProtocol != "h2",
		DialTLSContext: func(context.Context, string, string) (net.Conn, error) {
			if used.Swap(true) {
				return nil, errors.New("the connection is used up")
			}
			return c, nil
		},
	}
	defer t.CloseIdleConnections()
	begin := time.Now()
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotFirstResponseByte: func() { first = time.Since(begin) }})
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, (&url.URL{Scheme: "https", Host: host, Path: path}).String(), nil)
	if err != nil {
		return 0, "", 0, err
	}
	answer, err := t.RoundTrip(r) // follows no redirect
	if err != nil {
		return 0, "", 0, err
	}
	defer answer.Body.Close()
	_, err = io.Copy(io.Discard, io.LimitReader(answer.Body, maxBody))
	return answer.StatusCode, answer.Header.Get("Location"), first, err
}

// fine reports whether an HTTP status lets a download go on, says that there is
// nothing of that name, which is an answer like any other, or asks for the
// credentials that are not sent.
func fine(status int) bool {
	return status < 400 || status == http.StatusNotFound || status == http.StatusGone || status == http.StatusUnauthorized
}
