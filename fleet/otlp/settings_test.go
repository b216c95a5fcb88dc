package otlp

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"maps"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func env(pairs ...string) func(string) string {
	m := map[string]string{}
	for _, p := range pairs {
		name, value, _ := strings.Cut(p, "=")
		m["OTEL_EXPORTER_OTLP_"+name] = value
	}
	return func(name string) string { return m[name] }
}

// The rules of the OpenTelemetry Protocol Exporter, one by one.
func TestEndpoints(t *testing.T) {
	for _, c := range []struct {
		name            string
		flags           Flags
		env             []string
		protocol        Protocol
		traces, metrics string
	}{
		{"nothing", Flags{}, nil, HTTP, "http://localhost:4318/v1/traces", "http://localhost:4318/v1/metrics"},
		{"grpc", Flags{}, []string{"PROTOCOL=grpc"}, GRPC, "http://localhost:4317", "http://localhost:4317"},
		{"a base", Flags{}, []string{"ENDPOINT=https://a.example/otlp"}, HTTP, "https://a.example/otlp/v1/traces", "https://a.example/otlp/v1/metrics"},
		{"a base with a slash", Flags{}, []string{"ENDPOINT=http://a.example/otlp/"}, HTTP, "http://a.example/otlp/v1/traces", "http://a.example/otlp/v1/metrics"},
		{"one signal's, as it is", Flags{}, []string{"ENDPOINT=http://a.example", "TRACES_ENDPOINT=http://b.example/x"}, HTTP, "http://b.example/x", "http://a.example/v1/metrics"},
		{"one signal's without a path", Flags{}, []string{"METRICS_ENDPOINT=http://b.example:1"}, HTTP, "http://localhost:4318/v1/traces", "http://b.example:1/"},
		{"the flag", Flags{Endpoint: "http://c.example:9", Protocol: "http/json"}, []string{"TRACES_ENDPOINT=http://b.example/x", "PROTOCOL=grpc"}, HTTPJSON, "http://c.example:9/v1/traces", "http://c.example:9/v1/metrics"},
		{"host and port are secure", Flags{}, []string{"PROTOCOL=grpc", "ENDPOINT=a.example:4317"}, GRPC, "https://a.example:4317", "https://a.example:4317"},
		{"unless they are said not to be", Flags{}, []string{"PROTOCOL=grpc", "ENDPOINT=a.example:4317", "INSECURE=TRUE"}, GRPC, "http://a.example:4317", "http://a.example:4317"},
		{"the scheme counts more", Flags{}, []string{"PROTOCOL=grpc", "ENDPOINT=https://a.example:4317", "INSECURE=true"}, GRPC, "https://a.example:4317", "https://a.example:4317"},
		{"insecure for one signal", Flags{}, []string{"PROTOCOL=grpc", "ENDPOINT=a.example:1", "TRACES_INSECURE=true"}, GRPC, "http://a.example:1", "https://a.example:1"},
		{"a socket", Flags{}, []string{"PROTOCOL=grpc", "ENDPOINT=unix:///run/otel.sock"}, GRPC, "unix:///run/otel.sock", "unix:///run/otel.sock"},
		{"IPv6", Flags{Endpoint: "http://[::1]:4318"}, nil, HTTP, "http://[::1]:4318/v1/traces", "http://[::1]:4318/v1/metrics"},
		{"blank is not set", Flags{}, []string{"ENDPOINT= ", "PROTOCOL= "}, HTTP, "http://localhost:4318/v1/traces", "http://localhost:4318/v1/metrics"},
	} {
		s, err := Load(c.flags, env(c.env...))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if s.Protocol != c.protocol || s.Traces.URL.String() != c.traces || s.Metrics.URL.String() != c.metrics {
			t.Errorf("%s: %s, %s, %s", c.name, s.Protocol, s.Traces.URL, s.Metrics.URL)
		}
		if s.Traces.Timeout != 10*time.Second || s.Traces.Gzip {
			t.Errorf("%s: timeout %v, gzip %t", c.name, s.Traces.Timeout, s.Traces.Gzip)
		}
	}
}

func TestOtherSettings(t *testing.T) {
	s, err := Load(Flags{Headers: []string{"X-Own = with, comma"}}, env(
		"HEADERS=Authorization=Bearer%20abc,api-key=k%3D1,", "TRACES_HEADERS=tenant=t", "TIMEOUT=1500", "METRICS_TIMEOUT=20", "TRACES_COMPRESSION=gzip", "COMPRESSION=none"))
	if err != nil {
		t.Fatal(err)
	}
	if want := map[string]string{"tenant": "t", "x-own": "with, comma"}; !maps.Equal(s.Traces.Headers, want) {
		t.Errorf("traces: %v", s.Traces.Headers)
	}
	if want := map[string]string{"authorization": "Bearer abc", "api-key": "k=1", "x-own": "with, comma"}; !maps.Equal(s.Metrics.Headers, want) {
		t.Errorf("metrics: %v", s.Metrics.Headers)
	}
	if s.Traces.Timeout != 1500*time.Millisecond || s.Metrics.Timeout != 20*time.Millisecond || !s.Traces.Gzip || s.Metrics.Gzip {
		t.Errorf("%+v %+v", s.Traces, s.Metrics)
	}
}

// Settings that cannot be read are errors, and no error shows a secret.
func TestWrongSettings(t *testing.T) {
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		flags Flags
		env   []string
		want  string
	}{
		{Flags{}, []string{"PROTOCOL=http"}, `OTEL_EXPORTER_OTLP_PROTOCOL: unknown protocol "http"`},
		{Flags{Protocol: "x"}, nil, "--protocol: unknown"},
		{Flags{}, []string{"TRACES_PROTOCOL=grpc", "METRICS_PROTOCOL=http/json"}, "one protocol is for both"},
		{Flags{Endpoint: "ftp://a.example"}, nil, `--endpoint: scheme "ftp"`},
		{Flags{Endpoint: "a.example:4318"}, nil, "--endpoint: scheme"},
		{Flags{Endpoint: "http://:4318"}, nil, "names no host"},
		{Flags{Endpoint: "http://u:sesame@a.example:port"}, nil, "--endpoint: not a URL"},
		{Flags{}, []string{"HEADERS=sesame"}, "OTEL_EXPORTER_OTLP_HEADERS: element 1 is not NAME=VALUE"},
		{Flags{}, []string{"HEADERS=a=1,b=%zzsesame"}, "element 2"},
		{Flags{Headers: []string{"a=sesame\x00"}}, nil, "--header: the value of a holds bytes"},
		{Flags{Headers: []string{"a b=sesame"}}, nil, "--header: element 1"},
		{Flags{}, []string{"TIMEOUT=10s"}, "not a number of milliseconds"},
		{Flags{}, []string{"TIMEOUT=0"}, "without a limit"},
		{Flags{}, []string{"COMPRESSION=zstd"}, "unknown compression"},
		{Flags{Endpoint: "https://a.example"}, []string{"CERTIFICATE=" + dir + "/none.pem"}, "OTEL_EXPORTER_OTLP_CERTIFICATE: open"},
		{Flags{Endpoint: "https://a.example"}, []string{"CERTIFICATE=" + empty}, "holds no certificate in PEM"},
		{Flags{Endpoint: "https://a.example"}, []string{"CLIENT_KEY=" + empty}, "without its other half"},
		{Flags{Endpoint: "https://a.example"}, []string{"CLIENT_KEY=" + empty, "CLIENT_CERTIFICATE=" + empty}, "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE: "},
	} {
		_, err := Load(c.flags, env(c.env...))
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "sesame") {
			t.Errorf("%+v %q: %v, want %s", c.flags, c.env, err, c.want)
		}
	}
	certificate, _ := selfSigned(t, dir)
	if _, err := Load(Flags{Endpoint: "http://a.example"}, env("CERTIFICATE="+certificate)); err == nil || !strings.Contains(err.Error(), "not https") {
		t.Errorf("a certificate for a connection in clear: %v", err)
	}
}

// selfSigned writes a certificate for 127.0.0.1 and its key, and returns their
// files.
func selfSigned(t testing.TB, dir string) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	about := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, about, about, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	certificate, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, block := range map[string]*pem.Block{certificate: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: raw}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certificate, key
}
