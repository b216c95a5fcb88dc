package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"goproxytrace/analyze"
	"goproxytrace/analyze/diagnose"
	"goproxytrace/analyze/goproxy"
	"goproxytrace/redact"
)

// readSchema reads the published schema of the JSON document.
func readSchema(t testing.TB) map[string]any {
	t.Helper()
	f, err := os.Open(filepath.Join("..", "docs", "report.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	doc, err := jsonschema.UnmarshalJSON(f)
	if err != nil {
		t.Fatal(err)
	}
	return doc.(map[string]any)
}

// tighten makes of a schema one that knows all members and classes: what is not
// written down fails. Readers of a document take the published one, which
// tolerates what later versions add.
func tighten(v any) {
	switch v := v.(type) {
	case map[string]any:
		if _, is := v["properties"].(map[string]any); is {
			v["additionalProperties"] = false
		}
		if known, is := v["examples"]; is {
			v["enum"] = known
		}
		for _, x := range v {
			tighten(x)
		}
	case []any:
		for _, x := range v {
			tighten(x)
		}
	}
}

func compileSchema(t testing.TB, doc map[string]any) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("report.schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("report.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// schemas returns the published schema and the one that knows everything.
func schemas(t testing.TB) (published, strict *jsonschema.Schema) {
	t.Helper()
	tight := readSchema(t)
	tighten(tight)
	return compileSchema(t, readSchema(t)), compileSchema(t, tight)
}

func document(t testing.TB, raw []byte) map[string]any {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	return v.(map[string]any)
}

// The JSON of every capture of the project is what the schema says, redacted or
// not, and has no member that is not written down.
func TestSchemaOfFixtures(t *testing.T) {
	published, strict := schemas(t)
	eachFixture(t, func(t *testing.T, r *analyze.Result) {
		for _, x := range []*redact.Redactor{nil, redact.New(redact.Options{Public: goproxy.PublicEnd})} {
			doc := document(t, encode(t, Build(r, Options{File: "case.pcapng", Version: "v1", Redact: x}), true))
			for _, s := range []*jsonschema.Schema{published, strict} {
				if err := s.Validate(doc); err != nil {
					t.Errorf("redacted: %v: %v", x != nil, err)
				}
			}
		}
	})
}

// fill puts something into everything that v holds.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(testStart))
			return
		}
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fill(v.Field(i))
			}
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0))
	case reflect.String:
		v.SetString("x")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(7)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(7)
	case reflect.Float64:
		v.SetFloat(7)
	}
}

// wholeDocument is the JSON of a document in which nothing is empty.
func wholeDocument(t testing.TB) map[string]any {
	t.Helper()
	verdict := diagnose.Verdict{
		Class: diagnose.TLSReset, Stage: diagnose.StageTLS, Place: []diagnose.Place{diagnose.Network, diagnose.Remote}, Level: diagnose.Proven,
		Notes: []string{"lossy"}, Evidence: []diagnose.Evidence{{ID: "reset.in-handshake", Frames: []int64{1, 2, 3, 7}}},
		RefutedBy: []string{"refute.server-record"}, NextSteps: []string{"next.repeat"}, NotAssessed: []string{"skip.no-keepalive"},
	}
	c := new(analyze.Connection)
	fill(reflect.ValueOf(c).Elem())
	c.Process.Confidence, c.ServerProcess.Confidence, c.Verdict = "exact", "weak", verdict
	c.TLS.Alerts[0].From, c.TLS.Certificates[0].Fingerprint = "client", "00ff"
	store := analyze.NewStore()
	store.Add(c)
	r := &analyze.Result{Platform: diagnose.Linux, GoVersion: "go1.26.8", Connections: store, Verdict: verdict, Subject: 7}
	for _, v := range []any{&r.Capture, &r.Processes, &r.Unanswered, &r.Lookups, &r.Attempts, &r.Events, &r.GoStatements, &r.Targets, &r.Damage} {
		fill(reflect.ValueOf(v).Elem())
	}
	r.LookupsOmitted, r.AttemptsOmitted, r.EventsOmitted = 1, 1, 1
	r.Processes[0].Confidence, r.Processes[0].Verdict = "strong", verdict
	r.Lookups[0].Verdict, r.Attempts[0].Verdict, r.GoStatements[0].Packets = verdict, verdict, "agree"
	r.GoStatements[0].Local, r.GoStatements[0].Remote = netip.MustParseAddrPort("192.0.2.1:40000"), netip.MustParseAddrPort("[2001:db8::1]:443")
	d := Build(r, Options{File: "case.pcapng", Version: "v1", Interrupted: true})
	d.ConnectionsOmitted, d.DeathsOmitted = 2, 1 // as in an excerpt
	d.Pseudonyms = true
	t.Cleanup(func() { store.Close() })
	return document(t, encode(t, d, true))
}

// Every member that the schema describes is one that the program writes: a
// document in which nothing is empty has them all.
func TestSchemaDescribesWhatIsWritten(t *testing.T) {
	published, strict := schemas(t)
	doc := wholeDocument(t)
	for _, s := range []*jsonschema.Schema{published, strict} {
		if err := s.Validate(doc); err != nil {
			t.Fatal(err)
		}
	}
	root := readSchema(t)
	defs := root["$defs"].(map[string]any)
	used := map[string]bool{}
	var walk func(path string, schema map[string]any, v any)
	walk = func(path string, schema map[string]any, v any) {
		if to, is := schema["$ref"].(string); is {
			name := strings.TrimPrefix(to, "#/$defs/")
			used[name] = true
			walk(path, defs[name].(map[string]any), v)
			return
		}
		if choice, is := schema["anyOf"].([]any); is {
			walk(path, choice[0].(map[string]any), v)
			return
		}
		if properties, is := schema["properties"].(map[string]any); is {
			object, _ := v.(map[string]any)
			for name, p := range properties {
				x, written := object[name]
				if !written || x == nil {
					t.Errorf("%s.%s is described and not written", path, name)
					continue
				}
				walk(path+"."+name, p.(map[string]any), x)
			}
		}
		if items, is := schema["items"].(map[string]any); is {
			list, _ := v.([]any)
			if len(list) == 0 {
				t.Errorf("%s is empty", path)
				return
			}
			walk(path+"[]", items, list[0])
		}
	}
	walk("document", root, doc)
	for name := range defs {
		if !used[name] {
			t.Errorf("nothing refers to %s", name)
		}
	}
	if id := root["$id"]; id != "urn:goproxytrace:report:v1" {
		t.Errorf("$id %v", id)
	}
	var known []string
	for _, c := range defs["class"].(map[string]any)["examples"].([]any) {
		known = append(known, c.(string))
	}
	var order []string
	for _, c := range diagnose.ClassOrder {
		order = append(order, string(c))
	}
	if !slices.Equal(known, order) {
		t.Errorf("classes %q, want %q", known, order)
	}
}

// at returns what stands at a path of a document; numbers are places in lists.
func at(v any, path ...any) any {
	for _, p := range path {
		switch p := p.(type) {
		case string:
			v = v.(map[string]any)[p]
		case int:
			v = v.([]any)[p]
		}
	}
	return v
}

// What a document must not be, the schema says. later is true for what a later
// version may add: a reader tolerates it, and this version does not write it.
func TestSchemaRefuses(t *testing.T) {
	published, strict := schemas(t)
	set := func(name string, value any, path ...any) func(map[string]any) {
		return func(doc map[string]any) { at(doc, path...).(map[string]any)[name] = value }
	}
	remove := func(name string, path ...any) func(map[string]any) {
		return func(doc map[string]any) { delete(at(doc, path...).(map[string]any), name) }
	}
	for name, c := range map[string]struct {
		spoil func(map[string]any)
		later bool
	}{
		"a new member of the document":    {set("extra", "x"), true},
		"a new member of a verdict":       {set("extra", "x", "verdict"), true},
		"a new member of a connection":    {set("extra", "x", "connections", 0), true},
		"a new member of a stage":         {set("extra", 1, "connections", 0, "stages_ms"), true},
		"a new class":                     {set("class", "tls.unheard-of", "verdict"), true},
		"a class in capitals":             {set("class", "TLS.RESET", "verdict"), false},
		"another schema":                  {set("schema", "goproxytrace.report/v2"), false},
		"no verdict":                      {remove("verdict"), false},
		"no connections":                  {remove("connections"), false},
		"connections that are no list":    {set("connections", map[string]any{}), false},
		"a connection without a verdict":  {remove("verdict", "connections", 0), false},
		"an unknown stage":                {set("stage", "later", "verdict"), false},
		"an unknown level":                {set("level", "certain", "verdict"), false},
		"an unknown place":                {set("place", []any{"moon"}, "verdict"), false},
		"a place twice":                   {set("place", []any{"host", "host"}, "verdict"), false},
		"a frame of zero":                 {set("frames", []any{json.Number("0")}, "verdict", "evidence", 0), false},
		"frames in words":                 {set("frames", []any{"1"}, "verdict", "evidence", 0), false},
		"a filter that does more":         {set("filter", "frame.number in {1} or tcp", "verdict", "evidence", 0), false},
		"evidence without a text":         {remove("text", "verdict", "evidence", 0), false},
		"a negative count":                {set("packets", json.Number("-1"), "capture"), false},
		"a count in words":                {set("packets", "12", "capture"), false},
		"no time of the start":            {remove("start", "capture"), false},
		"a time that is none":             {set("start", "yesterday", "connections", 0), false},
		"an owner that is a number":       {set("process", json.Number("7"), "connections", 0), false},
		"an owner of unheard-of standing": {set("confidence", "certain", "connections", 0, "process"), false},
		"a status in words":               {set("status", "407", "connections", 0, "proxy"), false},
		"a lookup without answers":        {remove("answers", "lookups", 0), false},
		"a fingerprint in capitals":       {set("sha256", "AB CD", "connections", 0, "tls", "certificates", 0), false},
	} {
		doc := wholeDocument(t)
		c.spoil(doc)
		if err := strict.Validate(doc); err == nil {
			t.Errorf("%s passes", name)
		}
		if err := published.Validate(doc); (err == nil) != c.later {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, doc := range []any{nil, []any{}, "x", map[string]any{}} {
		if published.Validate(doc) == nil {
			t.Errorf("%s passes", fmt.Sprint(doc))
		}
	}
}
