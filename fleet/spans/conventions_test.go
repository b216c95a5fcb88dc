package spans_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"goproxytrace/fleet/internal/reported"
	"goproxytrace/fleet/spans"
	"goproxytrace/report"
)

// conventions reads the registry of the published semantic conventions: what
// each attribute is called and of which type it is. It is the source of the Go
// package that is generated of them, in the version that Schema names.
func conventions(t *testing.T) map[string]string {
	t.Helper()
	out, err := exec.Command("go", "list", "-f", "{{.Dir}}", "go.opentelemetry.io/otel/semconv/v"+strings.TrimPrefix(spans.Schema, "https://opentelemetry.io/schemas/")).Output()
	if err != nil {
		t.Fatal(err)
	}
	f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(strings.TrimSpace(string(out)), "attribute_group.go"), nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]string{}
	typ := regexp.MustCompile(`(?m)^Type: (.+)$`)
	ast.Inspect(f, func(n ast.Node) bool {
		v, ok := n.(*ast.ValueSpec)
		if !ok || len(v.Values) != 1 || v.Doc == nil {
			return true
		}
		call, ok := v.Values[0].(*ast.CallExpr)
		if !ok || len(call.Args) != 1 {
			return true
		}
		lit, ok := call.Args[0].(*ast.BasicLit)
		m := typ.FindStringSubmatch(v.Doc.Text())
		if !ok || m == nil || !strings.HasSuffix(v.Names[0].Name, "Key") {
			return true
		}
		name, err := strconv.Unquote(lit.Value)
		if err != nil {
			t.Fatal(err)
		}
		names[name] = m[1]
		return true
	})
	if len(names) < 500 || names["server.address"] != "string" || names["dns.answers"] != "string[]" || names["process.pid"] != "int" {
		t.Fatalf("the registry was not read: %d names, server.address is %q", len(names), names["server.address"])
	}
	return names
}

// own are the types of the attributes that the conventions do not name.
func kind(v pcommon.Value) string {
	switch v.Type() {
	case pcommon.ValueTypeStr:
		return "string"
	case pcommon.ValueTypeInt:
		return "int"
	case pcommon.ValueTypeDouble:
		return "double"
	case pcommon.ValueTypeBool:
		return "boolean"
	case pcommon.ValueTypeSlice:
		if v.Slice().Len() == 0 {
			return "empty list"
		}
		first := kind(v.Slice().At(0))
		for _, e := range v.Slice().All() {
			if kind(e) != first {
				return "list of several types"
			}
		}
		return first + "[]"
	}
	return v.Type().String()
}

// checker holds what every span must keep to.
type checker struct {
	t     *testing.T
	names map[string]string
	own   map[string]string // types of our own attributes: one each
	seen  map[string]bool
}

func (c *checker) attributes(where string, m pcommon.Map) {
	if m.Len() > 128 {
		c.t.Errorf("%s has %d attributes", where, m.Len())
	}
	for name, v := range m.All() {
		got := kind(v)
		c.seen[name] = true
		if strings.HasPrefix(name, spans.Prefix) {
			if have := c.own[name]; have != "" && have != got {
				c.t.Errorf("%s: %s is %s here and %s elsewhere", where, name, got, have)
			}
			c.own[name] = got
		} else {
			want, ok := c.names[name]
			if want == "Enum" {
				want = "string"
			}
			if !ok || got != want {
				c.t.Errorf("%s: %s is of type %s, the conventions have %q", where, name, got, want)
			}
		}
		c.value(where+" "+name, v)
	}
}

func (c *checker) value(where string, v pcommon.Value) {
	switch v.Type() {
	case pcommon.ValueTypeStr:
		c.text(where, v.Str())
	case pcommon.ValueTypeSlice:
		if n := v.Slice().Len(); n > 64 {
			c.t.Errorf("%s has %d elements", where, n)
		}
		for _, e := range v.Slice().All() {
			c.value(where, e)
		}
	}
}

func (c *checker) text(where, s string) {
	if !utf8.ValidString(s) || len(s) > 1024 || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		c.t.Errorf("%s: %q", where, s)
	}
}

func (c *checker) document(where string, d *report.Document, host string) int {
	p, err := spans.New(spans.Case{ID: "case", Host: host, Document: d})
	if err != nil {
		c.t.Fatal(err)
	}
	resource := pcommon.NewMap()
	p.Resource(resource)
	c.attributes(where+" resource", resource)
	n := 0
	for part, err := range p.Parts() {
		if err != nil {
			c.t.Fatal(err)
		}
		for _, s := range part.All() {
			n++
			c.span(where, s)
		}
	}
	for key := range p.Counts() {
		series, err := spans.ParseKey(key)
		if err != nil || spans.Units[series.Metric] == "" {
			c.t.Errorf("%s: counter %q: %v", where, key, err)
		}
		for name, v := range series.Attributes {
			c.text(where+" counter "+name, v)
			if want, ok := c.names[name]; !strings.HasPrefix(name, spans.Prefix) && (!ok || want != "string") {
				c.t.Errorf("%s: counters have %s, the conventions have %q", where, name, want)
			}
		}
	}
	return n
}

func (c *checker) span(where string, s ptrace.Span) {
	where += " " + s.Name()
	c.text(where, s.Name())
	c.text(where, s.Status().Message())
	if s.TraceID().IsEmpty() || s.SpanID().IsEmpty() || s.Name() == "" {
		c.t.Errorf("%s: span %s of trace %s", where, s.SpanID(), s.TraceID())
	}
	if s.Links().Len() > 128 || s.Events().Len() > 128 {
		c.t.Errorf("%s: %d links, %d events", where, s.Links().Len(), s.Events().Len())
	}
	c.attributes(where, s.Attributes())
	for _, e := range s.Events().All() {
		c.attributes(where+" event", e.Attributes())
	}
}

func newChecker(t *testing.T) *checker {
	return &checker{t: t, names: conventions(t), own: map[string]string{}, seen: map[string]bool{}}
}

// Every attribute of every capture is one of the published conventions, of the
// type that these say, or has our prefix.
func TestAttributesAreThePublishedOnes(t *testing.T) {
	c := newChecker(t)
	files, err := filepath.Glob(filepath.Join("..", "..", "testdata", "*", "*.pcapng"))
	if err != nil || len(files) < 50 {
		t.Fatal(len(files), "captures", err)
	}
	for _, file := range files {
		analysed(t, file, func(d *report.Document) { c.document(filepath.Base(file), d, "build7") })
	}
	for _, name := range []string{
		"network.transport", "network.type", "network.peer.address", "network.peer.port", "network.local.address", "network.local.port",
		"network.protocol.name", "network.protocol.version", "server.address", "server.port", "tls.protocol.name", "tls.protocol.version", "tls.cipher",
		"tls.next_protocol", "tls.established", "tls.client.ja3", "tls.server.subject", "tls.server.issuer", "tls.server.hash.sha256",
		"process.pid", "process.executable.name", "process.command_line", "process.exit.code", "dns.question.name", "dns.answers", "error.type", "host.name", "os.type",
		"http.request.method", "goproxytrace.connection.id", "goproxytrace.verdict.evidence", "goproxytrace.verdict.frames",
	} {
		if !c.seen[name] {
			t.Errorf("no capture of the project has made %s", name)
		}
	}
}

func analysed(t *testing.T, file string, take func(*report.Document)) {
	t.Helper()
	reported.Document(t, file, take)
}
