package probe

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"
)

// maxHeader bounds the header of an answer, in bytes: whoever answers may go on
// for ever.
const maxHeader = 64 << 10

// tunnel asks an HTTP proxy for a connection to a host (RFC 9110, section
// 9.3.6). Credentials of its address are for the proxy alone.
func tunnel(ctx context.Context, c net.Conn, proxy *url.URL, target string, limit time.Duration) (_ net.Conn, status int, err error) {
	_ = c.SetDeadline(time.Now().Add(limit))
	if proxy.Scheme == "https" {
		t := tls.Client(c, &tls.Config{ServerName: proxy.Hostname()})
		if err := t.HandshakeContext(ctx); err != nil {
			return nil, 0, err
		}
		c = t
	}
	r := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: target}, Host: target, Header: http.Header{}}
	if u := proxy.User; u != nil {
		password, _ := u.Password()
		r.Header.Set("Proxy-Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(u.Username()+":"+password)))
	}
	if err := r.Write(c); err != nil {
		return nil, 0, err
	}
	in := bufio.NewReader(io.LimitReader(c, maxHeader))
	answer, err := http.ReadResponse(in, r)
	if err != nil {
		return nil, 0, err
	}
	if answer.StatusCode != http.StatusOK {
		return nil, answer.StatusCode, fmt.Errorf("the proxy answers CONNECT with %s", answer.Status)
	}
	if in.Buffered() > 0 {
		return nil, answer.StatusCode, fmt.Errorf("the proxy sends %d bytes behind its answer to CONNECT", in.Buffered())
	}
	return c, answer.StatusCode, nil
}
