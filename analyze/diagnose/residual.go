package diagnose

import (
	"cmp"
	"slices"

	"goproxytrace/analyze/tcpflow"
)

// maxTrials bounds the connections that are remembered for what followed a
// block.
const maxTrials = 1024

// trial is one connection's fate, for comparing it with those around it.
type trial struct {
	conn   int64
	server tcpflow.Endpoint
	start  tcpflow.Point
	failed int64
	class  Class
	fine   bool
}

// trial remembers a judged connection to a port that TLS is due on.
func (a *Aggregator) trial(w *view, id int64, v *Verdict) {
	if len(a.trials) >= maxTrials || w.c.Loopback || !w.expectsTLS() || !v.Died() && !(v.Class == OK && w.delivered()) {
		return
	}
	a.trials = append(a.trials, trial{id, w.c.ServerEnd(), w.c.Start, v.failed, v.Class, !v.Died()})
}

// blocking reports whether a death may be the blow after which a filter holds an
// address back for a while: it came once the ClientHello was there to be read.
func (c Class) blocking() bool {
	switch c {
	case TLSReset, TLSNoServerHello, TLSClientHelloLost, TransferReset:
		return true
	}
	return false
}

// residual finds connections to one endpoint that failed within the time for
// which filters go on blocking, after a first one that the filter may have read
// (T13). A host that is blocked or dead for good looks alike; it is told by what
// changes: the later ones do not even connect although the first one did, or one
// succeeds when that time is over.
func (a *Aggregator) residual(v *Verdict, conn int64) {
	trials := slices.Clone(a.trials)
	slices.SortFunc(trials, func(s, o trial) int {
		return cmp.Or(cmp.Compare(s.start.Time, o.start.Time), cmp.Compare(s.conn, o.conn))
	})
	var server *tcpflow.Endpoint
	if i := slices.IndexFunc(trials, func(s trial) bool { return s.conn == conn }); i >= 0 {
		server = &trials[i].server
	}
	for i := range trials {
		first := &trials[i]
		if !first.class.blocking() || conn >= 0 && (server == nil || first.server != *server) {
			continue
		}
		deaf, failed := 0, 0
		var last, again tcpflow.Point
		for _, o := range trials[i+1:] {
			after := o.start.Time - first.failed
			if o.server != first.server || after < 0 || again.Seen() {
				continue
			}
			switch {
			case o.fine && failed > 0 && after >= residualLeast:
				again = o.start
			case o.fine:
				failed, deaf, last = 0, 0, tcpflow.Point{} // it was not held back
			case after > residualMost:
			case o.class == ConnectNoAnswer || o.class == ConnectRefused:
				deaf, failed, last = deaf+1, failed+1, o.start
			case o.class.blocking():
				failed, last = failed+1, o.start
			}
		}
		if failed == 0 || deaf == 0 && !again.Seen() {
			continue
		}
		v.note("residual-block")
		v.evidence("residual.block", frames(first.start, last), Text("address", endpointText(first.server)), Text("class", string(first.class)),
			Num("count", int64(failed)), Dur("span", last.Time-first.failed))
		if again.Seen() {
			v.evidence("residual.over", frames(again), Dur("after", again.Time-first.failed))
		}
		return
	}
}
