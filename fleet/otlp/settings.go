package otlp

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"
)

// Protocol is how requests are encoded and carried.
type Protocol string

// The protocols, by their names in OTEL_EXPORTER_OTLP_PROTOCOL.
const (
	GRPC     Protocol = "grpc"
	HTTP     Protocol = "http/protobuf"
	HTTPJSON Protocol = "http/json"
)

// Protocols lists them.
var Protocols = []Protocol{HTTP, GRPC, HTTPJSON}

// Settings say where requests go, and how.
type Settings struct {
	Protocol Protocol
	Traces   Endpoint
	Metrics  Endpoint
	// UserAgent names this program.
	UserAgent string
}

// Endpoint is where the requests of one signal go.
type Endpoint struct {
	// URL is with HTTP what requests are sent to. With gRPC its host and port
	// count, and of its scheme whether it is https.
	URL *url.URL
	// Headers are sent with each request. Their values are secrets.
	Headers map[string]string
	// Timeout bounds one request, from connecting to the end of the answer.
	Timeout time.Duration
	Gzip    bool
	// TLS is nil for the system's own authorities and no certificate.
	TLS *tls.Config
}

// Name says where requests go without the secrets that a URL may hold.
func (e *Endpoint) Name() string {
	if e.URL.Scheme == "unix" {
		return "unix:" + e.URL.Path
	}
	return e.URL.Scheme + "://" + e.URL.Host
}

// secrets are what must not be shown of an endpoint.
func (e *Endpoint) secrets() (list []string) {
	for _, v := range e.Headers {
		if len(v) > 3 {
			list = append(list, v)
			// "Bearer …": what follows the scheme.
			if _, credentials, ok := strings.Cut(v, " "); ok && len(credentials) > 3 {
				list = append(list, credentials)
			}
		}
	}
	if p, ok := e.URL.User.Password(); ok && p != "" {
		list = append(list, p)
	}
	if len(e.URL.RawQuery) > 3 {
		list = append(list, e.URL.RawQuery)
	}
	return list
}

// Flags are what the command line says; it comes before the environment.
type Flags struct {
	Endpoint string   // of all signals, "" for the environment's
	Protocol string   // likewise
	Headers  []string // NAME=VALUE, added to those of the environment
}

// Defaults of the specification.
const (
	defaultTimeout = 10 * time.Second
	defaultGRPC    = "http://localhost:4317"
	defaultHTTP    = "http://localhost:4318"
)

// Load makes settings of flags and of the environment, by the rules of the
// OpenTelemetry Protocol Exporter: a variable of one signal
// (OTEL_EXPORTER_OTLP_TRACES_…) comes before that of all. Unlike an exporter
// within a program, which goes on with defaults, it takes a value that it
// cannot read for an error: what is meant for one endpoint must not go to
// another, nor in clear.
func Load(f Flags, getenv func(string) string) (*Settings, error) {
	traces, metrics := signal{"TRACES", "v1/traces", f, getenv}, signal{"METRICS", "v1/metrics", f, getenv}
	p, err := traces.protocol()
	if err != nil {
		return nil, err
	}
	if m, err := metrics.protocol(); err != nil {
		return nil, err
	} else if m != p {
		return nil, fmt.Errorf("traces by %s and metrics by %s: one protocol is for both", p, m)
	}
	s := &Settings{Protocol: p}
	if err := errors.Join(traces.endpoint(p, &s.Traces), metrics.endpoint(p, &s.Metrics)); err != nil {
		return nil, err
	}
	return s, nil
}

// signal reads the settings of one signal.
type signal struct {
	name, path string
	flags      Flags
	getenv     func(string) string
}

// look returns the value of a setting and the variable that it comes from.
func (s signal) look(setting string) (value, variable string) {
	for _, v := range []string{"OTEL_EXPORTER_OTLP_" + s.name + "_" + setting, "OTEL_EXPORTER_OTLP_" + setting} {
		if value = strings.TrimSpace(s.getenv(v)); value != "" {
			return value, v
		}
	}
	return "", ""
}

func (s signal) protocol() (Protocol, error) {
	value, from := s.flags.Protocol, "--protocol"
	if value == "" {
		value, from = s.look("PROTOCOL")
	}
	if value == "" {
		return HTTP, nil
	}
	for _, p := range Protocols {
		if value == string(p) {
			return p, nil
		}
	}
	return "", fmt.Errorf("%s: unknown protocol %q, it is one of %s, %s, %s", from, value, HTTP, GRPC, HTTPJSON)
}

func (s signal) endpoint(p Protocol, e *Endpoint) (err error) {
	if e.URL, err = s.url(p); err != nil {
		return err
	}
	if e.Headers, err = s.headers(); err != nil {
		return err
	}
	if e.Timeout, err = s.timeout(); err != nil {
		return err
	}
	switch v, from := s.look("COMPRESSION"); v {
	case "gzip":
		e.Gzip = true
	case "", "none":
	default:
		return fmt.Errorf("%s: unknown compression %q, it is gzip or none", from, v)
	}
	if e.TLS, err = s.tls(); err != nil {
		return err
	}
	if e.TLS != nil && e.URL.Scheme != "https" {
		return fmt.Errorf("%s: certificates are set, but the endpoint %s is not https", strings.ToLower(s.name), e.Name())
	}
	return nil
}

func (s signal) url(p Protocol) (*url.URL, error) {
	value, from, own := s.flags.Endpoint, "--endpoint", false
	if value == "" {
		if value, from = s.look("ENDPOINT"); value != "" {
			own = strings.Contains(from, s.name)
		}
	}
	switch {
	case value != "":
	case p == GRPC:
		value, from = defaultGRPC, "default"
	default:
		value, from = defaultHTTP, "default"
	}
	if p == GRPC && !strings.Contains(value, "://") && !strings.HasPrefix(value, "unix:") {
		// host:port, for which OTEL_EXPORTER_OTLP_INSECURE speaks.
		scheme := "https"
		if v, _ := s.look("INSECURE"); strings.EqualFold(v, "true") {
			scheme = "http"
		}
		value = scheme + "://" + value
	}
	u, err := url.Parse(value)
	if err != nil {
		// The error holds the URL, which may hold a password.
		return nil, fmt.Errorf("%s: not a URL", from)
	}
	switch {
	case p == GRPC && u.Scheme == "unix":
		return u, nil
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("%s: scheme %q, want http or https", from, u.Scheme)
	case u.Host == "" || u.Hostname() == "":
		return nil, fmt.Errorf("%s: the URL names no host", from)
	}
	if p != GRPC {
		if !own {
			// A base; what is set for one signal is taken as it is.
			u = u.JoinPath(s.path)
		} else if u.Path == "" {
			u.Path = "/"
		}
	}
	return u, nil
}

// headers reads NAME=VALUE pairs. Those of the environment are encoded as in W3C
// Baggage. No error quotes a value.
func (s signal) headers() (map[string]string, error) {
	out := map[string]string{}
	add := func(from string, i int, name, value string, ok bool) error {
		name = strings.TrimSpace(name)
		if !ok || !httpguts.ValidHeaderFieldName(name) {
			return fmt.Errorf("%s: element %d is not NAME=VALUE", from, i+1)
		}
		if !httpguts.ValidHeaderFieldValue(value) {
			return fmt.Errorf("%s: the value of %s holds bytes that no field may hold", from, name)
		}
		out[strings.ToLower(name)] = value
		return nil
	}
	if list, from := s.look("HEADERS"); list != "" {
		for i, pair := range strings.Split(list, ",") {
			if strings.TrimSpace(pair) == "" {
				continue
			}
			name, value, ok := strings.Cut(pair, "=")
			value, err := url.PathUnescape(strings.TrimSpace(value))
			if err := add(from, i, name, value, ok && err == nil); err != nil {
				return nil, err
			}
		}
	}
	for i, pair := range s.flags.Headers {
		name, value, ok := strings.Cut(pair, "=")
		if err := add("--header", i, name, strings.TrimSpace(value), ok); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (s signal) timeout() (time.Duration, error) {
	v, from := s.look("TIMEOUT")
	if v == "" {
		return defaultTimeout, nil
	}
	ms, err := strconv.ParseUint(v, 10, 31)
	if err != nil {
		return 0, fmt.Errorf("%s: %q is not a number of milliseconds", from, v)
	}
	if ms == 0 {
		return 0, fmt.Errorf("%s: without a limit a hanging endpoint would never be asked again", from)
	}
	return time.Duration(ms) * time.Millisecond, nil
}

func (s signal) tls() (*tls.Config, error) {
	ca, caFrom := s.look("CERTIFICATE")
	cert, certFrom := s.look("CLIENT_CERTIFICATE")
	key, keyFrom := s.look("CLIENT_KEY")
	if ca == "" && cert == "" && key == "" {
		return nil, nil
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if ca != "" {
		pem, err := os.ReadFile(ca)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", caFrom, err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s: %s holds no certificate in PEM", caFrom, ca)
		}
	}
	if (cert == "") != (key == "") {
		return nil, fmt.Errorf("%s is set without its other half: a client's certificate goes with its key", certFrom+keyFrom)
	}
	if cert != "" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", certFrom, err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}
