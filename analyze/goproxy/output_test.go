package goproxy

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"
)

func read(t *testing.T, text string) *Output {
	t.Helper()
	out, err := ReadOutput(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

const get = `go: example.net/alpha@v1.2.3: Get "https://proxy.example/example.net/alpha/@v/v1.2.3.mod": `

// TestTexts holds what the go command (1.26) prints on Linux and Windows, and
// what git, curl and ssh print for it.
func TestTexts(t *testing.T) {
	for _, tt := range []struct {
		line   string
		kind   Kind
		host   string
		tuple  string // client->server, or server alone
		detail string // status, alert or reason, with its phrase
	}{
		{get + "dial tcp 203.0.113.10:443: connect: connection refused", KindRefused, "proxy.example", "203.0.113.10:443", ""},
		{get + "dial tcp 203.0.113.10:443: connect: no route to host", KindNoRoute, "proxy.example", "203.0.113.10:443", ""},
		{get + "dial tcp [2001:db8::1]:443: connect: network is unreachable", KindNoRoute, "proxy.example", "[2001:db8::1]:443", ""},
		{get + "dial tcp 203.0.113.10:443: i/o timeout", KindDialTimeout, "proxy.example", "203.0.113.10:443", ""},
		{get + "dial tcp 203.0.113.10:443: connect: connection timed out", KindDialTimeout, "proxy.example", "203.0.113.10:443", ""},
		{get + "dial tcp 203.0.113.10:443: connect: operation timed out", KindDialTimeout, "proxy.example", "203.0.113.10:443", ""},
		{get + "dial tcp 203.0.113.10:443: connect: operation not permitted", KindNotPermitted, "proxy.example", "203.0.113.10:443", ""},
		{get + "net/http: TLS handshake timeout", KindHandshakeTimeout, "proxy.example", "", ""},
		{get + "read tcp 192.0.2.1:55273->198.51.100.2:443: read: connection reset by peer", KindReset, "proxy.example", "192.0.2.1:55273->198.51.100.2:443", ""},
		{get + "read tcp [2001:db8::5%eth0]:55273->[2001:db8::2]:443: read: connection reset by peer", KindReset, "proxy.example", "[2001:db8::5]:55273->[2001:db8::2]:443", ""},
		{get + "write tcp 192.0.2.1:55273->198.51.100.2:443: write: connection reset by peer", KindReset, "proxy.example", "192.0.2.1:55273->198.51.100.2:443", ""},
		{get + "write tcp 192.0.2.1:55273->198.51.100.2:443: write: broken pipe", KindBroken, "proxy.example", "192.0.2.1:55273->198.51.100.2:443", ""},
		{get + "EOF", KindEOF, "proxy.example", "", ""},
		{`go: m@v1.0.0: read "https://proxy.example/m/@v/v1.0.0.zip": unexpected EOF`, KindUnexpectedEOF, "proxy.example", "", ""},
		{`go: m@v1.0.0: read "https://proxy.example/m/@v/v1.0.0.zip": read tcp 192.0.2.1:5->198.51.100.2:443: read: connection timed out`, KindReadTimeout, "proxy.example", "192.0.2.1:5->198.51.100.2:443", ""},
		{`go: m@v1.0.0: read "https://proxy.example/m/@v/v1.0.0.zip": stream error: stream ID 5; INTERNAL_ERROR; received from peer`, KindStream, "proxy.example", "", "INTERNAL_ERROR"},
		{get + "http2: server sent GOAWAY and closed the connection; LastStreamID=3, ErrCode=NO_ERROR, debug=\"\"", KindStream, "proxy.example", "", "GOAWAY"},
		{get + "remote error: tls: handshake failure", KindRemoteAlert, "proxy.example", "", "alert 40"},
		{get + "remote error: tls: access denied", KindRemoteAlert, "proxy.example", "", "alert 49"},
		{get + "remote error: tls: protocol version not supported", KindRemoteAlert, "proxy.example", "", "alert 70"},
		{get + "remote error: tls: internal error", KindRemoteAlert, "proxy.example", "", "alert 80"},
		{get + "remote error: tls: unrecognized name", KindRemoteAlert, "proxy.example", "", "alert 112"},
		{get + "remote error: tls: certificate required", KindRemoteAlert, "proxy.example", "", "alert 116"},
		{get + "remote error: tls: no application protocol", KindRemoteAlert, "proxy.example", "", "alert 120"},
		{get + "remote error: tls: alert(200)", KindRemoteAlert, "proxy.example", "", "alert 200"},
		{get + "local error: tls: unexpected message", KindLocalTLS, "proxy.example", "", ""},
		{get + "tls: server selected unsupported protocol version 301", KindLocalTLS, "proxy.example", "", ""},
		{get + "tls: failed to verify certificate: x509: certificate signed by unknown authority", KindCertificate, "proxy.example", "", "certificate signed by unknown authority"},
		{get + "tls: failed to verify certificate: x509: certificate has expired or is not yet valid: current time 2026-11-22T16:00:00Z is after 2025-01-01T00:00:00Z", KindCertificate, "proxy.example", "", "certificate has expired or is not yet valid: current time 2026-11-22T16:00:00Z is after 2025-01-01T00:00:00Z"},
		{get + "tls: failed to verify certificate: x509: certificate is valid for other.example, not proxy.example", KindCertificate, "proxy.example", "", "certificate is valid for other.example, not proxy.example"},
		{get + "http: server gave HTTP response to HTTPS client", KindPlainHTTP, "proxy.example", "", ""},
		{get + "proxyconnect tcp: dial tcp 192.0.2.80:3128: connect: connection refused", KindRefused, "proxy.example", "192.0.2.80:3128", ""},
		{get + "proxyconnect tcp: tls: first record does not look like a TLS handshake", KindNotTLS, "proxy.example", "", ""},
		{get + "proxyconnect tcp: dial tcp: lookup cache.corp.example on 192.0.2.53:53: no such host", KindNoSuchHost, "cache.corp.example", "192.0.2.53:53", ""},
		{get + "Proxy Authentication Required", KindProxyStatus, "proxy.example", "", "407 Proxy Authentication Required"},
		{get + "Forbidden", KindProxyStatus, "proxy.example", "", "403 Forbidden"},
		{get + "Bad Gateway", KindProxyStatus, "proxy.example", "", "502 Bad Gateway"},
		{get + "Service Unavailable", KindProxyStatus, "proxy.example", "", "503 Service Unavailable"},
		{"go: m@v1.0.0: reading https://proxy.example/m/@v/v1.0.0.mod: 403 Forbidden", KindHTTPStatus, "proxy.example", "", "403 Forbidden"},
		{"go: m@v1.0.0: verifying module: m@v1.0.0: reading https://sum.example/lookup/m@v1.0.0: 410 Gone", KindHTTPStatus, "sum.example", "", "410 Gone"},
		{"go: m@v1.0.0: reading https://proxy.example:8443/m/@v/v1.0.0.zip: unexpected EOF", KindUnexpectedEOF, "proxy.example", "", ""},
		{get + "dial tcp: lookup proxy.example on 192.0.2.53:53: read udp 192.0.2.1:4000->192.0.2.53:53: i/o timeout", KindLookupTimeout, "proxy.example", "192.0.2.1:4000->192.0.2.53:53", ""},
		{get + "dial tcp: lookup proxy.example: i/o timeout", KindLookupTimeout, "proxy.example", "", ""},
		{get + "dial tcp: lookup proxy.example on 192.0.2.53:53: no such host", KindNoSuchHost, "proxy.example", "192.0.2.53:53", ""},
		{get + "dial tcp: lookup proxy.example on 192.0.2.53:53: server misbehaving", KindLookupFailed, "proxy.example", "192.0.2.53:53", ""},
		{get + "dial tcp: lookup proxy.example: Temporary failure in name resolution", KindLookupFailed, "proxy.example", "", ""},
		{get + "dial tcp: lookup proxy.example on 192.0.2.53:53: dial udp 192.0.2.53:53: connect: network is unreachable", KindLookupFailed, "proxy.example", "192.0.2.53:53", ""},

		// Windows.
		{get + "dial tcp 198.51.100.2:443: connectex: An attempt was made to access a socket in a way forbidden by its access permissions.", KindNotPermitted, "proxy.example", "198.51.100.2:443", ""},
		{get + "dial tcp 198.51.100.2:443: connectex: A connection attempt failed because the connected party did not properly respond after a period of time, or established connection failed because connected host has failed to respond.", KindDialTimeout, "proxy.example", "198.51.100.2:443", ""},
		{get + "dial tcp 198.51.100.2:443: connectex: No connection could be made because the target machine actively refused it.", KindRefused, "proxy.example", "198.51.100.2:443", ""},
		{get + "dial tcp 198.51.100.2:443: connectex: A socket operation was attempted to an unreachable host.", KindNoRoute, "proxy.example", "198.51.100.2:443", ""},
		{get + "dial tcp 198.51.100.2:443: connectex: A socket operation was attempted to an unreachable network.", KindNoRoute, "proxy.example", "198.51.100.2:443", ""},
		{get + "read tcp 192.0.2.1:55273->198.51.100.2:443: wsarecv: An existing connection was forcibly closed by the remote host.", KindReset, "proxy.example", "192.0.2.1:55273->198.51.100.2:443", ""},
		{get + "read tcp 192.0.2.1:55273->198.51.100.2:443: wsarecv: A connection attempt failed because the connected party did not properly respond after a period of time, or established connection failed because connected host has failed to respond.", KindReadTimeout, "proxy.example", "192.0.2.1:55273->198.51.100.2:443", ""},
		{get + "write tcp 192.0.2.1:55273->198.51.100.2:443: wsasend: An established connection was aborted by the software in your host machine.", KindBroken, "proxy.example", "192.0.2.1:55273->198.51.100.2:443", ""},
		{get + "dial tcp: lookup proxy.example: no such host", KindNoSuchHost, "proxy.example", "", ""},
		{get + "dial tcp: lookup proxy.example: getaddrinfow: The requested name is valid, but no data of the requested type was found.", KindNoSuchHost, "proxy.example", "", ""},
		{get + "dial tcp: lookup proxy.example: getaddrinfow: This is usually a temporary error during hostname resolution and means that the local server did not receive a response from an authoritative server.", KindLookupFailed, "proxy.example", "", ""},

		// Children, for direct.
		{"\tfatal: unable to access 'https://git.example/m/': Recv failure: Connection reset by peer", KindReset, "git.example", "", ""},
		{"\tfatal: unable to access 'https://git.example/m/': Could not resolve host: git.example", KindNoSuchHost, "git.example", "", ""},
		{"\tfatal: unable to access 'https://git.example/m/': Failed to connect to git.example port 443 after 130 ms: Connection refused", KindRefused, "git.example", "", ""},
		{"\tfatal: unable to access 'https://git.example/m/': Failed to connect to git.example port 443 after 130004 ms: Connection timed out", KindDialTimeout, "git.example", "", ""},
		{"\tfatal: unable to access 'https://git.example/m/': SSL certificate problem: unable to get local issuer certificate", KindCertificate, "git.example", "", "SSL certificate problem: unable to get local issuer certificate"},
		{"\tfatal: unable to access 'https://git.example/m/': The requested URL returned error: 403", KindHTTPStatus, "git.example", "", "403"},
		{"\tssh: connect to host git.example port 22: Connection timed out", KindDialTimeout, "git.example", "", ""},
		{`go: m@v1.0.0: unrecognized import path "m.example": https fetch: Get "https://m.example?go-get=1": dial tcp 198.51.100.7:443: i/o timeout`, KindDialTimeout, "m.example", "198.51.100.7:443", ""},

		// Ends from outside.
		{"signal: interrupt", KindInterrupted, "", "", ""},
		{"exit status 2: signal: killed", KindInterrupted, "", "", ""},
		{"^C", KindInterrupted, "", "", ""},

		// In front of it what CI logs and shells print.
		{"2026-11-22T16:00:00.0000000Z " + get + "EOF", KindEOF, "proxy.example", "", ""},
		{"\x1b[31m" + get + "EOF", KindEOF, "proxy.example", "", ""},

		// Of an unknown kind, but an error all the same.
		{get + "some new words of a later go", KindOther, "proxy.example", "", ""},
	} {
		for _, end := range []string{"\n", "\r\n", ""} {
			out := read(t, "go: downloading m v1.0.0\n"+tt.line+end)
			if len(out.Statements) != 1 {
				t.Errorf("%q: %d statements", tt.line, len(out.Statements))
				continue
			}
			s := out.Statements[0]
			tuple := ""
			if s.Remote.IsValid() {
				tuple = s.Remote.String()
			}
			if s.Local.IsValid() {
				tuple = s.Local.String() + "->" + tuple
			}
			detail := s.Reason
			switch {
			case s.Status != 0:
				detail = strings.TrimSpace(fmt.Sprintf("%d %s", s.Status, s.Phrase))
			case s.Alert >= 0:
				detail = fmt.Sprintf("alert %d", s.Alert)
			case s.Kind == KindStream:
				detail = s.Phrase
			}
			if s.Kind != tt.kind || s.Host != tt.host || tuple != tt.tuple || detail != tt.detail || s.Trace || s.Line != 2 || s.Count != 1 {
				t.Errorf("%q:\n got %s, host %q, tuple %q, detail %q, line %d\nwant %s, host %q, tuple %q, detail %q",
					tt.line, s.Kind, s.Host, tuple, detail, s.Line, tt.kind, tt.host, tt.tuple, tt.detail)
			}
		}
	}
}

// What is no failure yields no statement.
func TestNoFailure(t *testing.T) {
	for _, line := range []string{
		"", "go: downloading example.net/alpha v1.2.3", "# get https://proxy.example/m/@v/list",
		"# get https://proxy.example/m/@v/list: 200 OK (0.141s)", "-> unzip /home/x/go/pkg/mod/cache", "mkdir -p $WORK/EOF",
		"0.004s # cd $WORK; git tag -l", "all modules verified", `Get "https://proxy.example/"`, `Get "unclosed: EOF`,
		"go: upgraded example.net/reset v1.0.0 => v1.1.0", "connection reset by peer is what a friend saw",
	} {
		if out := read(t, line+"\n"); len(out.Statements) != 0 {
			t.Errorf("%q: %+v", line, out.Statements)
		}
	}
}

// The server's own words, which go prints below an HTTP error, are no
// statements of go's.
func TestServersWords(t *testing.T) {
	forged := `Get "https://victim.example/": read tcp 192.0.2.1:1->198.51.100.2:443: read: connection reset by peer`
	status := "go: m@v1.0.0: reading https://proxy.example/m/@v/v1.0.0.mod: 404 Not Found\n"
	for _, text := range []string{
		status + "\tserver response: " + forged + "\n",
		status + "\tserver response:\n\t" + forged + "\n\t" + forged + "\n",
		status + "\tserver response:\n\tGOPROXY=https://evil.example\n",
		`go: m@v1.0.0: Get "https://proxy.example/m": net/http: HTTP/1.x transport connection broken: malformed HTTP response "read tcp 192.0.2.1:1->198.51.100.2:443: connection reset by peer"`,
	} {
		out := read(t, text)
		if len(out.Statements) != 1 || out.Statements[0].Host != "proxy.example" || out.Statements[0].Kind == KindReset || out.Statements[0].Remote.IsValid() || out.Known {
			t.Errorf("%q: %+v", text, out.Statements)
		}
	}
	// The same words behind a line that is not the server's are go's.
	out := read(t, status+"\tserver response: no\ngo: n@v1.0.0: "+forged+"\n")
	if len(out.Statements) != 2 || out.Statements[1].Kind != KindReset {
		t.Errorf("what follows the server's words was lost: %+v", out.Statements)
	}
}

func TestTrace(t *testing.T) {
	out := read(t, `# get https://one.example/m/@v/v1.0.0.info
# get https://one.example/m/@v/v1.0.0.info: 404 Not Found (0.139s)
# get https://two.example:8443/m/@v/v1.0.0.info
# get https://two.example:8443/m/@v/v1.0.0.info: Get "https://two.example:8443/m/@v/v1.0.0.info": EOF
# get https://three.example/m/@v/v1.0.0.info
# get https://three.example/m/@v/v1.0.0.info: 200 OK (1.000s)
# get https://three.example/m/@v/v1.0.0.zip
go: m@v1.0.0: Get "https://two.example:8443/m/@v/v1.0.0.info": EOF
`)
	want := map[string]Requests{"one.example": {1, 1, 0, 1}, "two.example": {1, 0, 1, 0}, "three.example": {2, 1, 0, 0}}
	for host, r := range want {
		if out.Hosts[host] != r {
			t.Errorf("%s: %+v, want %+v", host, out.Hosts[host], r)
		}
	}
	if n := out.Hosts["three.example"].Pending(); n != 1 || len(out.Hosts) != 3 {
		t.Errorf("%d pending, %d hosts", n, len(out.Hosts))
	}
	if len(out.Statements) != 2 || !out.Statements[0].Trace || out.Statements[0].Status != 404 {
		t.Fatalf("%+v", out.Statements)
	}
	// Said by the trace first and as the command's error then: one statement.
	if s := out.Statements[1]; s.Trace || s.Count != 2 || s.Line != 8 || s.Port != 8443 {
		t.Errorf("%+v", s)
	}
	if got := out.Reported(); len(got) != 1 || got[0].Kind != KindEOF {
		t.Errorf("reported: %+v", got)
	}
	for host, want := range map[string]bool{"One.Example.": true, "three.example": true, "four.example": false, "": false} {
		if out.Knows(host) != want {
			t.Errorf("Knows(%q) = %v", host, !want)
		}
	}
}

func TestSettingsInOutput(t *testing.T) {
	for _, text := range []string{
		"GOPROXY='https://one.example|direct'\nGOSUMDB='off'\n",
		"set GOPROXY=https://one.example|direct\r\nset GOSUMDB=off\r\n",
		"GOPROXY=\"https://one.example|direct\"\nGOSUMDB=\"off\"\n",
	} {
		out := read(t, text)
		if !out.Known || out.Settings.GOPROXY != "https://one.example|direct" || out.Settings.GOSUMDB != "off" {
			t.Errorf("%q: %+v", text, out.Settings)
		}
	}
	if out := read(t, "echo GOPROXY=https://one.example\nGOPROXY=''\n"); out.Known {
		t.Errorf("%+v", out.Settings)
	}
}

func TestOutputOfJSON(t *testing.T) {
	out := read(t, "{\n\t\"Path\": \"example.net/alpha\",\n\t\"Error\": \"example.net/alpha@v1.2.3: Get \\\"https://proxy.example/m\\\": EOF\"\n}\n")
	if len(out.Statements) != 1 || out.Statements[0].Kind != KindEOF || out.Statements[0].Host != "proxy.example" {
		t.Errorf("%+v", out.Statements)
	}
}

func TestUTF16(t *testing.T) {
	text := get + "read tcp 192.0.2.1:5->198.51.100.2:443: wsarecv: An existing connection was forcibly closed by the remote host.\r\n𝄞 é\r\n"
	for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
		b := order.AppendUint16(nil, 0xfeff)
		for _, u := range utf16.Encode([]rune(text)) {
			b = order.AppendUint16(b, u)
		}
		if got := string(utf8Bytes(b)); got != text {
			t.Errorf("converted to %q", got)
		}
		out, err := ReadOutput(bytes.NewReader(append(b, 0xd8))) // half a character at the end
		if err != nil || len(out.Statements) != 1 || out.Statements[0].Kind != KindReset {
			t.Errorf("%v, %+v", err, out)
		}
	}
	if got := string(utf8Bytes([]byte("\xef\xbb\xbfgo"))); got != "go" {
		t.Errorf("mark kept: %q", got)
	}
}

// Secrets in addresses get no further.
func TestSecrets(t *testing.T) {
	const secret = "hunter2"
	for _, line := range []string{
		`go: m@v1.0.0: Get "https://user:hunter2@proxy.example/m/@v/v1.mod": EOF`,
		`go: m@v1.0.0: Get "https://hunter2@proxy.example/m/@v/v1.mod": EOF`,
		`go: m@v1.0.0: Get "https://user:a@hunter2@proxy.example/m/@v/v1.mod": EOF`,
		`go: m@v1.0.0: Get "https://store.example/m.zip?X-Amz-Signature=hunter2&x=1": EOF`,
		`go: m@v1.0.0: reading https://user:hunter2@proxy.example/m: 403 Forbidden`,
		`# get https://user:hunter2@proxy.example/m: 403 Forbidden (0.1s)`,
		`	fatal: unable to access 'https://oauth2:hunter2@git.example/m/': Recv failure: Connection reset by peer`,
		`go: m@v1.0.0: Get "https://proxy.example/m": new words about https://u:hunter2@x.example/y?k=hunter2, and ssh://hunter2@h.example`,
	} {
		out := read(t, line+"\n")
		if len(out.Statements) != 1 {
			t.Errorf("%q: %d statements", line, len(out.Statements))
			continue
		}
		s := out.Statements[0]
		if all := fmt.Sprintf("%+v %+v", s, out.Hosts); strings.Contains(all, secret) {
			t.Errorf("%q leaves %q", line, all)
		}
		if !strings.Contains(s.Text, ".example") {
			t.Errorf("%q: the host is gone from %q", line, s.Text)
		}
	}
}

func TestRedact(t *testing.T) {
	for in, want := range map[string]string{
		"no address at all":                          "no address at all",
		"https://proxy.example/m/@v/v1.0.0.zip":      "https://proxy.example/m/@v/v1.0.0.zip",
		"https://proxy.example:8443/rsc/@v/list":     "https://proxy.example:8443/rsc/@v/list",
		"https://u:p@proxy.example/m/@v/list: EOF":   "https://…@proxy.example/m/@v/list: EOF",
		"https://u:p/q@proxy.example/m":              "https://…@proxy.example/m",
		"https://[2001:db8::1]:443/m/@v/list":        "https://[2001:db8::1]:443/m/@v/list",
		`Get "https://m.example?go-get=1": EOF`:      `Get "https://m.example?go-get=1": EOF`,
		`Get "https://m.example/z?sig=1&b=2": EOF`:   `Get "https://m.example/z?…": EOF`,
		"u:p@proxy.example":                          "…@proxy.example",
		"git@git.example:m failed, what now? ask me": "git@git.example:m failed, what now? ask me",
	} {
		if got := Redact(in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}

func TestBounds(t *testing.T) {
	if _, err := ReadOutput(strings.NewReader(strings.Repeat("x", MaxOutput+1))); err == nil {
		t.Error("an output above the bound was read")
	}
	var b strings.Builder
	for i := range maxStatements + 50 {
		fmt.Fprintf(&b, "# get https://h%d.example/x\ngo: m@v1: Get \"https://h%d.example/x\": EOF\n", i, i)
	}
	b.WriteString(get + strings.Repeat("é", maxText) + "\n" + get + strings.Repeat("y", 2*maxLine) + "\n")
	out := read(t, b.String())
	if len(out.Statements) != maxStatements || out.Omitted != 52 || len(out.Hosts) != maxHosts {
		t.Errorf("%d statements, %d omitted, %d hosts", len(out.Statements), out.Omitted, len(out.Hosts))
	}
	out = read(t, get+strings.Repeat("é", maxText)+"\n")
	if s := out.Statements[0].Text; len(s) > maxText+len("…") || !utf8.ValidString(s) {
		t.Errorf("text of %d bytes", len(s))
	}
}

func FuzzReadOutput(f *testing.F) {
	f.Add([]byte(get + "read tcp 192.0.2.1:5->198.51.100.2:443: read: connection reset by peer\n"))
	f.Add([]byte(get + "dial tcp: lookup proxy.example on 192.0.2.53:53: read udp 192.0.2.1:4->192.0.2.53:53: i/o timeout\n^C\n"))
	f.Add([]byte("# get https://u:p@proxy.example/m?x=y: 403 Forbidden (0.1s)\n\tserver response:\n\tno\nGOPROXY='https://u:p@x.example,direct'\n"))
	f.Add([]byte("\xff\xfeg\x00o\x00:\x00 \x00\n\x00"))
	f.Add([]byte("\"Error\": \"a\\n\\tserver response: Get \\\"https://x\\\": EOF\",\nssh: connect to host h port 22: Connection refused\n"))
	f.Add([]byte(`fatal: unable to access 'https://h/': SSL certificate problem: x509: ` + strings.Repeat("\x1b", 500)))
	f.Fuzz(func(t *testing.T, b []byte) {
		out, err := ReadOutput(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		if len(out.Statements) > maxStatements || len(out.Hosts) > maxHosts {
			t.Fatalf("%d statements, %d hosts", len(out.Statements), len(out.Hosts))
		}
		for i := range out.Statements {
			s := &out.Statements[i]
			if s.Kind >= kinds || s.Kind.String() == "" || s.Line < 1 || s.Line > out.Lines || s.Count < 1 {
				t.Errorf("%+v", s)
			}
			for _, text := range []string{s.Text, s.Host, s.Phrase, s.Reason} {
				if len(text) > maxText+len("…") {
					t.Errorf("%d bytes kept", len(text))
				}
			}
			if s.Local.IsValid() && !s.Remote.IsValid() || s.Remote.Addr() != s.Remote.Addr().Unmap() {
				t.Errorf("addresses %v, %v", s.Local, s.Remote)
			}
			if again := Redact(s.Text); again != s.Text && len(s.Text) < maxText {
				t.Errorf("%q redacts to %q", s.Text, again)
			}
		}
		for host, r := range out.Hosts {
			if host == "" || r.Pending() < 0 || r.NotFound > r.Answered {
				t.Errorf("%q: %+v", host, r)
			}
		}
		_ = out.Settings.Endpoints()
	})
}

func TestPlainAddr(t *testing.T) {
	got := plainAddr(netip.MustParseAddrPort("[::ffff:192.0.2.1]:443"))
	if got != netip.MustParseAddrPort("192.0.2.1:443") {
		t.Error(got)
	}
	if !slices.Contains(kindNames[:], "http-status") || Kind(200).String() != "other" {
		t.Error("kind names")
	}
}
