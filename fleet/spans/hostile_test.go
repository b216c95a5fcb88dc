package spans_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"go.opentelemetry.io/collector/pdata/ptrace"

	"goproxytrace/fleet/internal/reported"
	"goproxytrace/fleet/spans"
	"goproxytrace/report"
)

func encoded(t testing.TB, d *report.Document) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := report.WriteJSON(&b, d, true); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// hostile are reports that nobody's capture makes: names of any bytes and any
// length, times that no clock has, processes that work for each other.
func hostile() map[string]string {
	long := strings.Repeat("ä", 100_000)
	connection := func(id int, more string) string {
		return fmt.Sprintf(`{"id":%d,"client":"192.0.2.1:1","server":"198.51.100.1:443","start":"2026-01-01T00:00:00Z","duration_ms":1,"verdict":{"class":"ok"}%s}`, id, more)
	}
	list := func(n int, f func(int) string) string {
		out := make([]string, n)
		for i := range out {
			out[i] = f(i)
		}
		return strings.Join(out, ",")
	}
	doc := func(members string) string {
		return `{"schema":"goproxytrace.report/v1","capture":{"start":"2026-01-01T00:00:00Z","end":"2026-01-01T00:00:09Z"},"verdict":{"class":"ok"},` + members + `}`
	}
	return map[string]string{
		"names": doc(`"connections":[` + connection(0, `,"server_name":"`+long+`","tls":{"cipher":"\u001b[2Jx","alpn_chosen":"h2`+"\u202e"+`","alerts":[`+
			list(500, func(int) string { return `{"name":"` + long[:200] + `"}` })+`]}`) + `],"lookups":[{"name":"\ud800","answers":[` +
			list(1000, func(i int) string { return fmt.Sprintf(`"10.0.0.%d"`, i%256) }) + `],"verdict":{"class":"` + long + `","evidence":[{"id":"` + long + `","text":"` + long + `","frames":[` + list(5000, func(i int) string { return fmt.Sprint(i) }) + `]}]}}]`),
		"times": doc(`"connections":[` + connection(0, `,"start":"9999-12-31T23:59:59Z","duration_ms":1e300`) + "," + connection(1, `,"start":"0001-01-01T00:00:00Z","duration_ms":-5,"stages_ms":{"connect":1e308,"tls":-1,"tls_start":-9e9,"transfer":1,"first_byte":7}`) +
			"," + connection(2, `,"start":"2261-12-31T00:00:00Z","duration_ms":1e11`) + `],"lookups":[{"name":"a","ms":1e307,"verdict":{"class":"ok"}}],"attempts":[{"target":"x","time":"1500-01-01T00:00:00Z","ended":"1400-01-01T00:00:00Z","verdict":{"class":"connect.refused","stage":"connect"}}]`),
		"same numbers": doc(`"connections":[` + list(700, func(int) string { return connection(0, "") }) + `]`),
		"chains": doc(`"processes":[{"pid":1,"go_command":2},{"pid":2,"go_command":3},{"pid":3,"go_command":1},{"pid":4,"go_command":4},{"pid":0}],"connections":[` +
			list(1200, func(i int) string {
				return connection(i, fmt.Sprintf(`,"process":{"pid":%d,"go_command":%d}`, i%7, (i+1)%7))
			}) + `]`),
		"answers": doc(`"lookups":[` + list(3000, func(i int) string {
			return fmt.Sprintf(`{"start":"2025-01-01T00:00:00Z","client":"192.0.2.1:9","name":"n%d.example","answers":["198.51.100.1"],"ms":1,"verdict":{"class":"ok"}}`, i)
		}) + `],"connections":[` + list(3000, func(i int) string { return connection(i, fmt.Sprintf(`,"server_name":"m%d.example"`, i)) }) + `]`),
		"nothing": `{"schema":"goproxytrace.report/v1"}`,
	}
}

// What anybody wrote into a report stays within the bounds, and makes whole
// traces.
func TestHostileReports(t *testing.T) {
	c := newChecker(t)
	for name, raw := range hostile() {
		d, err := report.ReadJSON([]byte(raw))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		c.document(name, d, strings.Repeat("x\x1b", 4000))
		whole(t, name, d)
	}
}

// whole checks that no span is below one that is not there, and that none is
// larger than a request may be.
func whole(t testing.TB, name string, d *report.Document) {
	t.Helper()
	p, err := spans.New(spans.Case{ID: "case", Document: d})
	if err != nil {
		t.Fatal(err)
	}
	below := map[string]bool{}
	have := map[string]bool{}
	inTrace := map[string]int{}
	var m ptrace.ProtoMarshaler
	for part, err := range p.Parts() {
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range part.All() {
			have[s.TraceID().String()+s.SpanID().String()] = true
			if !s.ParentSpanID().IsEmpty() {
				below[s.TraceID().String()+s.ParentSpanID().String()] = true
			}
			if s.EndTimestamp() < s.StartTimestamp() {
				t.Errorf("%s: %s ends before it begins", name, s.Name())
			}
			if n := m.SpanSize(s); n > 256<<10 {
				t.Errorf("%s: %s has %d bytes", name, s.Name(), n)
			}
			if s.Kind() == ptrace.SpanKindClient {
				inTrace[s.TraceID().String()]++
			}
		}
	}
	for k := range below {
		if !have[k] {
			t.Errorf("%s: a span is below one that is not there", name)
			break
		}
	}
	if name != "answers" { // lookups count as well
		for _, n := range inTrace {
			if n > 500 {
				t.Errorf("%s: a trace has %d connections", name, n)
			}
		}
	}
}

func FuzzReport(f *testing.F) {
	for _, raw := range hostile() {
		if len(raw) < 64<<10 {
			f.Add([]byte(raw))
		}
	}
	for _, file := range []string{"connect-refused", "healthy-tls12", "tunnel-407", "dns-nxdomain"} {
		var raw []byte
		reported.Document(f, filepath.Join("..", "..", "testdata", "pcaps", file+".pcapng"), func(d *report.Document) { raw = encoded(f, d) })
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		d, err := report.ReadJSON(raw)
		if err != nil || len(d.Processes)+d.Connections+len(d.Lookups) > 1000 {
			return
		}
		if !json.Valid(raw) {
			t.Fatal("read what is no JSON")
		}
		whole(t, "fuzz", d)
	})
}
