package redact

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

// public is a list of public hosts for tests.
func public(host string) string {
	for _, d := range []string{"goproxy.cn", "github.com", "golang.org", "golang.example", "amazonaws.com"} {
		switch {
		case host == d:
			return host
		case strings.HasSuffix(host, "."+d):
			if strings.HasPrefix(d, "golang.") {
				return host
			}
			return d
		}
	}
	return ""
}

func newTest(o Options) *Redactor {
	o.Public = public
	return New(o)
}

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func TestAddresses(t *testing.T) {
	for _, key := range [][]byte{nil, []byte("a key of enough bytes")} {
		r := newTest(Options{Key: key})
		r.LearnClient(addr("198.51.100.7"))
		r.LearnClient(addr("2001:db8:50::10"))
		// What says something by itself stays, and so do servers.
		for _, s := range []string{"127.0.0.1", "::1", "0.0.0.0", "::", "198.18.0.5", "255.255.255.255", "224.0.0.251", "ff02::fb", "203.0.113.10", "2001:db8:113::10", "8.8.8.8"} {
			if got := r.Addr(addr(s)); got != addr(s) {
				t.Errorf("%s became %s", s, got)
			}
		}
		// What is private becomes another of its block.
		seen := make(map[netip.Addr]string)
		for s, block := range map[string]string{
			"10.1.2.3": "10.0.0.0/8", "10.1.2.4": "10.0.0.0/8", "172.20.1.1": "172.16.0.0/12", "192.168.1.1": "192.168.0.0/16", "192.168.2.1": "192.168.0.0/16",
			"100.64.1.1": "100.64.0.0/10", "169.254.7.7": "169.254.0.0/16", "fe80::1:2": "fe80::/10", "fd12:3456::9": "fc00::/7", "fec0::1": "fc00::/7",
			"198.51.100.7": "240.0.0.0/4", "198.51.100.1": "240.0.0.0/4", "240.0.0.1": "240.0.0.0/4", "2001:db8:50::10": "3fff::/20", "3fff::1": "3fff::/20",
			"2001:0:1:2:3:4:5:6": "3fff::/20", "2002:c000:204::1": "3fff::/20", "64:ff9b:1::a01:203": "3fff::/20", "2001:db8:9::5efe:10.1.2.3": "3fff::/20",
		} {
			got := r.Addr(addr(s))
			if !netip.MustParsePrefix(block).Contains(got) || got == addr(s) && key == nil && !strings.HasSuffix(s, "::1") && s != "240.0.0.1" && s != "192.168.1.1" {
				t.Errorf("%s became %s, want another of %s", s, got, block)
			}
			if have, taken := seen[got]; taken {
				t.Errorf("%s and %s both became %s", s, have, got)
			}
			seen[got] = s
			if again := r.Addr(addr(s)); again != got {
				t.Errorf("%s became %s, then %s", s, got, again)
			}
		}
		// One network stays one; its own address and the last one stay such.
		net := func(s string) netip.Prefix { return network(r.Addr(addr(s))) }
		if net("10.1.2.3") != net("10.1.2.4") || net("10.1.2.3") == net("10.1.3.3") || net("198.51.100.7") != net("198.51.100.1") || net("fd12:3456::9") != net("fd12:3456::77") {
			t.Error("networks are not kept")
		}
		if a, b := r.Addr(addr("10.1.2.0")).As4(), r.Addr(addr("10.1.2.255")).As4(); a[3] != 0 || b[3] != 255 {
			t.Errorf("the ends of a network became %v and %v", a, b)
		}
		// Solicited-node multicast follows its address, the mapped form its own.
		is := r.Addr(addr("fe80::1:2")).As16()
		if got := r.Addr(addr("ff02::1:ff01:2")).As16(); [3]byte(got[13:]) != [3]byte(is[13:]) {
			t.Errorf("solicited-node address %v of %v", netip.AddrFrom16(got), netip.AddrFrom16(is))
		}
		if got := r.Addr(addr("::ffff:10.1.2.3")); got.Unmap() != r.Addr(addr("10.1.2.3")) || !got.Is4In6() {
			t.Errorf("a mapped address became %s", got)
		}
		if got := r.Addr(addr("64:ff9b::10.1.2.3")); got != addr("64:ff9b::"+r.Addr(addr("10.1.2.3")).String()) {
			t.Errorf("an address behind NAT64 became %s", got)
		}
	}
}

// No two addresses of a network become one, however many come.
func TestAddressesStayApart(t *testing.T) {
	for _, key := range [][]byte{nil, []byte("a key of enough bytes")} {
		r := newTest(Options{Key: key})
		seen := make(map[netip.Addr]bool)
		for i := range 1 << 14 {
			a := r.Addr(netip.AddrFrom4([4]byte{172, 16 + byte(i>>12), byte(i >> 4), 1 + byte(i<<3)}))
			if seen[a] {
				t.Fatalf("address %d became %s, which another is already", i, a)
			}
			seen[a] = true
		}
	}
}

func TestKeyMakesThemTheSame(t *testing.T) {
	a, b := newTest(Options{Key: []byte("one key of enough bytes")}), newTest(Options{Key: []byte("one key of enough bytes")})
	c := newTest(Options{Key: []byte("another key of enough bytes")})
	b.Host("something.else.example")
	b.Addr(addr("10.9.9.9"))
	for _, f := range []func(*Redactor) string{
		func(r *Redactor) string { return r.Addr(addr("10.1.2.3")).String() },
		func(r *Redactor) string { return r.Addr(addr("fd12::1")).String() },
		func(r *Redactor) string { return r.Host("proxy.corp.internal") },
		func(r *Redactor) string { return r.User("alice") },
		func(r *Redactor) string { return r.Module("git.corp.example/team/secret@v1.0.0") },
		func(r *Redactor) string { m := r.MAC([6]byte{0xb8, 1, 2, 3, 4, 5}); return formatMAC(m, ':') },
	} {
		if f(a) != f(b) {
			t.Errorf("one key gave %s and %s", f(a), f(b))
		}
		if f(a) == f(c) {
			t.Errorf("two keys gave %s", f(a))
		}
	}
}

func TestHosts(t *testing.T) {
	for _, key := range [][]byte{nil, []byte("a key of enough bytes")} {
		r := newTest(Options{Key: key})
		for _, s := range []string{"goproxy.cn", "GitHub.com", "sum.golang.example.", "localhost", "", "*"} {
			if got := r.Host(s); got != s {
				t.Errorf("%q became %q", s, got)
			}
		}
		for _, s := range []string{"proxy.corp.internal", "db", "a.b.c.d.example", "PROXY.Corp.Internal", "xn--bcher-kva.example", "bücher.example", "*.corp.example",
			"5.1.168.192.in-addr.arpa", strings.Repeat("x", 63) + ".example", "bucket.s3.amazonaws.com", "_ldap._tcp.corp.acme", "host-1.example", "proxy.corp.internal."} {
			got := r.Host(s)
			if len(got) != len(s) || strings.Count(got, ".") != strings.Count(s, ".") {
				t.Errorf("%q became %q, which does not fit", s, got)
			}
			if strings.Contains(got, "corp") || strings.Contains(got, "acme") || strings.Contains(got, "168") || strings.Contains(got, "bcher") || strings.Contains(got, "bucket") {
				t.Errorf("%q became %q", s, got)
			}
		}
		if a, b := r.Host("a.corp.internal"), r.Host("b.corp.internal"); a == b || a[2:] != b[2:] {
			t.Errorf("names of one domain became %s and %s", a, b)
		}
		if r.Host("PROXY.corp.internal") != r.Host("proxy.CORP.internal.")[:19] {
			t.Error("case and the dot at the end tell names apart")
		}
		if got := r.Host("git.corp.internal"); !strings.HasPrefix(got, "git.") || !strings.HasSuffix(got, ".internal") {
			t.Errorf("git.corp.internal became %s", got)
		}
		if got := r.Host("bucket.s3.amazonaws.com"); !strings.HasSuffix(got, ".amazonaws.com") {
			t.Errorf("bucket.s3.amazonaws.com became %s", got)
		}
	}
	if got := newTest(Options{}).Host("proxy.corp.internal"); got != "host1.h001.internal" {
		t.Errorf("proxy.corp.internal became %s", got)
	}
}

// Labels of one length stay apart as long as there are enough.
func TestLabelsStayApart(t *testing.T) {
	for _, key := range [][]byte{nil, []byte("a key of enough bytes")} {
		r := newTest(Options{Key: key})
		seen := make(map[string]string)
		for i := range 600 {
			s := fmt.Sprintf("%03d.example", i)
			got := r.Host(s)
			if have, taken := seen[got]; taken {
				t.Fatalf("%s and %s both became %s", have, s, got)
			}
			seen[got] = s
		}
	}
}

func TestReveal(t *testing.T) {
	const text = "dial tcp 10.1.2.3:443: proxy.corp.internal /home/alice/x git.corp.example/team/secret@v1.0.0"
	for k := range kinds {
		r := newTest(Options{Reveal: []Kind{k}})
		got := r.Text(text)
		for kind, s := range map[Kind]string{Addresses: "10.1.2.3", Hosts: "proxy.corp.internal", Users: "alice", Modules: "team/secret"} {
			if strings.Contains(got, s) != (k == kind) {
				t.Errorf("--reveal %s: %s", k, got)
			}
		}
	}
	if _, err := ParseKind("names"); err == nil {
		t.Error("an unknown kind was taken")
	}
}

func TestText(t *testing.T) {
	r := newTest(Options{})
	r.LearnHost("buildbox")
	r.LearnUser("alice")
	r.LearnUser("Bob Smith")
	r.LearnPrivate("github.com/acme/*,*.corp.example")
	for _, c := range [][2]string{
		{"", ""},
		// The innocent stays.
		{"go: downloading golang.org/x/net v0.1.0", "go: downloading golang.org/x/net v0.1.0"},
		{"unexpected EOF in HTTP/1.1 200 OK (0.14s), go1.26.0", "unexpected EOF in HTTP/1.1 200 OK (0.14s), go1.26.0"},
		{"downloading go1.26.1 (linux/amd64)", "downloading go1.26.1 (linux/amd64)"},
		{"go.mod and go.sum: checksum mismatch h1:AbC123+/=", "go.mod and go.sum: checksum mismatch h1:AbC123+/="},
		{"https://goproxy.cn/golang.org/x/net/@v/v0.1.0.mod: EOF", "https://goproxy.cn/golang.org/x/net/@v/v0.1.0.mod: EOF"},
		{"read tcp 127.0.0.1:5->8.8.8.8:443: connection reset", "read tcp 127.0.0.1:5->8.8.8.8:443: connection reset"},
		{"frames 1, 2 and 3; 16.5 ms; 2026-11-22T15:54:28Z; a/b", "frames 1, 2 and 3; 16.5 ms; 2026-11-22T15:54:28Z; a/b"},
		{"lookup goproxy.cn on 127.0.0.53:53: no such host", "lookup goproxy.cn on 127.0.0.53:53: no such host"},
		{"GODEBUG=tlsmlkem=0 go mod download", "GODEBUG=tlsmlkem=0 go mod download"},
		{"https://goproxy.cn,direct|off", "https://goproxy.cn,direct|off"},
		{"https://goproxy.cn/sumdb/sum.golang.example/supported", "https://goproxy.cn/sumdb/sum.golang.example/supported"},
		// What is private goes.
		{"read tcp 10.1.2.3:55273->203.0.113.10:443: reset", "read tcp 10.0.0.1:55273->203.0.113.10:443: reset"},
		{"[fd12::7]:443 and fd12::7 and fd12::/64", "[fd00::1]:443 and fd00::1 and fd00::/64"},
		{"from b8:27:eb:01:02:03.", "from 02:00:00:00:00:01."},
		{"https://user:s3cret@proxy.corp.internal:8443/x?k=s3cret", "https://xxxxx@host1.h001.internal:8443/module-1?…"},
		{"https://u:a/b@c@h.corp.internal/", "https://xxxxx@1.h001.internal/"},
		{"lookup proxy.corp.internal: no such host", "lookup host1.h001.internal: no such host"},
		{"on buildbox by alice, BUILDBOX/alice", "on host-001 by user-1, host-001/user-1"},
		{"C:\\Users\\Bob Smith\\go\\pkg", "C:\\Users\\user-2\\go\\pkg"},
		{"/home/alice/go/pkg/mod/cache/lock", "/home/user-1/go/pkg/mod/cache/file-1"},
		{"alice@corp.example sent git@git.corp.example:team/x.git", "user-1@h001.example sent git@git.h001.example:module-2/module-1.git"},
		{"github.com/acme/rocket@v1.2.3 and GITHUB.com", "github.com/module-3/module-4@v1.2.3 and GITHUB.com"},
		{"https://goproxy.cn/github.com/acme/rocket/@v/list", "https://goproxy.cn/github.com/module-3/module-4/@v/list"},
		{"Proxy-Authorization: Basic dXNlcjpzM2NyZXQ=", "Proxy-Authorization: …"},
		{"GITHUB_TOKEN=s3cret --password=s3cret", "GITHUB_TOKEN=… --password=…"},
		{"key dXNlcjpzM2NyZXQtaXMtbG9uZw== 736563726574736563726574", "key …== …"},
		{"https%3A%2F%2Fproxy.corp.internal", "…"},
	} {
		if got := r.Text(c[0]); got != c[1] {
			t.Errorf("%s\n got %s\nwant %s", c[0], got, c[1])
		}
	}
}

// Values that stand beside signs which part no words, and names that only the
// words around them tell.
func TestTextEmbedded(t *testing.T) {
	r := newTest(Options{})
	r.LearnUser("Émile")
	for _, c := range [][2]string{
		{"10.9.8.7-10.9.8.9", "10.0.0.1-10.0.0.2"},
		{"server 10.9.8.7#53, 10.9.8.7:http", "server 10.0.0.1#53, 10.0.0.1:http"},
		{"a&10.9.8.7&b at10.9.8.7 x_10.9.8.7 010.9.8.7", "a&10.0.0.1&b at10.0.0.1 x_10.0.0.1 10.0.0.1"},
		{"ip-10-9-8-7 fd00::5#53 fd00::5:http", "ip-10-0-0-1 fd00::1#53 fd00::1:http"},
		{"10.0.19045.3448 v1.2.3.4 1.2.3.4.5 10.9.8.7.6", "10.0.19045.3448 v1.2.3.4 1.2.3.4.5 10.9.8.7.6"},
		{"a.corp.example#53 k=v&a.corp.example+x", "1.h001.example#53 k=v&1.h001.example+x"},
		{"\x1b[31ma.corp.example\x00", "\x1b[h001.h001.example\x00"},
		{"lookup proxy.secret.sh: no such host", "lookup host1.host-1.h1: no such host"},
		{"open plan-b.txt: main.go:12:5, go.mod", "open file-1.txt: file-2.go:12:5, go.mod"},
		{"lookup athens on 127.0.0.53:53: no such host", "lookup host-1 on 127.0.0.53:53: no such host"},
		{"connect to host gitbox port 22: reset", "connect to host host-2 port 22: reset"},
		{"Could not resolve host: gitcup", "Could not resolve host: host-3"},
		{"lookup failed; the lookup of it; lookup on the machine", "lookup failed; the lookup of it; lookup on the machine"},
		{"machine athens login bob9 password s3cret", "machine host-1 login user-1 password …"},
		{"password: s3cret token: \"s3cret\" \"token\":\"s3cret\"", "password: … token: \"…\" \"token\":\"…\""},
		{"--password s3cret pass=s3cret X-Api-Key: s3cret", "--password … pass=… X-Api-Key: …"},
		{"could not read Password for it; basic authentication required; auth failed; bypass: no", "could not read Password for it; basic authentication required; auth failed; bypass: no"},
		{"Basic dTpw and Bearer abc123", "Basic … and Bearer …"},
		{"MAC=b8:27:eb:77:66:55:b8:27:eb:77:66:56:08:00 UID=1", "MAC=02:00:00:00:00:01:02:00:00:00:00:02:08:00 UID=1"},
		{"by Émile, émile and ÉMILE", "by user-2, user-2 and user-2"},
		{`C:\Users\Mary Jane Watson\go`, `C:\Users\user-3\go`},
		{`C:/Users/Peter van Dam/go and "C:\\Users\\Eva van Dam\\go"`, `C:/Users/user-5/go and "C:\\Users\\user-4\\go"`},
	} {
		if got := r.Text(c[0]); got != c[1] {
			t.Errorf("%q\n got %q\nwant %q", c[0], got, c[1])
		}
	}
}

func TestVia(t *testing.T) {
	r := newTest(Options{})
	for in, want := range map[string]string{
		"1.1 squid-berlin:3128 (squid/5.7)":           "1.1 host-0000001:3128 (squid/5.7)",
		"HTTP/1.1 goproxy.cn, 1.1 squid-berlin (a b)": "HTTP/1.1 goproxy.cn, 1.1 host-0000001 (a b)",
		"1.1 varnish, 1.0 10.9.8.7":                   "1.1 varnish, 1.0 10.0.0.1",
		"squid-berlin":                                "host-0000001",
		"":                                            "",
	} {
		if got := r.Via(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestProducts(t *testing.T) {
	r := newTest(Options{})
	r.LearnHost("berlin")
	for in, want := range map[string]string{
		"squid/5.7":          "squid/5.7",
		"squid-berlin/5.7":   "squid-host-1/5.7",
		"a.corp.example/5.7": "1.h001.example/module-1",
		"Go-http-client/1.1": "Go-http-client/1.1",
		"squid/5.7 (on 10.1.2.3, of a.corp.example)": "squid/5.7 (on 10.0.0.1, of 1.h001.example)",
		"team/rocket x/10.1.2.3":                     "dir-1/dir-2 x/10.0.0.1",
		"":                                           "",
	} {
		if got := r.Products(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestPaths(t *testing.T) {
	r := newTest(Options{})
	for _, c := range [][2]string{
		{"/usr/local/go/bin/go", "/usr/local/go/bin/go"},
		{"/home/alice/src/rocket/x.go", "/home/user-1/src/dir-1/file-1.go"},
		{`C:\Users\alice\AppData\Local\x.pem`, `C:\Users\user-1\AppData\Local\file-2.pem`},
		{"/opt/go/pkg", "/opt/go/pkg"},
	} {
		if got := r.Path(c[0]); got != c[1] {
			t.Errorf("%s became %s, want %s", c[0], got, c[1])
		}
	}
	if got := r.Path("/srv/rocket/main.go"); strings.Contains(got, "rocket") || strings.Contains(got, "main") {
		t.Error(got)
	}
	if got := r.Program("/home/alice/bin/go1.26"); got != "/home/user-1/bin/go1.26" {
		t.Error(got)
	}
}

func TestCommand(t *testing.T) {
	r := newTest(Options{})
	got := strings.Join(r.Command([]string{"/usr/bin/go", "mod", "download", "-x", "secret.example/m", "secret.example/n", "-modfile=/x/secret"}), " ")
	if got != "/usr/bin/go mod download -x …" {
		t.Error(got)
	}
	if got := r.CommandLine(""); got != "" {
		t.Errorf("%q", got)
	}
}

func TestSettings(t *testing.T) {
	r := newTest(Options{})
	for _, c := range [][3]string{
		{"GOPROXY", "https://user:s3cret@proxy.corp.internal/x,https://goproxy.cn|direct", "https://xxxxx@host1.h001.internal/module-1,https://goproxy.cn|direct"},
		{"GOPROXY", "proxy.corp.internal,off", "host1.h001.internal,off"},
		{"GOSUMDB", "sum.golang.example", "sum.golang.example"},
		{"GOSUMDB", "sum.corp.internal+0123abcd+AbCd https://sum.corp.internal/x", "h01.h001.internal https://h01.h001.internal/module-1"},
		{"GOPRIVATE", "*.corp.internal,github.com/acme/*", "*.h001.internal,github.com/module-2/*"},
		{"HTTPS_PROXY", "user:s3cret@10.1.2.3:3128", "xxxxx@10.0.0.1:3128"},
		{"NO_PROXY", "localhost,.corp.internal,10.0.0.0/8", "localhost,.h001.internal,10.0.1.0/8"},
		{"NO_PROXY", "gitbox,10.1.2.3,*,gitbox:80", "host-1,10.0.0.1,*,host-1:80"},
		{"GOVERSION", "go1.26.1", "go1.26.1"}, {"GOVERSION", "go1.26-acme", "…"}, {"GOVERSION", "devel acme", "…"},
		{"GOTOOLCHAIN", "go1.26.1+auto", "go1.26.1+auto"}, {"GOTOOLCHAIN", "local", "local"}, {"GOTOOLCHAIN", "go1.26-acme+auto", "…"},
		{"GONOSUMDB", "", ""}, {"GO111MODULE", "on", "on"}, {"WHATEVER", "a secret", "…"},
		{"GOMODCACHE", "/home/alice/go/pkg/mod", "/home/user-1/go/pkg/mod"},
	} {
		if got := r.Setting(c[0], c[1]); got != c[2] {
			t.Errorf("%s=%s: %s, want %s", c[0], c[1], got, c[2])
		}
	}
}

func TestNames(t *testing.T) {
	r := newTest(Options{})
	r.LearnHost("buildbox")
	for _, c := range []struct {
		in, want string
		issuer   bool
	}{
		{"CN=proxy.corp.internal,O=ACME Corp,C=DE", "CN=host1.h001.internal,O=xxxxxxxxx,C=xx", false},
		{"CN=Inspection CA,O=Vendor\\, Inc.,C=US", "CN=Inspection CA,O=Vendor\\, Inc.,C=US", true},
		{"CN=proxy.corp.internal,O=Vendor", "CN=host1.h001.internal,O=Vendor", true},
		{"CN=buildbox", "CN=host-001", true},
		{"CN=alice@corp.internal", "CN=xxxxxxxxxxxxxxxxxxx", true},
		{"", "", false},
	} {
		if got := r.Name(c.in, c.issuer); got != c.want {
			t.Errorf("%s: %s, want %s", c.in, got, c.want)
		}
	}
}

func FuzzText(f *testing.F) {
	for _, s := range []string{"https://u:p@h.corp.example/x?y", "read tcp 10.1.2.3:5->[fd00::1]:443", "C:\\Users\\a b\\x", "a@b@c:d/e", "token=x cookie: y", "\xff://\xff%41"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r := newTest(Options{})
		r.LearnHost("buildbox")
		r.LearnUser("bob smith")
		r.Text(s)
		if h := r.Host(s); len(h) != len(s) && !strings.ContainsAny(s, ":[]") {
			if _, err := netip.ParseAddr(s); err != nil {
				t.Errorf("host %q became %q", s, h)
			}
		}
		r.Path(s)
		r.Module(s)
		r.URL(s)
		r.Setting("GOPROXY", s)
		r.Setting("GOPRIVATE", s)
		r.Name(s, true)
		r.Filter(s)
		r.Target(s)
		r.Endpoint(s)
		if len(r.Attribute(s, false)) != len(s) {
			t.Errorf("attribute %q", s)
		}
	})
}
