//go:build linux

package lab

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"goproxytrace/analyze"
	"goproxytrace/capture/pcapfile"
	"goproxytrace/compare"
	"goproxytrace/internal/terminal"
	"goproxytrace/report"
)

// TestCompare plays one download again and again, as it is and with one thing
// changed, and looks whether compare finds each change, and none between two
// halves of the same set.
func TestCompare(t *testing.T) {
	needLab(t)
	ctx, stop := signal.NotifyContext(t.Context(), syscall.SIGINT)
	defer stop()
	usual := func() Scenario {
		return Scenario{
			Modules: []Module{{"example.net/alpha", 400_000}, {"example.net/beta", 300_000}}, Interfaces: everywhere(),
			Path:  Path{RTT: 25 * ms, Plain: true},
			Proxy: Site{HTTP2: true, TLS: func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }},
		}
	}
	// Each set with the rows that must differ from the usual one, and those
	// that must not.
	sets := []struct {
		name       string
		runs       int
		change     func(*Scenario)
		want, same []string
		longer     []string // whose medians must be
	}{
		{name: "usual", runs: 20, change: func(*Scenario) {}},
		{
			// Stages are as long as a busy host makes them.
			name: "delayed", runs: 10, change: func(s *Scenario) { s.Path.RTT += 30 * ms },
			want: []string{"rtt_to_server_min"}, longer: []string{"transfer"}, same: []string{"verdict", "certificate_issuer", "ja4", "client_hello_bytes"},
		},
		{
			name: "lossy", runs: 10, change: func(s *Scenario) { s.Path.Box = []Maker{Loss(0.01, TCP)} },
			want: []string{"lost_segments"}, same: []string{"verdict", "certificate_issuer", "ja4", "client_hello_bytes", "bytes_from_server"},
		},
		{
			name: "inspected", runs: 10, change: func(s *Scenario) { s.Inspector = &Inspector{Authority: "Inspection Root"} },
			want: []string{"certificate_issuer", "server_address"}, same: []string{"verdict", "retransmissions"},
		},
	}
	dir := *write
	if dir == "" {
		dir = t.TempDir()
	}
	// The sets' runs alternate.
	type job struct{ set, run int }
	var jobs []job
	for i := range 20 {
		for k, s := range sets {
			if i*s.runs/20 != (i+1)*s.runs/20 {
				jobs = append(jobs, job{k, i * s.runs / 20})
			}
		}
	}
	type outcome struct {
		r      *compare.Run
		played *Result
		err    error
	}
	outcomes := make([]chan outcome, len(jobs))
	work := make(chan int)
	for i := range jobs {
		outcomes[i] = make(chan outcome, 1)
	}
	for range *parallel {
		go func() {
			for i := range work {
				j := jobs[i]
				s := usual()
				s.Name = fmt.Sprintf("compare-%s-%02d", sets[j.set].name, j.run)
				sets[j.set].change(&s)
				r, err := Run(ctx, s, dir, 0)
				var run *compare.Run
				if err == nil {
					run, err = runOf(ctx, r)
				}
				outcomes[i] <- outcome{run, r, err}
			}
		}()
	}
	go func() {
		defer close(work)
		for i := range jobs {
			work <- i
		}
	}()
	runs := make([][]*compare.Run, len(sets))
	for i, j := range jobs {
		o := <-outcomes[i]
		if o.err != nil {
			t.Fatal(o.err)
		}
		sayUnstaged(t, o.played)
		runs[j.set] = append(runs[j.set], o.r)
	}
	for k, s := range sets[1:] {
		t.Run(s.name, func(t *testing.T) {
			c, differing := differences(t, runs[0][:10], runs[k+1])
			for _, id := range s.want {
				if !slices.Contains(differing, id) {
					t.Errorf("%s is not found to differ", id)
				}
			}
			for _, id := range s.longer {
				found := false
				for _, g := range c.Groups {
					for _, r := range g.Rows {
						found = found || r.ID == id && r.A.Median > 0 && r.B.Median >= 1.3*r.A.Median
					}
				}
				if !found {
					t.Errorf("%s is not found to take longer", id)
				}
			}
			for _, id := range s.same {
				if slices.Contains(differing, id) {
					t.Errorf("%s is said to differ", id)
				}
			}
			if t.Failed() {
				var b bytes.Buffer
				if err := compare.WriteText(&b, c, terminal.Output{Columns: terminal.PipeColumns}); err != nil {
					t.Error(err)
				}
				t.Log("\n" + indent(b.String()))
			}
		})
	}
	t.Run("halves", func(t *testing.T) {
		r := rand.New(rand.NewPCG(1, 1))
		all := slices.Clone(runs[0])
		const shuffles = 220
		alarms := 0
		for range shuffles {
			r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
			if _, differing := differences(t, all[:10], all[10:]); len(differing) > 0 {
				alarms++
			}
		}
		t.Logf("%d of %d shuffles raise an alarm", alarms, shuffles)
		// The tests are exact for shuffles, so that one in a hundred alarms by
		// chance: more than 8 of 220 do once in two thousand times, two of any
		// 20 once in sixty.
		if alarms > 8 {
			t.Errorf("%d of %d shuffles raise an alarm; one in a hundred is promised", alarms, shuffles)
		}
	})
	checkNothingLeft(t)
}

func differences(t *testing.T, a, b []*compare.Run) (c *compare.Comparison, ids []string) {
	t.Helper()
	c, err := compare.Compare(a, b, compare.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range c.Differences() {
		ids = append(ids, r.ID)
	}
	return c, ids
}

// runOf analyses a capture.
func runOf(ctx context.Context, r *Result) (*compare.Run, error) {
	src, err := pcapfile.Open(r.Capture)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	result, err := analyze.Run(ctx, src, analyze.Options{Targets: r.Targets})
	if err != nil {
		return nil, err
	}
	defer result.Connections.Close()
	return compare.FromDocument(report.Build(result, report.Options{File: filepath.Base(r.Capture)}))
}
