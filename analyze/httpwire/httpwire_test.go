package httpwire

import (
	"strings"
	"testing"
)

func TestRequest(t *testing.T) {
	r, ok := ParseRequest([]byte("CONNECT proxy.example:443 HTTP/1.1\r\nHost: proxy.example:443\r\nUser-Agent: Go-http-client/1.1\r\nProxy-Authorization: Basic c2VjcmV0\r\n\r\n"))
	if want := (Request{"CONNECT", "proxy.example:443", "HTTP/1.1", "Go-http-client/1.1", true}); !ok || r != want {
		t.Errorf("got %+v, %v, want %+v", r, ok, want)
	}
	// A head that is cut after its first line still says whom it asks for.
	if r, ok := ParseRequest([]byte("GET /mod/@v/list HTTP/1.1\r\nUser-Ag")); !ok || r.Target != "/mod/@v/list" || r.UserAgent != "" {
		t.Errorf("cut head: %+v, %v", r, ok)
	}
	for _, bad := range []string{"", "CONNECT", "CONNECT proxy.example:443", "CONNECT a b c\r\n", "\x16\x03\x01\x02\x00\x01\r\n", "GET / SPDY/3\r\n"} {
		if r, ok := ParseRequest([]byte(bad)); ok {
			t.Errorf("%q was read as %+v", bad, r)
		}
	}
}

func TestResponse(t *testing.T) {
	r, ok := ParseResponse([]byte("HTTP/1.1 407 Proxy Authentication Required\r\nproxy-authenticate: Basic realm=\"corp\"\r\nVia: 1.1 px\r\nServer: x\r\nLocation: http://portal.example/\r\nContent-Type: text/html\r\n\r\nbody: no field\r\n"))
	want := Response{407, "Proxy Authentication Required", "http://portal.example/", "x", "1.1 px", `Basic realm="corp"`, "text/html"}
	if !ok || r != want {
		t.Errorf("got %+v, %v, want %+v", r, ok, want)
	}
	if r, ok := ParseResponse([]byte("HTTP/1.0 200\r\n")); !ok || r.Status != 200 || r.Reason != "" {
		t.Errorf("without a reason: %+v, %v", r, ok)
	}
	for _, bad := range []string{"", "HTTP/1.1", "HTTP/1.1 99 x\r\n", "HTTP/1.1 600 x\r\n", "HTTP/1.1 abc x\r\n", "HTTP/1.1 20\r\n", "HTTP/2 200 OK\r\n", "HTTP/1.1 200 OK"} {
		if r, ok := ParseResponse([]byte(bad)); ok {
			t.Errorf("%q was read as %+v", bad, r)
		}
	}
}

func TestHeadEnd(t *testing.T) {
	for in, want := range map[string]int{"": -1, "a\r\n\r": -1, "a\r\n\r\n": 5, "a\n\nrest": 3, "a\r\n\r\nrest": 5} {
		if got := HeadEnd([]byte(in)); got != want {
			t.Errorf("HeadEnd(%q) = %d, want %d", in, got, want)
		}
	}
}

func TestLooksLike(t *testing.T) {
	for in, want := range map[string][2]bool{
		"CON": {true, false}, "GET /": {true, false}, "HTTP/1.1 200": {false, true}, "HTT": {false, true},
		"\x16\x03\x01": {false, false}, "": {false, false}, "SSH-2.0": {false, false}, "GETS": {false, false},
	} {
		if got := [2]bool{LooksLikeRequest([]byte(in)), LooksLikeResponse([]byte(in))}; got != want {
			t.Errorf("%q: request and response %v, want %v", in, got, want)
		}
	}
}

func FuzzHead(f *testing.F) {
	f.Add([]byte("CONNECT a:1 HTTP/1.1\r\n\r\n"))
	f.Add([]byte("HTTP/1.1 302 Found\r\nLocation: " + strings.Repeat("x", 2000) + "\r\n\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if n := HeadEnd(b); n < -1 || n > len(b) {
			t.Fatalf("HeadEnd %d of %d bytes", n, len(b))
		}
		if r, ok := ParseRequest(b); ok && (len(r.Target) > 1024 || len(r.UserAgent) > 256 || !LooksLikeRequest(b) && r.Method == "CONNECT") {
			t.Fatalf("request %+v", r)
		}
		if r, ok := ParseResponse(b); ok && (r.Status < 100 || r.Status > 599 || len(r.Location) > 512 || !LooksLikeResponse(b)) {
			t.Fatalf("response %+v", r)
		}
	})
}
