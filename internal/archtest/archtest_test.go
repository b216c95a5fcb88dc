package archtest

import (
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil || !strings.HasPrefix(string(mod), "module "+Module+"\n") {
		t.Fatalf("%s does not hold the module %s (%v)", dir, Module, err)
	}
	return dir
}

func TestImportRules(t *testing.T) {
	imports, err := Imports(os.DirFS(root(t)))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(imports["internal/archtest"], "go/parser") {
		t.Fatal("the walk does not find this package's own imports")
	}
	for _, line := range Check(imports, Rules) {
		t.Error(line)
	}
}

// TestRulesSpeakOfPackages keeps a renamed directory from switching a rule off.
func TestRulesSpeakOfPackages(t *testing.T) {
	dir := root(t)
	for _, r := range Rules {
		for _, p := range slices.Concat(r.From, r.Except) {
			if p = strings.TrimSuffix(strings.TrimSuffix(p, "..."), "/"); p == "" {
				continue
			}
			if _, err := os.Stat(filepath.Join(dir, filepath.FromSlash(p))); err != nil {
				t.Errorf("a rule speaks of %s: %v", p, err)
			}
		}
	}
}

func TestNoGrabBags(t *testing.T) {
	imports, err := Imports(os.DirFS(root(t)))
	if err != nil {
		t.Fatal(err)
	}
	for pkg := range imports {
		switch path.Base(pkg) {
		case "utils", "util", "common", "types", "models", "helpers", "misc":
			t.Errorf("package %s: types and functions live with the package that produces them", pkg)
		}
	}
}

func TestViolationsAreFound(t *testing.T) {
	for _, c := range []struct {
		file, imports string
		broken        bool
	}{
		{"capture/live.go", "goproxytrace/analyze", true},
		{"capture/live_windows.go", "goproxytrace/analyze/decode", true},
		{"capture/live.go", "github.com/gopacket/gopacket/afpacket", false},
		{"capture/live.go", "goproxytrace/capture/owner", false},
		{"capture/pcapfile/read.go", "goproxytrace/capture", false},
		{"capture/pcapfile/read.go", "github.com/gopacket/gopacket/pcapgo", true},
		{"analyze/run.go", "goproxytrace/report", true},
		{"analyze/run.go", "goproxytrace/capture", false},
		{"analyze/run.go", "goproxytrace/analyze/decode", false},
		{"analyze/tcpflow/flow.go", "github.com/gopacket/gopacket/layers", true},
		{"analyze/decode/link.go", "github.com/gopacket/gopacket/layers", false},
		{"analyze/decode/link.go", "github.com/google/gopacket", true},
		{"analyze/tlswire/hello.go", "goproxytrace/analyze/tcpflow", true},
		{"analyze/tlswire/hello.go", "goproxytrace/capture", true},
		{"analyze/tlswire/hello.go", "golang.org/x/crypto/cryptobyte", false},
		{"analyze/tlswire/hello_test.go", "goproxytrace/internal/packets", false},
		{"analyze/dnswire/dns.go", "goproxytrace/internal/terminal", true},
		{"report/json.go", "goproxytrace/capture", true},
		{"report/json.go", "goproxytrace/capture/pcapfile", true},
		{"report/json.go", "github.com/gopacket/gopacket", true},
		{"report/json.go", "goproxytrace/analyze", false},
		{"report/json.go", "goproxytrace/report/messages", false},
		{"report/charts/graph.go", "goproxytrace/report/messages", true},
		{"report/charts/graph.go", "strconv", false},
		{"report/page/page.go", "goproxytrace/report/charts", false},
		{"report/page/page.go", "goproxytrace/capture/pcapfile", true},
		{"report/messages/en.go", "goproxytrace/cmd/goproxytrace", true},
		{"report/json.go", "goproxytrace/compare", true},
		{"analyze/run.go", "goproxytrace/compare/twopoint", true},
		{"compare/run.go", "goproxytrace/report", false},
		{"compare/run.go", "goproxytrace/capture", true},
		{"compare/twopoint/read.go", "goproxytrace/capture", false},
		{"compare/twopoint/read.go", "github.com/gopacket/gopacket", true},
		{"cmd/goproxytrace/main.go", "goproxytrace/report", false},
		{"cmd/goproxytrace/main.go", "goproxytrace/internal/lab", true},
		{"cmd/goproxytrace/main.go", "goproxytrace/internal/terminal", false},
		{"internal/packets/tcp.go", "goproxytrace/capture", true},
		{"internal/packets/tcp.go", "encoding/binary", false},
		{"internal/bench/main.go", "goproxytrace/internal/packets", false},
		{"captures/other.go", "goproxytrace/analyze", false},
		{"recorder/line.go", "goproxytrace/report", true},
		{"recorder/recorder.go", "goproxytrace/live", true},
		{"recorder/encode.go", "goproxytrace/capture/casefile", false},
		{"live/session.go", "goproxytrace/recorder", true},
		{"redact/hosts.go", "goproxytrace/analyze/goproxy", true},
		{"redact/hosts.go", "golang.org/x/net/idna", true},
		{"redact/hosts.go", "crypto/hmac", false},
		{"analyze/teach.go", "goproxytrace/redact", false},
		{"report/redact.go", "goproxytrace/redact", false},
		{"report/redact.go", "goproxytrace/scrub", true},
		{"scrub/frame.go", "goproxytrace/analyze/decode", false},
		{"scrub/frame.go", "goproxytrace/report", true},
	} {
		fsys := fstest.MapFS{
			c.file:                        {Data: []byte("//go:build never\n\npackage p\n\nimport x \"" + c.imports + "\"\n")},
			"testdata/x.go":               {Data: []byte("not Go")},
			"fleet/go.mod":                {Data: []byte("module fleet\n")},
			"fleet/capture/bad/import.go": {Data: []byte("package bad\nimport _ \"goproxytrace/cmd\"\n")},
		}
		imports, err := Imports(fsys)
		if err != nil {
			t.Fatal(err)
		}
		if got := Check(imports, Rules); (len(got) > 0) != c.broken {
			t.Errorf("%s imports %s: found %q, broken should be %v", c.file, c.imports, got, c.broken)
		}
	}
}
