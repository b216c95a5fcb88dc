//go:build linux

package lab

import (
	"bytes"
	"context"
	"fmt"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"goproxytrace/analyze/diagnose"
	"goproxytrace/capture/pcapfile"
	"goproxytrace/compare/twopoint"
	"goproxytrace/internal/terminal"
)

// twoPoints are the scenarios that are captured at both ends: forgers and
// drops of every kind, and healthy ones that look like them.
var twoPoints = []string{
	"healthy-h2", "healthy-http1-near", "healthy-distant", "healthy-ipv6", "healthy-loss-1", "healthy-loss-distant", "healthy-reordered",
	"healthy-reordered-http1", "healthy-first-hello-lost", "healthy-first-syn-lost", "healthy-reset-forged-ignored", "healthy-dns-retry", "healthy-small-mtu",
	"hello-dropped", "hello-dropped-near", "hello-dropped-ipv6", "hello-rest-dropped", "large-dropped", "large-dropped-ipv6", "large-dropped-down", "answer-dropped",
	"path-dead-after-hello", "flight-hole", "stalled-download", "hello-reset", "hello-reset-ipv6", "accept-reset",
	"sni-reset-beside", "sni-reset-three", "sni-reset-payload", "sni-reset-inline", "sni-reset-inline-plain", "sni-reset-inline-like", "sni-reset-ipv6",
	"syn-reset-forged", "syn-drop", "syn-ack-drop", "dns-forged-refused", "dns-dropped", "reset-body", "reset-body-forged",
}

// rejections are routers that end connections: their packets are their own.
func rejections() []Scenario {
	return []Scenario{
		{
			Name: "router-reset", About: "the first router answers ClientHellos with a reset", End: Fails, Says: "connection reset by peer", Modules: small(),
			Path: Path{Forward: []string{"tcp dport 443 meta length > 200 reject with tcp reset"}},
		},
		{
			Name: "router-icmp", About: "the first router answers SYNs with ICMP", End: Fails, Says: "no route to host", Modules: small(),
			Path: Path{Forward: []string{"tcp dport 443 tcp flags syn / syn,ack reject with icmp type host-unreachable"}},
		},
	}
}

// TestTwoPoints captures scenarios at both ends and compares what two points say
// with what the middlebox did.
func TestTwoPoints(t *testing.T) {
	needLab(t)
	ctx, stop := signal.NotifyContext(t.Context(), syscall.SIGINT)
	defer stop()
	catalogue := append(Catalogue(), rejections()...)
	names := append(slices.Clone(twoPoints), "router-reset", "router-icmp")
	type outcome struct {
		r   *Result
		err error
	}
	outcomes := make([]chan outcome, len(names))
	work := make(chan int)
	dir := *write
	if dir == "" {
		dir = t.TempDir()
	}
	for i := range names {
		outcomes[i] = make(chan outcome, 1)
	}
	for range *parallel {
		go func() {
			for i := range work {
				at := slices.IndexFunc(catalogue, func(s Scenario) bool { return s.Name == names[i] })
				if at < 0 {
					outcomes[i] <- outcome{nil, fmt.Errorf("no scenario %s", names[i])}
					continue
				}
				s := catalogue[at]
				s.FarCapture = true
				r, err := Run(ctx, s, dir, *seed)
				outcomes[i] <- outcome{r, err}
			}
		}()
	}
	go func() {
		defer close(work)
		for i := range names {
			work <- i
		}
	}()
	for i, name := range names {
		o := <-outcomes[i]
		t.Run(name, func(t *testing.T) {
			if o.err != nil {
				t.Fatal(o.err)
			}
			sayUnstaged(t, o.r)
			if *write != "" {
				writeTruth(t, dir, o.r)
			}
			checkPoints(t, ctx, o.r)
		})
	}
	checkNothingLeft(t)
}

// seen is what two points say, or what the middlebox did.
type seen struct {
	Resets, Answers [2]int   // injected, to the server and to the client
	Packets         [2]int   // dropped that carry no payload
	Bytes           [2]int64 // of payload dropped
	Changed         int
}

func checkPoints(t *testing.T, ctx context.Context, r *Result) {
	t.Helper()
	client, server := point(t, ctx, r.Capture), point(t, ctx, r.FarCapture)
	a := siteAddrs[ProxyName]
	p, err := twopoint.Compare(client, server, twopoint.Options{Behind: []string{a.v4.String(), a.v6.String(), resolverAddr.v4.String()}})
	if err != nil {
		t.Fatal(err)
	}
	var got seen
	complaints := ""
	routers := 0 // packets that a router made
	for i := range p.Findings {
		f := &p.Findings[i]
		way := 0
		if f.Direction == twopoint.ToClient {
			way = 1
		}
		if f.Level != diagnose.Proven {
			complaints += fmt.Sprintf("%s %s is %s\n", f.Event, f.Kind, f.Level)
		}
		switch f.Event {
		case twopoint.Appeared:
			switch f.Kind {
			case twopoint.Reset:
				got.Resets[way] += f.Count
			case twopoint.Answer:
				got.Answers[way] += f.Count
			case twopoint.ICMP:
				routers += f.Count
			default:
				complaints += fmt.Sprintf("%d %s appeared\n", f.Count, f.Kind)
			}
		case twopoint.Vanished:
			if f.Bytes > 0 {
				got.Bytes[way] += f.Bytes
			} else {
				got.Packets[way] += f.Count
			}
		case twopoint.Changed, twopoint.Parted:
			got.Changed += f.Count
		case twopoint.Repeated:
			complaints += "copies in the network\n"
		}
	}
	// What passed in the last moments of a capture is not judged: it lies
	// between the two.
	least, most := told(r, server.End-700e6), told(r, server.End+1e9)
	switch r.Scenario {
	case "router-reset", "router-icmp":
		// The middlebox saw nothing; the router's packets are those at the client.
		if r.Scenario == "router-reset" && (got.Resets[1] == 0 || got.Bytes[0] == 0) || r.Scenario == "router-icmp" && (routers == 0 || got.Packets[0] == 0) {
			complaints += fmt.Sprintf("the router's deeds are not found: %+v, %d ICMP errors\n", got, routers)
		}
		got = seen{}
	}
	if !got.within(least, most) {
		complaints += fmt.Sprintf("found %+v, the middlebox did %+v", got, most)
		if least != most {
			complaints += fmt.Sprintf(" (%+v without the last moments)", least)
		}
	}
	if complaints != "" {
		var b bytes.Buffer
		if err := twopoint.WriteText(&b, p, terminal.Output{Columns: terminal.PipeColumns}); err != nil {
			t.Error(err)
		}
		t.Errorf("%s\n%s", complaints, indent(b.String()))
	}
}

// told is what the middlebox did until a time.
func told(r *Result, until int64) (s seen) {
	for _, d := range r.Deeds {
		way := 1
		if d.Up {
			way = 0
		}
		switch {
		case d.Time > until:
		case d.Injected && d.Proto == protoTCP:
			s.Resets[way]++
		case d.Injected && d.Proto == protoUDP:
			s.Answers[way]++
		case d.Injected: // an ICMP error is a router's own
		case d.Payload > 0:
			s.Bytes[way] += int64(d.Payload)
		default:
			s.Packets[way]++
		}
	}
	return s
}

func (s seen) within(least, most seen) bool {
	ok := s.Changed >= least.Changed && s.Changed <= most.Changed
	for d := range 2 {
		ok = ok && s.Resets[d] >= least.Resets[d] && s.Resets[d] <= most.Resets[d] && s.Answers[d] >= least.Answers[d] && s.Answers[d] <= most.Answers[d] &&
			s.Packets[d] >= least.Packets[d] && s.Packets[d] <= most.Packets[d] && s.Bytes[d] >= least.Bytes[d] && s.Bytes[d] <= most.Bytes[d]
	}
	return ok
}

func point(t *testing.T, ctx context.Context, path string) *twopoint.Point {
	t.Helper()
	src, err := pcapfile.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	p, err := twopoint.Read(ctx, src, filepath.Base(path))
	if err != nil {
		t.Fatal(err)
	}
	return p
}
