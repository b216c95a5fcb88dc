package goproxy

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Bounds on the go command's output, which is not trusted.
const (
	MaxOutput     = 16 << 20 // bytes read
	maxLine       = 16 << 10 // bytes of a line that are looked at
	maxText       = 400      // bytes kept of a text
	maxStatements = 1000
	maxHosts      = 1000
)

// ReadOutput reads what the go command printed, with or without -x, as it
// came from a terminal, a redirection (UTF-16 too, which PowerShell's > makes)
// or a CI log that puts times in front of lines.
func ReadOutput(r io.Reader) (*Output, error) {
	b, err := io.ReadAll(io.LimitReader(r, MaxOutput+1))
	if err != nil {
		return nil, err
	}
	if len(b) > MaxOutput {
		return nil, fmt.Errorf("more than %d bytes: this is not one command's output", MaxOutput)
	}
	p := &outputParser{out: &Output{Hosts: make(map[string]Requests)}, seen: make(map[statementKey]int)}
	for line := range bytes.Lines(utf8Bytes(b)) {
		p.out.Lines++
		p.line(string(bytes.TrimRight(line[:min(len(line), maxLine)], "\r\n")))
	}
	return p.out, nil
}

// utf8Bytes converts UTF-16 with a byte order mark and drops UTF-8's mark.
func utf8Bytes(b []byte) []byte {
	var order binary.ByteOrder
	switch {
	case bytes.HasPrefix(b, []byte{0xff, 0xfe}):
		order = binary.LittleEndian
	case bytes.HasPrefix(b, []byte{0xfe, 0xff}):
		order = binary.BigEndian
	default:
		return bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))
	}
	b = b[2:]
	out := make([]byte, 0, len(b)/2)
	for len(b) >= 2 {
		r := rune(order.Uint16(b))
		b = b[2:]
		if utf16.IsSurrogate(r) && len(b) >= 2 {
			if full := utf16.DecodeRune(r, rune(order.Uint16(b))); full != utf8.RuneError {
				r, b = full, b[2:]
			}
		}
		out = utf8.AppendRune(out, r)
	}
	return out
}

type outputParser struct {
	out  *Output
	seen map[statementKey]int // index into out.Statements
	// quoting is true within the lines that hold the server's own words.
	quoting bool
}

// statementKey tells statements apart: two requests that fail alike on the
// way to one host are one statement.
type statementKey struct {
	kind          Kind
	host          string
	local, remote netip.AddrPort
	status, alert int
	phrase        string
}

// line reads one line.
func (p *outputParser) line(s string) {
	// The server's words are its own: they could hold any text at all
	// (cmd/go/internal/web/api.go, HTTPError.Error).
	if strings.HasPrefix(s, "\tserver response:") {
		p.quoting = true
		return
	}
	if p.quoting && strings.HasPrefix(s, "\t") {
		return
	}
	p.quoting = false
	switch trimmed := strings.TrimSpace(s); {
	case trimmed == "":
	case strings.HasPrefix(trimmed, `"Error": `): // go mod download -json
		p.jsonError(trimmed[len(`"Error": `):])
	case p.setting(trimmed):
	default:
		if _, rest, ok := strings.Cut(s, "# get "); ok {
			p.trace(rest)
			return
		}
		p.failure(s, false)
	}
}

// jsonError reads the string of go mod download -json's Error member.
func (p *outputParser) jsonError(s string) {
	var text string
	if json.Unmarshal([]byte(strings.TrimSuffix(s, ",")), &text) != nil {
		return
	}
	for line := range strings.SplitSeq(text, "\n") {
		if strings.HasPrefix(line, "\tserver response:") {
			return
		}
		p.failure(line, false)
	}
}

// setting takes a line of go env.
func (p *outputParser) setting(s string) bool {
	name, value, ok := strings.Cut(strings.TrimPrefix(s, "set "), "=")
	if !ok {
		return false
	}
	var field *string
	switch name {
	case "GOPROXY":
		field = &p.out.Settings.GOPROXY
	case "GOSUMDB":
		field = &p.out.Settings.GOSUMDB
	case "GOPRIVATE":
		field = &p.out.Settings.GOPRIVATE
	case "GONOPROXY":
		field = &p.out.Settings.GONOPROXY
	case "GONOSUMDB":
		field = &p.out.Settings.GONOSUMDB
	default:
		return false
	}
	if len(value) > 1 && (value[0] == '"' || value[0] == '\'') && value[len(value)-1] == value[0] {
		value = value[1 : len(value)-1]
	}
	*field = value
	p.out.Known = p.out.Settings.GOPROXY != ""
	return true
}

// trace reads what follows "# get " in a line of -x: an address alone when a
// request is sent, an address, a colon and the outcome when it ended.
func (p *outputParser) trace(s string) {
	address, outcome, ended := strings.Cut(s, ": ")
	host, _ := hostOf(address)
	if host == "" {
		return
	}
	r, known := p.out.Hosts[host]
	if !known && len(p.out.Hosts) >= maxHosts {
		return
	}
	code, _, isStatus := status(outcome)
	switch {
	case !ended:
		r.Sent++
	case isStatus:
		r.Answered++
		if code == 404 || code == 410 {
			r.NotFound++
		}
	default:
		r.Failed++
	}
	p.out.Hosts[host] = r
	switch {
	case isStatus && code >= 400:
		st := Statement{Kind: KindHTTPStatus, Text: s, Alert: -1, Trace: true}
		st.Status, st.Phrase, _ = status(outcome)
		st.Host, st.Port = hostOf(address)
		p.add(st)
	case ended && !isStatus:
		p.failure(outcome, true)
	}
}

// failure finds the failure that a line tells of, if any.
func (p *outputParser) failure(s string, trace bool) {
	st := Statement{Alert: -1, Trace: trace}
	rest := ""
	switch {
	case st.request(s, &rest), st.reading(s, &rest), st.git(s, &rest), st.ssh(s, &rest), st.operation(s, &rest):
		st.classify(rest)
	case st.signal(s):
	default:
		return
	}
	if st.Kind == KindHTTPStatus && st.Status < 400 {
		return
	}
	p.add(st)
}

func (p *outputParser) add(st Statement) {
	st.Text = clip(Redact(st.Text))
	st.Line, st.Count = p.out.Lines, 1
	key := statementKey{st.Kind, st.Host, st.Local, st.Remote, st.Status, st.Alert, st.Phrase}
	if st.Kind == KindOther {
		key.phrase = st.Text
	}
	if i, ok := p.seen[key]; ok {
		have := &p.out.Statements[i]
		have.Count++
		if have.Trace && !st.Trace {
			have.Trace, have.Text, have.Line = false, st.Text, st.Line
		}
		return
	}
	if len(p.out.Statements) >= maxStatements {
		p.out.Omitted++
		return
	}
	p.seen[key] = len(p.out.Statements)
	p.out.Statements = append(p.out.Statements, st)
}

// operations are what package net/url puts before a quoted address.
var operations = []string{`Get "`, `read "`, `Head "`, `Post "`}

// request finds `Get "URL": ...`.
func (st *Statement) request(s string, rest *string) bool {
	for _, op := range operations {
		i := strings.Index(s, op)
		if i < 0 {
			continue
		}
		quoted := s[i+len(op)-1:]
		n := quoteEnd(quoted[1:])
		if n < 0 || !strings.HasPrefix(quoted[n+2:], ": ") {
			continue
		}
		address, err := strconv.Unquote(quoted[:n+2])
		if err != nil {
			continue
		}
		st.Host, st.Port = hostOf(address)
		st.Text, *rest = s[i:], quoted[n+4:]
		return true
	}
	return false
}

// reading finds `reading URL: ...`.
func (st *Statement) reading(s string, rest *string) bool {
	i := strings.Index(s, "reading http")
	if i < 0 {
		return false
	}
	address, tail, ok := strings.Cut(s[i+len("reading "):], ": ")
	if !ok {
		return false
	}
	st.Host, st.Port = hostOf(address)
	st.Text, *rest = s[i:], tail
	return st.Host != ""
}

// git finds what git prints about an address: fatal: unable to access 'URL': ...
func (st *Statement) git(s string, rest *string) bool {
	const begin = "unable to access '"
	i := strings.Index(s, begin)
	if i < 0 {
		return false
	}
	address, tail, ok := strings.Cut(s[i+len(begin):], "': ")
	if !ok {
		return false
	}
	st.Host, st.Port = hostOf(address)
	st.Text, *rest = s[i:], tail
	return st.Host != ""
}

// ssh finds ssh: connect to host H port N: ...
func (st *Statement) ssh(s string, rest *string) bool {
	const begin = "ssh: connect to host "
	i := strings.Index(s, begin)
	if i < 0 {
		return false
	}
	where, tail, ok := strings.Cut(s[i+len(begin):], ": ")
	if !ok {
		return false
	}
	host, port, _ := strings.Cut(where, " port ")
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return false
	}
	st.setHost(host)
	st.Port, st.Text, *rest = uint16(n), s[i:], "dial: "+tail
	return true
}

// operation finds a bare net.OpError.
func (st *Statement) operation(s string, rest *string) bool {
	first := -1
	for _, op := range []string{"dial tcp", "read tcp ", "write tcp ", "proxyconnect tcp: ", "remote error: tls: ", "tls: failed to verify"} {
		if i := strings.Index(s, op); i >= 0 && (first < 0 || i < first) && (i == 0 || s[i-1] == ' ' || s[i-1] == '\t') {
			first = i
		}
	}
	if first < 0 {
		return false
	}
	st.Text, *rest = s[first:], s[first:]
	return true
}

// signal finds the end by a signal, as shells and os/exec print it.
func (st *Statement) signal(s string) bool {
	t := strings.TrimSpace(s)
	for _, end := range []string{"signal: interrupt", "signal: terminated", "signal: killed"} {
		if strings.HasSuffix(t, end) {
			st.Kind, st.Text = KindInterrupted, end
			return true
		}
	}
	if t == "^C" || t == "exit status 0xc000013a" {
		st.Kind, st.Text = KindInterrupted, t
		return true
	}
	return false
}

// hostOf returns the host and port of an address.
func hostOf(address string) (string, uint16) {
	if len(address) > maxLine {
		return "", 0
	}
	u, err := url.Parse(strings.TrimSpace(address))
	if err != nil || u.Hostname() == "" || !slices.Contains([]string{"http", "https", "ssh", "git", "git+ssh"}, u.Scheme) {
		return "", 0
	}
	e := uint16(443)
	switch u.Scheme {
	case "http":
		e = 80
	case "ssh", "git+ssh":
		e = 22
	case "git":
		e = 9418
	}
	if p := u.Port(); p != "" {
		n, err := strconv.ParseUint(p, 10, 16)
		if err != nil {
			return "", 0
		}
		e = uint16(n)
	}
	host := plainHost(u.Hostname())
	if a, err := netip.ParseAddr(host); err == nil {
		host = a.Unmap().WithZone("").String()
	}
	if len(host) > maxText {
		return "", 0
	}
	return host, e
}

// clip bounds a text, at a character's beginning.
func clip(s string) string {
	if len(s) <= maxText {
		return s
	}
	n := maxText
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}
