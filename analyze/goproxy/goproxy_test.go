package goproxy

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"
)

func TestHosts(t *testing.T) {
	tests := []struct {
		name           string
		goproxy, gosum string
		want           []Endpoint
	}{
		{"list with commas and bars", "https://goproxy.cn,https://mirror.example|https://other.example:8443/path,direct", "off",
			[]Endpoint{{"goproxy.cn", 443}, {"mirror.example", 443}, {"other.example", 8443}}},
		{"credentials are dropped", "https://user:secret@Mirror.Example:444/x", "off", []Endpoint{{"mirror.example", 444}}},
		{"nothing after direct", "direct,https://goproxy.cn", "off", nil},
		{"nothing after off", "https://goproxy.cn,off,https://mirror.example", "off", []Endpoint{{"goproxy.cn", 443}}},
		{"a directory is no host", "file:///srv/mirror,https://goproxy.cn", "off", []Endpoint{{"goproxy.cn", 443}}},
		{"no scheme", "goproxy.cn", "off", []Endpoint{{"goproxy.cn", 443}}},
		{"no scheme, port", "mirror.example:8443", "off", []Endpoint{{"mirror.example", 8443}}},
		{"plain http", "http://mirror.example", "off", []Endpoint{{"mirror.example", 80}}},
		{"IPv6", "https://[2001:db8::1]:3000", "off", []Endpoint{{"2001:db8::1", 3000}}},
		{"spaces", " https://goproxy.cn , direct", "off", []Endpoint{{"goproxy.cn", 443}}},
		{"impossible port", "https://mirror.example:99999", "off", nil},
		{"rubbish", "https://%zz,::,\x1b[31m", "\x00", nil},
		{"database by key", "off", "sums.example+033de0ae+AcBase64Key", []Endpoint{{"sums.example", 443}}},
		{"database with address", "off", "sums.example+033de0ae+AcBase64Key https://mirror.example/sumdb", []Endpoint{{"mirror.example", 443}}},
		{"one host for both", "https://mirror.example", "sums.example https://mirror.example/sumdb", []Endpoint{{"mirror.example", 443}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := Settings{GOPROXY: tt.goproxy, GOSUMDB: tt.gosum}.Endpoints()
			if !slices.Equal(got, tt.want) {
				t.Errorf("GOPROXY=%q GOSUMDB=%q:\n got %v\nwant %v", tt.goproxy, tt.gosum, got, tt.want)
			}
		})
	}
	two := Settings{GOPROXY: "https://mirror.example,https://mirror.example:8443"}
	if got := two.Hosts(); !slices.Equal(got, []string{"mirror.example"}) {
		t.Errorf("Hosts() = %q, want the host once", got)
	}
}

func TestDefaults(t *testing.T) {
	s, from := Load(context.Background(), false, func(string) string { return "" })
	if from != FromDefaults || len(s.Hosts()) != 2 {
		t.Errorf("Load = %+v from %s, want the two default hosts", s, from)
	}
}

func TestEnvironmentWins(t *testing.T) {
	env := map[string]string{"GOPROXY": "https://goproxy.cn", "GOSUMDB": "off"}
	s, from := Load(context.Background(), true, func(k string) string { return env[k] })
	if from != FromEnvironment || !slices.Equal(s.Hosts(), []string{"goproxy.cn"}) {
		t.Errorf("Load = %+v from %s", s, from)
	}
}

// script writes a stand-in for the go command.
func script(t *testing.T, body string) string {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("needs a Unix shell")
	}
	p := filepath.Join(t.TempDir(), "go")
	if err := os.WriteFile(p, []byte("#!/bin/sh\n"+body), 0o755); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestGoEnvOutsideAnyModule(t *testing.T) {
	p := script(t, `test "$GOTOOLCHAIN$GOWORK$GOFLAGS" = localoff || exit 1
test -z "$(ls)" || exit 1
echo '{"GOPROXY":"https://goproxy.cn","GOSUMDB":"off","GOPRIVATE":"*.corp.example"}'`)
	t.Setenv("GOTOOLCHAIN", "go9.99")
	t.Setenv("GOFLAGS", "-mod=vendor")
	s, ok := goEnv(context.Background(), p)
	if !ok || s.GOPROXY != "https://goproxy.cn" || s.GOPRIVATE != "*.corp.example" {
		t.Errorf("goEnv = %+v, %v", s, ok)
	}
}

func TestGoEnvThatHangs(t *testing.T) {
	// The shell's child keeps standard output open after the shell is gone.
	p := script(t, "sleep 30 & sleep 30\n")
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	start := time.Now()
	if s, ok := goEnv(ctx, p); ok {
		t.Errorf("goEnv = %+v, want nothing", s)
	}
	if d := time.Since(start); d > 5*time.Second {
		t.Errorf("goEnv took %v", d)
	}
}

func TestGoEnvBroken(t *testing.T) {
	for _, body := range []string{"exit 1", "echo '{'", "echo '{}'", "yes | head -c 3000000"} {
		if s, ok := goEnv(context.Background(), script(t, body)); ok {
			t.Errorf("go env that does %q: %+v, want nothing", body, s)
		}
	}
	if _, ok := goEnv(context.Background(), filepath.Join(t.TempDir(), "absent")); ok {
		t.Error("a go command that does not exist gave settings")
	}
}

func FuzzEndpoints(f *testing.F) {
	f.Add("https://goproxy.cn,direct", "off")
	f.Add("https://u:p@[::1]:3|file:///x", "a+b+c https://x.example")
	f.Fuzz(func(t *testing.T, p, s string) {
		for _, e := range (Settings{GOPROXY: p, GOSUMDB: s}).Endpoints() {
			if e.Host == "" || e.Port == 0 {
				t.Errorf("GOPROXY=%q GOSUMDB=%q: endpoint %+v", p, s, e)
			}
		}
	})
}
