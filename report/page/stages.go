package page

import (
	"net"
	"slices"

	"goproxytrace/analyze/diagnose"
	"goproxytrace/report"
)

// stageOrder is the order in which a request passes its stages.
var stageOrder = []diagnose.Stage{diagnose.StageDNS, diagnose.StageConnect, diagnose.StageProxy, diagnose.StageTLS, diagnose.StageHTTP, diagnose.StageTransfer}

// stageView is a stage of the verdict's request.
type stageView struct {
	Name  []span
	State string // passed, died, ahead, unseen or tried
	Said  []span
}

// stages says how far the verdict's request came. Only what the capture shows
// has passed; what it does not show may have been done before it, or not have
// been needed.
func (b *book) stages(v *report.Verdict) (out []stageView, err error) {
	at := slices.Index(stageOrder, diagnose.Stage(v.Stage))
	if at < 0 {
		return nil, nil
	}
	conns, _, err := b.docs[0].Foremost(mostListed)
	if err != nil {
		return nil, err
	}
	var subject *report.Connection
	for _, c := range conns {
		if c.ID == b.docs[0].Subject {
			subject = c
		}
	}
	tried, passed := b.triedAfter(at, conns)
	for i, s := range stageOrder {
		if s == diagnose.StageProxy && diagnose.Stage(v.Stage) != s {
			continue
		}
		state, said := "ahead", "page.not-reached"
		switch {
		case i == at:
			state, said = "died", "page.died-here"
		case i < at && !b.seen(s, subject):
			state, said = "unseen", "page.not-seen"
		case i < at:
			state, said = "passed", "page.passed"
		case i < tried, i == tried && passed:
			state, said = "tried", "page.tried-passed"
		case i == tried:
			state, said = "tried", "page.tried-died"
		}
		out = append(out, stageView{b.spans(b.say("page.stage-" + string(s))), state, b.spans(b.say(said))})
	}
	return out, nil
}

// seen reports whether the capture shows that a stage was passed.
func (b *book) seen(s diagnose.Stage, subject *report.Connection) bool {
	if s == diagnose.StageDNS {
		return b.lookedUp(subject)
	}
	if subject == nil {
		return true // by the verdict
	}
	switch s {
	case diagnose.StageConnect:
		return subject.Stages.Connect != nil
	case diagnose.StageTLS:
		return subject.TLS != nil
	}
	return true
}

// lookedUp reports whether the capture holds a lookup that led to a
// connection, or for none to anything.
func (b *book) lookedUp(c *report.Connection) bool {
	for i := range b.docs[0].Lookups {
		l := &b.docs[0].Lookups[i]
		if l.Verdict.Died || len(l.Answers) == 0 {
			continue
		}
		if c == nil || slices.Contains(l.Answers, host(c.Server)) {
			return true
		}
	}
	return false
}

// triedAfter returns the furthest stage that connections came to whose name a
// failed lookup gave: a forged answer leads somewhere, too. It is -1 where
// there are none; passed is true where they passed it.
func (b *book) triedAfter(at int, conns []*report.Connection) (furthest int, passed bool) {
	furthest = -1
	if stageOrder[at] != diagnose.StageDNS {
		return furthest, false
	}
	names := map[string]bool{}
	for i := range b.docs[0].Lookups {
		if l := &b.docs[0].Lookups[i]; l.Verdict.Died && l.Name != "" {
			names[l.Name] = true
		}
	}
	for _, c := range conns {
		if !names[c.ServerName] {
			continue
		}
		stage := slices.Index(stageOrder, diagnose.Stage(c.Verdict.Stage))
		if !c.Verdict.Died {
			stage = len(stageOrder) - 1
		}
		if stage > furthest {
			furthest, passed = stage, !c.Verdict.Died
		}
	}
	return furthest, passed
}

// host returns the address of an address and port.
func host(endpoint string) string {
	if h, _, err := net.SplitHostPort(endpoint); err == nil {
		return h
	}
	return endpoint
}
