package compare

import (
	"io"
	"strings"
	"testing"

	"goproxytrace/internal/terminal"
)

// Whatever a file of reports holds, it is compared or refused.
func FuzzReadReports(f *testing.F) {
	f.Add(`{"schema":"goproxytrace.report/v1","capture":{"file":"x","packets":1,"start":"2026-01-01T00:00:00Z","health":[{"id":"K4.offload"}]},"verdict":{"class":"ok"},` +
		`"connections":[{"id":0,"client":"192.0.2.1:4000","server":"203.0.113.1:443","server_name":"a.example","start":"2026-01-01T00:00:00Z","duration_ms":5,` +
		`"stages_ms":{"connect":1,"tls":2,"first_byte":1,"transfer":3},"bytes":{"from_client":1,"from_server":2},"tcp":{"packets":9,"rtt_to_server":{"min_ms":1,"mean_ms":2,"samples":3}},` +
		`"tls":{"ja4":"t","client_hello_bytes":517,"alerts":[{"from":"server","name":"x"}]},"verdict":{"class":"tls.reset"}}],"lookups":[{"name":"a.example","ms":3}]}`)
	f.Add(`{"schema":"goproxytrace.report/v1","connections":null}{"schema":"goproxytrace.report/v1"}`)
	f.Fuzz(func(t *testing.T, in string) {
		runs, err := ReadReports(strings.NewReader(in), "x")
		if err != nil {
			return
		}
		c, err := Compare(runs[:1], runs[len(runs)-1:], Options{})
		if err != nil {
			t.Fatal(err)
		}
		for _, write := range []func() error{
			func() error { return WriteText(io.Discard, c, terminal.Output{Columns: 80}) },
			func() error { return WriteJSON(io.Discard, c) },
			func() error { return WriteMarkdown(io.Discard, c) },
			func() error { return WriteHTML(io.Discard, c) },
		} {
			if err := write(); err != nil {
				t.Fatal(err)
			}
		}
	})
}
