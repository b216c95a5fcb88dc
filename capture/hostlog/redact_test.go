package hostlog

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestRedactText(t *testing.T) {
	for in, want := range map[string]string{
		"https://user:s3cret@proxy.example/x":                          "https://xxxxx@proxy.example/x",
		"https://ghp_s3cret@git.example/r.git":                         "https://xxxxx@git.example/r.git",
		"get https://u:s3cret@a.example, then http://v:s3cret@b:80/@v": "get https://xxxxx@a.example, then http://xxxxx@b:80/@v",
		"https://u:s3/cr?e#t@h.example/p":                              "https://xxxxx@h.example/p",
		"https://u:s3@cret@h.example":                                  "https://xxxxx@h.example",
		"https://a.example,https://u:s3cret@b.example|direct":          "https://a.example,https://xxxxx@b.example|direct",
		"https://a,s3cret:b@h.example":                                 "https://xxxxx@h.example",
		"ssh://git:s3cret@git.example":                                 "ssh://xxxxx@git.example",
		"socks5://u:s3cret@h:1080":                                     "socks5://xxxxx@h:1080",
		"http.extraHeader=AUTHORIZATION: basic s3cret=":                "http.extraHeader=AUTHORIZATION: xxxxx",
		`{"Cookie": "a"} cookie: s3cret; s3cret`:                       `{"Cookie": "a"} cookie: xxxxx`,
		"https://h.example/z?Expires=1&X-Signature=s3cret&b=1":         "https://h.example/z?Expires=1&X-Signature=xxxxx&b=1",
		"--access-token=s3cret --x=1":                                  "--access-token=xxxxx --x=1",
		"https://u:s3cret@x@https://v:s3cret@y":                        "https://xxxxx@https://xxxxx@y",
	} {
		got := RedactText(in)
		if got != want || strings.Contains(got, "s3c") || RedactText(got) != got {
			t.Errorf("%s\n got %s\nwant %s", in, got, want)
		}
	}
	// The innocent look-alikes stay as they are.
	for _, s := range []string{
		"", "go: downloading example.com/m v1.0.0",
		`Get "https://goproxy.cn/golang.org/x/net/@v/v0.1.0.mod": dial tcp 192.0.2.1:443: i/o timeout`,
		"https://[2001:db8::1]:8443/m/@v/list", "https://proxy.example:8443/m/@v/list", "ssh://git@git.example/r",
		"git@git.example:org/repo", "golang.org/x/net@v0.1.0", "https://goproxy.cn,direct",
		"https://goproxy.cn|https://proxy.example,https://other.example/a@b", "-ldflags=-X main.version=1", "\xff://\xff",
	} {
		if got := RedactText(s); got != s {
			t.Errorf("%q became %q", s, got)
		}
	}
}

// TestRedactIsLinear fails by its time where the work grows with the square.
func TestRedactIsLinear(t *testing.T) {
	for _, piece := range []string{"://", "://a:b", "a@://", "token", "token=", "cookie", "cookie:", "passwd.", "://:b/"} {
		s := strings.Repeat(piece, 1<<20/len(piece))
		begin := time.Now()
		RedactText(s)
		if d := time.Since(begin); d > 20*time.Second {
			t.Errorf("%q: %v for %d bytes", piece, d, len(s))
		} else {
			t.Logf("%q: %v", piece, d)
		}
	}
}

func TestRedactSetting(t *testing.T) {
	for _, c := range [][3]string{
		{"HTTPS_PROXY", "user:s3cret@proxy.example:3128", "xxxxx@proxy.example:3128"},
		{"https_proxy", "http://user:s3cret@proxy.example:3128", "http://xxxxx@proxy.example:3128"},
		{"HTTPS_PROXY", "proxy.example:3128", "proxy.example:3128"},
		{"GOPROXY", "u:s3cret@a.example,v:s3cret@b.example|direct", "xxxxx@a.example,xxxxx@b.example|direct"},
		// Whether the comma ends the URL or stands in a password is not known.
		{"GOPROXY", "https://a.example,u:s3cret@b.example", "https://xxxxx@b.example"},
		{"GOPROXY", "https://goproxy.cn,direct", "https://goproxy.cn,direct"},
		{"GITHUB_TOKEN", "s3cret", "xxxxx"}, {"GITHUB_TOKEN", "", ""}, {"DB_PASSWORD", "a s3cret", "xxxxx"},
		{"GIT_CONFIG_VALUE_0", "AUTHORIZATION: basic s3cret", "AUTHORIZATION: xxxxx"},
		{"NO_PROXY", "a@b.example", "a@b.example"}, {"SSL_CERT_FILE", "/etc/ca.pem", "/etc/ca.pem"}, {"GONOPROXY", "*.corp.example", "*.corp.example"},
	} {
		if got := RedactSetting(c[0], c[1]); got != c[2] || RedactSetting(c[0], got) != got {
			t.Errorf("%s=%s: %s, want %s", c[0], c[1], got, c[2])
		}
	}
}

func TestRedactArgs(t *testing.T) {
	in := []string{"git", "-c", "http.extraheader=Authorization: Bearer s3cret", "clone", "https://u:s3cret@git.example/r",
		"--token", "s3cret", "HTTPS_PROXY=u:s3cret@h:1", "u:s3cret@h:3128", "git@git.example:o/r", "--password", "-v", "m@v1.0.0",
		`C:\go\toolchain@v0.0.1\go.exe`, `c:s3cret\@h`}
	want := []string{"git", "-c", "http.extraheader=Authorization: xxxxx", "clone", "https://xxxxx@git.example/r",
		"--token", "xxxxx", "HTTPS_PROXY=xxxxx@h:1", "xxxxx@h:3128", "git@git.example:o/r", "--password", "-v", "m@v1.0.0",
		`C:\go\toolchain@v0.0.1\go.exe`, "xxxxx@h"}
	if got := RedactArgs(in); !reflect.DeepEqual(got, want) || !reflect.DeepEqual(RedactArgs(got), got) {
		t.Errorf("got %q", got)
	}
	if in[4] != "https://u:s3cret@git.example/r" {
		t.Error("the caller's arguments were changed")
	}
	if RedactArgs(nil) != nil {
		t.Error("arguments that are not known became known")
	}
}

// TestNoCredentialsInEntries looks for the secret in whole entries, MESSAGE
// included.
func TestNoCredentialsInEntries(t *testing.T) {
	for _, r := range []Record{
		&Setting{Time: 1, Name: "GOPROXY", Value: "https://u:s3cret@proxy.example,direct"},
		&Setting{Time: 1, Name: "HTTPS_PROXY", Value: "u:s3cret@proxy.example:3128"},
		&Setting{Time: 1, Name: "GIT_TOKEN", Value: "s3cret"},
		&Process{Time: 1, Name: "git", Args: []string{"git", "fetch", "https://u:s3cret@git.example"}},
		&Process{Time: 1, Name: "curl", Args: []string{"curl", "--password", "s3cret"}},
		&Process{Time: 1, Name: "env", Args: []string{"env", "https_proxy=u:s3cret@h"}},
		&Line{Time: 1, Stream: "stderr", Text: `fatal: unable to access 'https://u:s3cret@git.example/'`},
		&Line{Time: 1, Text: strings.Repeat("x", maxText-9) + "https://user:s3cret@git.example"},
		&Event{Time: 1, Origin: "capture", Text: "run: git fetch https://s3cret@git.example"},
	} {
		for name, v := range Fields(r) {
			if strings.Contains(v, "s3c") {
				t.Errorf("%T: %s holds the secret", r, name)
			}
		}
	}
}

func FuzzRedact(f *testing.F) {
	for _, s := range []string{"https://u:p@h", "a=b https://u:p/@v://@:x@y", "GOPROXY=u:p@h,https://x|y@z", "token=x&y", "cookie: a\"b cookie=c", "://,0 00000000@"} {
		f.Add("GOPROXY", s)
		f.Add("https_proxy", s)
	}
	f.Fuzz(func(t *testing.T, name, value string) {
		for what, f := range map[string]func(string) string{
			"text":     RedactText,
			"setting":  func(s string) string { return RedactSetting(name, s) },
			"argument": func(s string) string { return RedactArgs([]string{s})[0] },
		} {
			once := f(value)
			if twice := f(once); twice != once {
				t.Fatalf("%s %q: %q, then %q", what, value, once, twice)
			}
		}
	})
}
