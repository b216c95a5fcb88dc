package rows

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"goproxytrace/analyze"
	"goproxytrace/analyze/goproxy"
	"goproxytrace/capture/pcapfile"
	"goproxytrace/redact"
	"goproxytrace/report"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// kept keeps all rows.
type kept struct {
	connections []Connection
	lookups     []Lookup
	verdicts    []Verdict
	evidence    []Evidence
	events      []Event
}

func (k *kept) Connection(r *Connection) error { k.connections = append(k.connections, *r); return nil }
func (k *kept) Lookup(r *Lookup) error         { k.lookups = append(k.lookups, *r); return nil }
func (k *kept) Verdict(r *Verdict) error       { k.verdicts = append(k.verdicts, *r); return nil }
func (k *kept) Evidence(r *Evidence) error     { k.evidence = append(k.evidence, *r); return nil }
func (k *kept) Event(r *Event) error           { k.events = append(k.events, *r); return nil }

// document analyses a capture of the project.
func document(t *testing.T, path string, o report.Options) *report.Document {
	t.Helper()
	src, err := pcapfile.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	result, err := analyze.Run(context.Background(), src, analyze.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { result.Close() })
	o.File = path
	return report.Build(result, o)
}

func captures(t *testing.T) []string {
	t.Helper()
	list, err := filepath.Glob(filepath.Join("..", "..", "testdata", "pcaps", "*.pcapng"))
	if err != nil || len(list) < 40 {
		t.Fatalf("%d captures, %v", len(list), err)
	}
	return list
}

// TestRowsSayWhatTheReportSays takes every value of the connections and lookups
// from the JSON report, which is written by other code.
func TestRowsSayWhatTheReportSays(t *testing.T) {
	for _, path := range captures(t) {
		t.Run(filepath.Base(path), func(t *testing.T) {
			x := redact.New(redact.Options{Public: goproxy.PublicEnd, Key: []byte("0123456789abcdef0123456789abcdef")})
			d := document(t, path, report.Options{Version: "v1", Redact: x})
			var raw bytes.Buffer
			if err := report.WriteJSON(&raw, d, true); err != nil {
				t.Fatal(err)
			}
			var want struct {
				Capture     map[string]any
				Verdict     map[string]any
				Connections []map[string]any
				Lookups     []map[string]any
				Processes   []map[string]any
				Attempts    []map[string]any
				Events      []map[string]any
			}
			decoder := json.NewDecoder(&raw)
			decoder.UseNumber()
			if err := decoder.Decode(&want); err != nil {
				t.Fatal(err)
			}
			var got kept
			if err := Write(d, Source{File: d.Capture.File, FileHash: "f0"}, &got); err != nil {
				t.Fatal(err)
			}
			if len(got.connections) != len(want.Connections) || len(got.lookups) != len(want.Lookups) || len(got.events) != len(want.Events) {
				t.Fatalf("%d connections, %d lookups, %d events; the report has %d, %d and %d", len(got.connections), len(got.lookups), len(got.events),
					len(want.Connections), len(want.Lookups), len(want.Events))
			}
			if n := 1 + len(want.Processes) + len(want.Connections) + len(want.Attempts) + len(want.Lookups); len(got.verdicts) != n {
				t.Errorf("%d verdicts, the report has %d", len(got.verdicts), n)
			}
			compareJudgement(t, "capture", got.verdicts[0].Judgement, want.Verdict)
			for i := range got.connections {
				c, j := &got.connections[i], want.Connections[i]
				name := fmt.Sprintf("connection %v", j["id"])
				compareColumns(t, name, connectionColumns, reflect.ValueOf(c).Elem(), j)
				compareJudgement(t, name, c.Judgement, j["verdict"].(map[string]any))
				compareEndpoint(t, name, c.ClientAddress, c.ClientPort, j["client"])
				compareEndpoint(t, name, c.RemoteAddress, c.RemotePort, j["server"])
			}
			for i := range got.lookups {
				name := fmt.Sprintf("lookup %d", i)
				compareColumns(t, name, lookupColumns, reflect.ValueOf(&got.lookups[i]).Elem(), want.Lookups[i])
				compareJudgement(t, name, got.lookups[i].Judgement, want.Lookups[i]["verdict"].(map[string]any))
				compareEndpoint(t, name, got.lookups[i].ResolverAddress, got.lookups[i].ResolverPort, want.Lookups[i]["server"])
			}
			evidence := 0
			for _, v := range got.verdicts {
				evidence += int(v.Evidence)
			}
			if evidence != len(got.evidence) {
				t.Errorf("%d rows of evidence, verdicts speak of %d", len(got.evidence), evidence)
			}
			compareEvidence(t, got.evidence, "capture", nil, want.Verdict)
			for i, j := range want.Connections {
				compareEvidence(t, got.evidence, SubjectConnection, &got.connections[i].ConnectionID, j["verdict"].(map[string]any))
			}
			for i, e := range got.events {
				if e.Text != want.Events[i]["text"] || e.EventSource != want.Events[i]["source"] {
					t.Errorf("event %d is %q of %q, the report has %v", i, e.Text, e.EventSource, want.Events[i])
				}
			}
		})
	}
}

// connectionColumns are columns by the report's member.
var connectionColumns = map[string]string{
	"connection_id": "id", "start": "start", "duration_ms": "duration_ms", "first_frame": "first_frame", "last_frame": "last_frame",
	"host": "server_name", "target": "target", "pid": "process.pid", "process_name": "process.name", "command": "process.command",
	"owner_source": "process.source", "owner_confidence": "process.confidence",
	"dns_ms": "stages_ms.dns", "connect_ms": "stages_ms.connect", "tls_ms": "stages_ms.tls", "first_byte_ms": "stages_ms.first_byte",
	"transfer_ms": "stages_ms.transfer", "quiet_ms": "stages_ms.quiet",
	"bytes_from_client": "bytes.from_client", "bytes_from_server": "bytes.from_server",
	"packets": "tcp.packets", "packets_from_client": "tcp.packets_from_client", "packets_from_server": "tcp.packets_from_server",
	"retransmissions": "tcp.retransmissions", "fast_retransmissions": "tcp.fast_retransmissions",
	"spurious_retransmissions": "tcp.spurious_retransmissions", "copied_retransmissions": "tcp.copied_retransmissions",
	"duplicate_acks": "tcp.duplicate_acks", "out_of_order": "tcp.out_of_order", "lost_segments": "tcp.lost_segments",
	"ack_lost_segments": "tcp.ack_lost_segments", "zero_windows": "tcp.zero_windows", "window_full": "tcp.window_full",
	"keep_alives": "tcp.keep_alives", "keep_alives_answered": "tcp.keep_alives_answered", "duplicate_frames": "tcp.duplicate_frames",
	"resets_from_client": "tcp.resets_from_client", "resets_from_server": "tcp.resets_from_server",
	"handshake_rtt_ms": "tcp.handshake_rtt_ms", "rtt_min_ms": "tcp.rtt_min_ms", "rtt_mean_ms": "tcp.rtt_mean_ms", "rtt_max_ms": "tcp.rtt_max_ms",
	"rtt_samples": "tcp.rtt_samples", "server_rtt_ms": "tcp.rtt_to_server.mean_ms", "client_mss": "tcp.client_mss", "server_mss": "tcp.server_mss",
	"tls_version": "tls.version", "cipher": "tls.cipher", "alpn": "tls.alpn", "alpn_chosen": "tls.alpn_chosen", "ja3": "tls.ja3", "ja4": "tls.ja4",
	"client_hello_bytes": "tls.client_hello_bytes", "client_hello_segments": "tls.client_hello_segments", "hello_retry": "tls.hello_retry",
	"alert": "tls.alerts.0.name", "alert_from": "tls.alerts.0.from", "certificate_issuer": "tls.certificates.0.issuer",
	"certificate_subject": "tls.certificates.0.subject", "certificate_sha256": "tls.certificates.0.sha256",
	"certificate_not_after": "tls.certificates.0.not_after",
	"proxy":                 "proxy.target", "proxy_status": "proxy.status", "icmp_from": "icmp.0.from", "icmp_type": "icmp.0.type", "icmp_code": "icmp.0.code",
}

var lookupColumns = map[string]string{
	"start": "start", "host": "name", "type": "type", "rcode": "rcode", "answers": "answers", "duration_ms": "ms", "frames": "frames",
}

func compareColumns(t *testing.T, name string, columns map[string]string, row reflect.Value, want map[string]any) {
	t.Helper()
	for column, path := range columns {
		if got, w := columnText(column, row), memberText(want, path); got != w {
			t.Errorf("%s: %s is %s, the report has %s = %s", name, column, got, path, w)
		}
	}
}

// columnText returns the value of a column as text; "" for null, false, zero and
// the empty list, between which the report does not distinguish by leaving out.
func columnText(column string, row reflect.Value) string {
	for i := range row.NumField() {
		name, _, _ := strings.Cut(row.Type().Field(i).Tag.Get("parquet"), ",")
		if name != column {
			continue
		}
		v := row.Field(i)
		if v.Kind() == reflect.Pointer {
			if v.IsNil() {
				return ""
			}
			v = v.Elem()
		}
		if at, ok := v.Interface().(time.Time); ok {
			return at.UTC().Format(time.RFC3339Nano)
		}
		return plainText(fmt.Sprint(v.Interface()))
	}
	panic("no column " + column)
}

func memberText(from any, path string) string {
	for part := range strings.SplitSeq(path, ".") {
		switch v := from.(type) {
		case map[string]any:
			from = v[part]
		case []any:
			if len(v) == 0 {
				return ""
			}
			from = v[0]
		default:
			return ""
		}
	}
	switch v := from.(type) {
	case nil:
		return ""
	case json.Number:
		if strings.Contains(v.String(), ".") || strings.Contains(v.String(), "e") {
			f, err := v.Float64()
			if err != nil {
				panic(err)
			}
			return plainText(fmt.Sprint(f))
		}
	case []any:
		return plainText(fmt.Sprint(v))
	}
	return plainText(fmt.Sprint(from))
}

func plainText(s string) string {
	if s == "0" || s == "false" || s == "[]" {
		return ""
	}
	return s
}

func compareJudgement(t *testing.T, name string, got Judgement, want map[string]any) {
	t.Helper()
	for column, path := range map[string]string{"class": "class", "stage": "stage", "level": "level", "summary": "summary", "places": "place", "notes": "notes"} {
		if g, w := columnText(column, reflect.ValueOf(got)), memberText(want, path); g != w {
			t.Errorf("%s: %s is %s, the report has %s", name, column, g, w)
		}
	}
	class := want["class"].(string)
	if died := class != "ok" && class != "no-traffic" && class != "capture.unusable"; got.Died != died {
		t.Errorf("%s: died is %v for %s", name, got.Died, class)
	}
	if got.Place != strings.Join(got.Places, ",") {
		t.Errorf("%s: place is %q, places are %q", name, got.Place, got.Places)
	}
}

func compareEndpoint(t *testing.T, name, address string, port *int32, want any) {
	t.Helper()
	host := address
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if port == nil || fmt.Sprintf("%s:%d", host, *port) != want {
		t.Errorf("%s: %s and port %v, the report has %v", name, address, port, want)
	}
}

func compareEvidence(t *testing.T, rows []Evidence, kind string, id *int64, verdict map[string]any) {
	t.Helper()
	var got []string
	for _, r := range rows {
		if r.Subject.Subject == kind && (id == nil || *r.SubjectID == *id) {
			got = append(got, fmt.Sprint(r.EvidenceID, r.Text, r.Frames, r.Filter))
		}
	}
	var want []string
	for _, e := range verdict["evidence"].([]any) {
		m := e.(map[string]any)
		want = append(want, fmt.Sprint(m["id"], m["text"], m["frames"], m["filter"]))
	}
	if !slices.Equal(got, want) {
		t.Errorf("evidence of %s %v is\n%q\nthe report has\n%q", kind, id, got, want)
	}
}

// TestParquetKeepsRows writes the rows of a capture and reads them back.
func TestParquetKeepsRows(t *testing.T) {
	var want kept
	for _, name := range []string{"dns-forged-refused", "icmp-prohibited", "certificate-untrusted-tls12", "tunnel-407", "healthy-ipv6"} {
		path := filepath.Join("..", "..", "testdata", "pcaps", name+".pcapng")
		if err := Write(document(t, path, report.Options{Version: "v1"}), Source{File: path}, &want); err != nil {
			t.Fatal(err)
		}
	}
	roundTrip(t, Connections, want.connections)
	roundTrip(t, Lookups, want.lookups)
	roundTrip(t, Verdicts, want.verdicts)
	roundTrip(t, Evidences, want.evidence)
}

func roundTrip[T any](t *testing.T, table string, want []T) {
	t.Helper()
	if len(want) == 0 {
		t.Fatalf("%s: no rows", table)
	}
	var b bytes.Buffer
	w := parquet.NewGenericWriter[T](&b)
	if _, err := w.Write(want); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	// Into embedded structures the library reads zero for null: it is given
	// one without.
	flat := reflect.StructOf(flatten(reflect.TypeFor[T]()))
	r := parquet.NewReader(bytes.NewReader(b.Bytes()), parquet.SchemaOf(reflect.New(flat).Interface()))
	if int(r.NumRows()) != len(want) {
		t.Fatalf("%s: %d rows of %d", table, r.NumRows(), len(want))
	}
	for i := range want {
		got := reflect.New(flat)
		if err := r.Read(got.Interface()); err != nil {
			t.Fatal(err)
		}
		if g, w := rowText(got.Elem()), rowText(reflect.ValueOf(want[i])); g != w {
			t.Fatalf("%s: row %d is\n%s\nwant\n%s", table, i, g, w)
		}
	}
}

func flatten(t reflect.Type) (out []reflect.StructField) {
	for i := range t.NumField() {
		if f := t.Field(i); f.Anonymous {
			out = append(out, flatten(f.Type)...)
		} else {
			out = append(out, reflect.StructField{Name: f.Name, Type: f.Type, Tag: f.Tag})
		}
	}
	return out
}

// rowText writes a row with its times as the tables have them.
func rowText(v reflect.Value) string {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return "null"
		}
		return rowText(v.Elem())
	case reflect.Struct:
		if at, ok := v.Interface().(time.Time); ok {
			return at.UTC().Truncate(time.Microsecond).Format(time.RFC3339Nano)
		}
		var parts []string
		for i := range v.NumField() {
			if v.Type().Field(i).Anonymous {
				parts = append(parts, rowText(v.Field(i)))
				continue
			}
			parts = append(parts, v.Type().Field(i).Name+"="+rowText(v.Field(i)))
		}
		return strings.Join(parts, " ")
	}
	return fmt.Sprint(v.Interface())
}

func TestCaseID(t *testing.T) {
	one := filepath.Join("..", "..", "testdata", "pcaps", "reset-body.pcapng")
	other := filepath.Join("..", "..", "testdata", "pcaps", "hello-reset.pcapng")
	d := document(t, one, report.Options{})
	id := CaseID(d, "a", 0)
	var raw bytes.Buffer
	x := redact.New(redact.Options{Public: goproxy.PublicEnd, Key: []byte("0123456789abcdef")})
	if err := report.WriteJSON(&raw, document(t, one, report.Options{Redact: x}), false); err != nil {
		t.Fatal(err)
	}
	read, err := report.ReadJSON(raw.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if got := CaseID(read, "b", 3); got != id {
		t.Errorf("a capture is %s, the redacted report on it %s", id, got)
	}
	if got := CaseID(document(t, other, report.Options{}), "a", 0); got == id {
		t.Errorf("two captures are both %s", id)
	}
	empty := &report.Document{}
	if CaseID(empty, "a", 0) == CaseID(empty, "b", 0) {
		t.Error("captures without a packet are told apart by nothing")
	}
}

// TestColumns holds the names of all columns: queries rely on them.
func TestColumns(t *testing.T) {
	var got bytes.Buffer
	for table, schema := range map[string]*parquet.Schema{
		Connections: parquet.SchemaOf(Connection{}), Lookups: parquet.SchemaOf(Lookup{}), Verdicts: parquet.SchemaOf(Verdict{}),
		Evidences: parquet.SchemaOf(Evidence{}), Events: parquet.SchemaOf(Event{}), Files: parquet.SchemaOf(File{}),
	} {
		for _, f := range schema.Fields() {
			need := "required"
			if f.Optional() {
				need = "optional"
			}
			kind := "list"
			if f.Leaf() {
				kind = f.Type().String()
			}
			fmt.Fprintf(&got, "%s.%s %s %s\n", table, f.Name(), need, kind)
		}
	}
	lines := strings.Split(strings.TrimSpace(got.String()), "\n")
	slices.Sort(lines)
	text := strings.Join(lines, "\n") + "\n"
	golden := filepath.Join("testdata", "columns.golden")
	if *update {
		if err := os.WriteFile(golden, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	have := "\n" + text
	for line := range strings.SplitSeq(strings.TrimSpace(string(want)), "\n") {
		if !strings.Contains(have, "\n"+line+"\n") {
			t.Errorf("no column %s", line)
		}
	}
	if text != string(want) && !t.Failed() {
		t.Errorf("new columns are not in %s: go test ./rows -update writes it", golden)
	}
}
