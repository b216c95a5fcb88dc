package probe

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"goproxytrace/analyze/diagnose"
)

// Large packets that are lost are missed in silence; a reset, or an answer that
// small segments alone do not get, is something else.
func TestPathMTUIsSilent(t *testing.T) {
	lane := Lane{Host: "proxy.example", Port: 443, Address: netip.MustParseAddr("192.0.2.1")}
	for _, tt := range []struct {
		end   End
		stage diagnose.Stage
		want  Cause
	}{
		{Timeout, diagnose.StageTLS, PathMTU}, {Reset, diagnose.StageTLS, Undecided},
		{Timeout, diagnose.StageHTTP, PathMTU}, {Reset, diagnose.StageHTTP, SilentRequest},
	} {
		var all []*Attempt
		for _, x := range []struct {
			arm  Arm
			died bool
		}{{Default, true}, {SmallSegments, false}, {NoMLKEM, true}, {OtherName, true}} {
			for range 2 {
				a := &Attempt{Lane: lane, Arm: x.arm, End: Passed, Stage: diagnose.StageDone}
				if x.died {
					a.End, a.Stage = tt.end, tt.stage
				}
				a.classify()
				all = append(all, a)
			}
		}
		if f := Judge(Options{Targets: targets(lane.Host)}, all)[0]; f.Cause != tt.want {
			t.Errorf("%s in %s: %s, want %s", tt.end, tt.stage, f.Cause, tt.want)
		}
	}
}

// A way that fails now and then, whatever is asked, is blamed for nothing but
// that, but for what chance does to few attempts.
func TestUnsteadyWay(t *testing.T) {
	const runs = 2000
	r := rand.New(rand.NewPCG(3, 4))
	for _, tt := range []struct {
		share float64 // of attempts that die
		most  float64 // of runs that blame something
	}{{0.01, 0.001}, {0.05, 0.01}, {0.1, 0.03}} {
		blamed := map[Cause]int{}
		n := 0
		o := Options{Targets: targets("dual.example", "two.example")}
		for range runs {
			all := play(t, o, func(l Lane, _ Arm, _ time.Duration) (End, diagnose.Stage) {
				if l.isLookup() || r.Float64() >= tt.share {
					return "", ""
				}
				end := []End{Timeout, Reset}[r.IntN(2)]
				return end, []diagnose.Stage{diagnose.StageConnect, diagnose.StageTLS, diagnose.StageHTTP}[r.IntN(3)]
			})
			for _, a := range all {
				a.ByPackets = true
			}
			o.fill()
			for _, f := range Judge(o, all) {
				if f.blames() && f.Cause != Intermittent && f.Cause != Undecided {
					blamed[f.Cause]++
					n++
				}
			}
		}
		if got := float64(n) / (2 * runs); got > tt.most {
			t.Errorf("%v %% of attempts die: %.2f %% of hosts are blamed, want at most %v %%: %v", 100*tt.share, 100*got, 100*tt.most, blamed)
		} else {
			t.Logf("%v %%: %.2f %% %v", 100*tt.share, 100*got, blamed)
		}
	}
}
