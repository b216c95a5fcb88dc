package compare

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"goproxytrace/internal/terminal"
)

// condition is what the runs of one side have in common.
type condition struct {
	delay  float64 // ms, round trip
	loss   float64 // share of packets
	issuer string
	deaf   bool // no ClientHello is acknowledged
}

// generate makes reports as analyze --json writes them: runs of a download with
// a path whose weather changes from run to run, so that the connections of one
// run have more in common than those of two.
func generate(r *rand.Rand, n int, c condition) []*Run {
	var b strings.Builder
	for i := range n {
		weather := math.Exp(r.NormFloat64() * 0.1)
		start := time.Date(2026, 11, 1, 12, i, 0, r.IntN(1e9), time.UTC)
		var connections []string
		for k := range 2 + r.IntN(4) {
			rtt := c.delay * weather * math.Exp(math.Abs(r.NormFloat64())*0.05)
			packets := 100 + r.IntN(50)
			resent := 0
			for range packets {
				if r.Float64() < c.loss {
					resent++
				}
			}
			stages := fmt.Sprintf(`{"connect":%g,"tls":%g,"first_byte":%g,"transfer":%g}`, rtt, 2*rtt+r.ExpFloat64(), rtt+r.ExpFloat64(), 8*rtt+r.ExpFloat64()*20)
			verdict, acked, answer := "ok", "true", `,"server_hello_frame":9,"version":"TLS 1.2"`
			if c.deaf {
				stages, verdict, acked, answer = fmt.Sprintf(`{"connect":%g}`, rtt), "tls.client-hello-lost", "false", ""
			}
			certificate := ""
			if c.issuer != "" && !c.deaf {
				certificate = `,"certificates":[{"subject":"CN=proxy.example","issuer":"` + c.issuer + `"}]`
			}
			connections = append(connections, fmt.Sprintf(`{"id":%d,"client":"192.0.2.1:%d","server":"203.0.113.10:443","server_name":"proxy.example","first_frame":%d,
				"start":%q,"duration_ms":%g,"stages_ms":%s,"bytes":{"from_client":%d,"from_server":%d},
				"tcp":{"packets":%d,"retransmissions":%d,"rtt_to_server":{"min_ms":%g,"mean_ms":%g,"max_ms":%g,"samples":%d}},
				"tls":{"ja3":"x","ja4":"y","client_hello_bytes":1523,"client_hello_acknowledged":%s%s%s},"verdict":{"class":%q}}`,
				k, 40000+k, k+1, start.Format(time.RFC3339Nano), 10*rtt, stages, 2000+r.IntN(3), 50000+r.IntN(5), packets, resent, rtt, rtt*1.1, rtt*2, packets/2,
				acked, answer, certificate, verdict))
		}
		class := "ok"
		if c.deaf {
			class = "tls.client-hello-lost"
		}
		fmt.Fprintf(&b, `{"schema":"goproxytrace.report/v1","capture":{"file":"run%d.pcapng","packets":%d,"bytes":1,"start":%q,"dropped":0,"health":[]},
			"verdict":{"class":%q},"processes":[{"pid":1}],"connections":[%s],
			"lookups":[{"name":"proxy.example","type":"A","ms":%g,"verdict":{"class":"ok"}}]}`+"\n",
			i, r.IntN(1000), start.Format(time.RFC3339Nano), class, strings.Join(connections, ","), c.delay*weather+r.ExpFloat64())
	}
	runs, err := ReadReports(strings.NewReader(b.String()), "generated")
	if err != nil {
		panic(err)
	}
	return runs
}

// found lists what a comparison says that differs.
func found(t testing.TB, a, b []*Run) map[string]*Row {
	t.Helper()
	c, err := Compare(a, b, Options{})
	if err != nil {
		t.Fatal(err)
	}
	out := make(map[string]*Row)
	for g, r := range c.Differences() {
		out[g.Host+" "+r.ID] = r
	}
	return out
}

var usual = condition{delay: 25, issuer: "CN=Good CA"}

func with(f func(*condition)) condition {
	c := usual
	f(&c)
	return c
}

// Each difference that was made is found, and what does not come of it is not.
func TestDifferencesAreFound(t *testing.T) {
	for _, c := range []struct {
		name string
		b    condition
		want []string
		not  []string
	}{
		{
			"30 ms more", with(func(c *condition) { c.delay += 30 }), []string{"connect", "tls", "first_byte", "lookup", "rtt_to_server_min"},
			[]string{"certificate_issuer", "verdict", "client_hello_bytes"},
		},
		{"1 % loss", with(func(c *condition) { c.loss = 0.01 }), []string{"retransmissions"}, []string{"connect", "verdict", "certificate_issuer"}},
		{"inspection", with(func(c *condition) { c.issuer = "CN=Inspector" }), []string{"certificate_issuer"}, []string{"connect", "retransmissions", "verdict"}},
		{
			"no ClientHello acknowledged", with(func(c *condition) { c.deaf = true }), []string{"verdict", "client_hello_acknowledged", "reached"},
			[]string{"connect", "retransmissions"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 7))
			got := found(t, generate(r, 10, usual), generate(r, 10, c.b))
			for _, id := range c.want {
				if got["proxy.example "+id] == nil {
					t.Errorf("%s is not found to differ", id)
				}
			}
			for _, id := range c.not {
				if got["proxy.example "+id] != nil {
					t.Errorf("%s is said to differ", id)
				}
			}
		})
	}
}

// Two halves of one set do not differ: at most in one of 20 shuffles, whatever
// the runs are like.
func TestHalvesDoNotDiffer(t *testing.T) {
	for _, c := range []struct {
		name string
		condition
	}{
		{"usual", usual},
		{"lossy", with(func(c *condition) { c.loss = 0.01 })},
		{"dead", with(func(c *condition) { c.deaf = true })},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(3, 9))
			runs, alarms := generate(r, 20, c.condition), 0
			const shuffles = 200
			for range shuffles {
				r.Shuffle(len(runs), func(i, j int) { runs[i], runs[j] = runs[j], runs[i] })
				if len(found(t, runs[:10], runs[10:])) > 0 {
					alarms++
				}
			}
			t.Logf("%d of %d shuffles raise an alarm", alarms, shuffles)
			if alarms*20 > shuffles {
				t.Errorf("more than one shuffle in 20 raises an alarm")
			}
		})
	}
}

// Runs that are new each time do not differ either.
func TestFalseAlarms(t *testing.T) {
	alarms, n := 0, 300
	if testing.Short() {
		n = 50
	}
	for i := range n {
		r := rand.New(rand.NewPCG(11, uint64(i)))
		c := with(func(c *condition) { c.loss = 0.005 })
		if len(found(t, generate(r, 8, c), generate(r, 12, c))) > 0 {
			alarms++
		}
	}
	t.Logf("%d of %d comparisons of runs of one kind raise an alarm", alarms, n)
	// Three standard errors above the bound.
	if limit := Alpha + 3*math.Sqrt(Alpha*(1-Alpha)/float64(n)); float64(alarms) > limit*float64(n) {
		t.Errorf("the bound on false alarms is %v", Alpha)
	}
}

func TestReportsOfOtherKinds(t *testing.T) {
	good := `{"schema":"goproxytrace.report/v1","capture":{},"verdict":{"class":"ok"},"connections":null}`
	for _, c := range []struct{ in, want string }{
		{good, ""},
		{good + "\n" + good, ""},
		{`{"verdict":{"class":"ok"},"schema":"goproxytrace.report/v1"}`, ""}, // as jq -S sorts
		{`{}`, "not a report"},
		{`{"schema":"goproxytrace.compare/v1"}`, "not a report"},
		{`[]`, "not a report"},
		{``, "not a report"},
		{good[:len(good)-9], "the report is cut"},
		{good + `{"schema":`, "the report is cut"},
		{`{"schema":"goproxytrace.report/v1","connections":{}}`, "where a list should be"},
		{`{"schema":"goproxytrace.report/v1","connections":[1]}`, "cannot unmarshal"},
	} {
		runs, err := ReadReports(strings.NewReader(c.in), "x")
		if got := fmt.Sprint(err); c.want == "" && (err != nil || len(runs) == 0) || !strings.Contains(got, c.want) {
			t.Errorf("%s: %d runs, %v, want %q", c.in, len(runs), err, c.want)
		}
	}
}

// A file of very many hosts, connections and outcomes stays bounded.
func TestBounds(t *testing.T) {
	var runs [2][]*Run
	for side := range runs {
		r := &Run{File: "x"}
		var c jsonConnection
		for i := range 10_000 {
			raw := fmt.Sprintf(`{"server":"203.0.113.10:443","server_name":"h%d.example","tls":{"ja3":"%d"},"start":"2026-01-01T00:00:00Z"}`, i%2000, i)
			c = jsonConnection{}
			if err := json.Unmarshal([]byte(raw), &c); err != nil {
				t.Fatal(err)
			}
			r.connection(&c.Connection, "ok")
		}
		for _, h := range r.hosts {
			if len(h.slots) > 2*maxSlots || len(h.ja3) > maxValues {
				t.Fatalf("host %s keeps %d connections and %d fingerprints", h.name, len(h.slots), len(h.ja3))
			}
		}
		if len(r.hosts) != maxHosts || r.omitted == 0 {
			t.Fatalf("%d hosts, %d omitted", len(r.hosts), r.omitted)
		}
		runs[side] = []*Run{r}
	}
	found(t, runs[0], runs[1])
}

// Numbers that nobody has measured do not break what is written.
func TestAbsurdNumbers(t *testing.T) {
	for _, n := range []string{"1e308", "-1e308", "1e15", "9e14", "-5", "0"} {
		in := `{"schema":"goproxytrace.report/v1","connections":[{"server_name":"a","stages_ms":{"connect":` + n + `,"transfer":` + n + `},"tcp":{"packets":1},"verdict":{"class":"ok"}}]}`
		a, err := ReadReports(strings.NewReader(in), "x")
		if err != nil {
			t.Fatal(err)
		}
		c, err := Compare(a, a, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := WriteJSON(io.Discard, c); err != nil {
			t.Errorf("%s: %v", n, err)
		}
		if err := WriteText(io.Discard, c, terminal.Output{Columns: 80}); err != nil {
			t.Errorf("%s: %v", n, err)
		}
	}
}
