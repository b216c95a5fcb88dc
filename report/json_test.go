package report

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"

	"goproxytrace/analyze"
	"goproxytrace/analyze/diagnose"
	"goproxytrace/internal/terminal"
	"goproxytrace/report/messages"
)

// contract is the document that consumers may rely on: names and kinds.
const contract = `{"schema": "", "tool": {"version": ""},
 "capture": {"file": "", "packets": 0, "bytes": 0, "start": "", "end": "", "received": 0, "dropped": 0, "truncated_at": null,
             "interfaces": [{"name": "", "link_type": "", "filter": "", "dropped": 0}],
             "health": [{"id": "", "text": "", "frames": [1]}]},
 "verdict": {"class": "", "stage": "", "place": [], "level": "", "summary": "", "notes": [], "evidence": [{"id": "", "text": "", "frames": [], "filter": ""}],
             "refuted_by": [], "next_steps": [], "not_assessed": []},
 "processes": [{"pid": 0, "name": "", "command": "", "parent": 0, "exit": 0, "verdict": {"class": ""}}],
 "connections": [{"id": 0, "client": "", "server": "", "server_name": "", "first_frame": 0,
    "process": {"pid": 0, "name": "", "command": "", "source": "", "confidence": ""}, "server_process": null,
    "stages_ms": {"dns": 0, "connect": 0, "tls": 0, "first_byte": 0, "transfer": 0, "quiet": 0},
    "bytes": {"from_client": 0, "from_server": 0},
    "tcp": {"packets": 0, "retransmissions": 0, "fast_retransmissions": 0, "spurious_retransmissions": 0,
            "duplicate_acks": 0, "out_of_order": 0, "lost_segments": 0, "zero_windows": 0, "keep_alives": 0, "keep_alives_answered": 0,
            "resets_from_client": 0, "resets_from_server": 0, "handshake_rtt_ms": 0},
    "tls": {"version": "", "cipher": "", "alpn": [], "ja3": "", "ja4": "", "client_hello_bytes": 0, "client_hello_segments": 0,
            "hello_retry": false, "alerts": [{"from": "client", "number": 0, "name": "", "frame": 0}], "certificates": [{"subject": "", "issuer": "", "names": [], "not_before": "", "not_after": ""}]},
    "icmp": [{"from": "", "type": 0, "code": 0, "frame": 0}],
    "verdict": {"class": "", "stage": "", "place": [], "level": "", "summary": "", "notes": [], "evidence": [], "refuted_by": [], "next_steps": [], "not_assessed": []}}],
 "attempts": [],
 "events": [{"time": "", "source": "", "text": "", "pid": 0}],
 "lookups": [{"name": "", "type": "A", "rcode": "", "answers": [], "ms": 0, "verdict": {"class": "", "evidence": []}}]}`

func encode(t testing.TB, d *Document, oneLine bool) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := WriteJSON(&b, d, oneLine); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// covers reports members of want that got lacks or has with another kind.
func covers(t *testing.T, path string, want, got any) {
	t.Helper()
	switch w := want.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok {
			t.Errorf("%s is %T, want an object", path, got)
			return
		}
		for k, v := range w {
			if _, ok := g[k]; !ok {
				t.Errorf("%s.%s is missing", path, k)
				continue
			}
			covers(t, path+"."+k, v, g[k])
		}
	case []any:
		g, ok := got.([]any)
		if !ok {
			t.Errorf("%s is %T, want a list", path, got)
		} else if len(w) > 0 && len(g) == 0 {
			t.Errorf("%s is empty", path)
		} else if len(w) > 0 {
			covers(t, path+"[0]", w[0], g[0])
		}
	case nil:
		if got != nil {
			t.Errorf("%s = %v, want null", path, got)
		}
	default:
		if a, b := kindOf(want), kindOf(got); a != b {
			t.Errorf("%s is %s, want %s", path, b, a)
		}
	}
}

func kindOf(v any) string {
	switch v.(type) {
	case string:
		return "a string"
	case float64:
		return "a number"
	case bool:
		return "a boolean"
	case nil:
		return "null"
	}
	return "a list or object"
}

func TestJSONFollowsContract(t *testing.T) {
	r := fakeResult(3000, "goproxy.cn")
	defer r.Connections.Close()
	d := Build(r, Options{Version: "v1"})
	var want, got map[string]any
	if err := json.Unmarshal([]byte(contract), &want); err != nil {
		t.Fatal(err)
	}
	raw := encode(t, d, false)
	if err := json.Unmarshal(raw, &got); err != nil {
		t.Fatal(err)
	}
	covers(t, "document", want, got)
	list := got["connections"].([]any)
	if len(list) != 3000 {
		t.Fatalf("%d connections, want 3000", len(list))
	}
	// The first connections come from memory, the last ones from a file:
	// both must look alike.
	for _, i := range []int{0, 7, 2997} {
		c := list[i].(map[string]any)
		covers(t, "connection", want["connections"].([]any)[0], c)
		if c["id"] != float64(i) {
			t.Errorf("connection %d has the ID %v", i, c["id"])
		}
		wantClass := "ok"
		if i%10 == 7 {
			wantClass = "tls.reset"
		}
		if v := c["verdict"].(map[string]any); v["class"] != wantClass {
			t.Errorf("connection %d has the class %v, want %s", i, v["class"], wantClass)
		}
	}
	dead := list[2997].(map[string]any)["verdict"].(map[string]any)["evidence"].([]any)[0].(map[string]any)
	if dead["filter"] != "frame.number in {3007..3009}" {
		t.Errorf("filter %v", dead["filter"])
	}
	if n := bytes.Count(encode(t, d, true), []byte("\n")); n != 1 {
		t.Errorf("one line of NDJSON has %d line ends", n)
	}
}

func TestJSONOfNothing(t *testing.T) {
	d := Build(&analyze.Result{Subject: -1, Verdict: diagnose.Verdict{Class: diagnose.NoTraffic}}, Options{})
	var got map[string]any
	if err := json.Unmarshal(encode(t, d, false), &got); err != nil {
		t.Fatal(err)
	}
	for _, k := range []string{"processes", "connections", "attempts", "events", "lookups"} {
		if l, ok := got[k].([]any); !ok || len(l) != 0 {
			t.Errorf("%s = %v, want an empty list", k, got[k])
		}
	}
	c := got["capture"].(map[string]any)
	for _, k := range []string{"start", "end", "received", "dropped", "truncated_at"} {
		if v, ok := c[k]; !ok || v != nil {
			t.Errorf("capture.%s = %v, want null", k, v)
		}
	}
}

// hostile holds what may stand in a server name, a certificate or a comment.
const hostile = "evil\x1b[31m\u202e\u0085\x7f\u2066\u200b\ufeff\u2028\xff<script>&'\"\\.example"

func TestHostileNamesInJSON(t *testing.T) {
	for _, n := range []int{1, 3000} {
		r := fakeResult(n, hostile)
		raw := encode(t, Build(r, Options{File: hostile, Version: hostile}), true)
		checkHarmless(t, raw[:len(raw)-1], "<>&")
		var got struct {
			Connections []struct {
				Name string `json:"server_name"`
			}
		}
		if err := json.Unmarshal(raw, &got); err != nil {
			t.Fatal(err)
		}
		want := strings.ToValidUTF8(hostile, "\ufffd")
		if name := got.Connections[n-1].Name; name != want {
			t.Errorf("server name %q, want %q", name, want)
		}
		r.Connections.Close()
	}
}

// checkHarmless fails where a terminal, an editor or a browser would act on
// the text.
func checkHarmless(t *testing.T, text []byte, forbidden string) {
	t.Helper()
	for i, r := range string(text) {
		if r != '\n' && !terminal.Harmless(r) || r == '\ufffd' || strings.ContainsRune(forbidden, r) {
			t.Fatalf("%U at offset %d: %q", r, i, text[max(0, i-40):min(len(text), i+10)])
		}
	}
}

func FuzzJSONEscaping(f *testing.F) {
	for _, s := range []string{"", "goproxy.cn", hostile, "\xf0\x9f", "\U000e0001", "a\\", `a\"`, "\\\\"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		own := appendString(nil, s)
		std, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		for _, raw := range [][]byte{own, appendEscaped(nil, std)} {
			checkHarmless(t, raw, "<>&")
			var got string
			if err := json.Unmarshal(raw, &got); err != nil {
				t.Fatalf("%q: %v", raw, err)
			}
			if want := strings.ToValidUTF8(s, "\ufffd"); strings.ReplaceAll(got, "\ufffd", "") != strings.ReplaceAll(want, "\ufffd", "") {
				t.Fatalf("%q became %q", s, got)
			}
		}
		c := fakeConnection(1, s, diagnose.OK)
		row := new(Row)
		if err := row.set(analyze.Held{Connection: c}); err != nil {
			t.Fatal(err)
		}
		raw, err := row.appendJSON(nil)
		if err != nil || !json.Valid(raw) {
			t.Fatalf("connection to %q: %v: %s", s, err, raw)
		}
		checkHarmless(t, raw, "<>&")
	})
}

func FuzzScan(f *testing.F) {
	good, _ := json.Marshal(fakeConnection(1, "goproxy.cn", diagnose.TLSReset))
	f.Add(good)
	f.Add([]byte(`{"id":1,"verdict":{"class":"ok"}}`))
	f.Add([]byte(`{"a":"\\","verdict":{"class":"`))
	f.Fuzz(func(_ *testing.T, raw []byte) {
		row := new(Row)
		if row.set(analyze.Held{JSON: raw}) == nil {
			row.Died()
			_, _ = row.appendJSON(nil)
		}
	})
}

func BenchmarkWriteJSON(b *testing.B) {
	const n = 20_000
	r := fakeResult(n, "goproxy.cn")
	defer r.Connections.Close()
	d := Build(r, Options{})
	b.ReportAllocs()
	for b.Loop() {
		if err := WriteJSON(io.Discard, d, true); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/connection")
}

// What programs read is in English, whatever people read.
func TestProgramsGetEnglish(t *testing.T) {
	r := fakeResult(1, "goproxy.cn")
	defer r.Connections.Close()
	d := Build(r, Options{Language: messages.Chinese})
	if err := WriteJSON(io.Discard, d, false); err == nil {
		t.Error("JSON of a Chinese document was written")
	}
	if err := NewCSV(io.Discard).Write(d); err == nil {
		t.Error("CSV of a Chinese document was written")
	}
}
