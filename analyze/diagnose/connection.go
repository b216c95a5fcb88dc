package diagnose

import "sync"

// rule judges one kind of death; ok is false where it does not apply.
type rule func(w *view) (v Verdict, ok bool)

// The rules in the order of decision: the first stage that was not passed
// names the class (connect, proxy, handshake, transfer).
var (
	connectRules = []rule{
		connectRejectedLocally, connectAnswerIgnored, connectRefused, connectUnreachable, connectNoAnswer,
	}
	proxyRules     = []rule{proxyRefused, proxySilent}
	handshakeRules = []rule{
		notTLS, clientHelloRejected, alertFromServer, certificateRejected, alertFromClient, clientHelloNotSent, handshakeReset,
		clientHelloLost, serverFlightLost, answerIgnored, encryptedAlertFromServer, handshakeClosed, handshakeAbandoned,
		noServerHello, serverFlightStalled,
	}
	transferRules = []rule{
		transferReset, receiverStalled, dataIgnored, heavyLoss, pathDead, dataUnheard, truncated, httpNoResponse, remoteIdle, clientLeft,
	}
)

// views keeps views for use again: rules are called through variables, so that
// each view would be allocated.
var views = sync.Pool{New: func() any { return new(view) }}

// Connection judges one connection.
func Connection(f *Flow) Verdict {
	w := views.Get().(*view)
	w.init(f)
	v := w.judge()
	w.withinHost(&v)
	v.recorded(f.Blocks, f.Conn.Start.Time)
	w.noteBlind(&v)
	*w = view{}
	views.Put(w)
	return v
}

// judge finds the stage that the connection did not pass.
func (w *view) judge() Verdict {
	f := w.f
	if w.socketState() {
		return w.bySocket()
	}
	if w.oneDirection() {
		return w.unusable(skippedHalf)
	}
	if !w.begun() {
		return w.midstream()
	}
	if !w.established() {
		return w.first(connectRules)
	}
	if r := f.Request; r != nil && r.Method == "CONNECT" && !w.tunnelled() {
		return w.first(proxyRules)
	}
	if v, ok := plainError(w); ok {
		return v
	}
	waits := w.inTunnel() && w.client.LastNewData.Time <= w.f.ResponseAt.Time
	if !waits && (!w.expectsTLS() || w.hello == nil && w.client.DataPackets > 0 && !w.shaken()) {
		if w.expectsTLS() && w.hello == nil && w.c.SlicedSegments() > 0 && !w.delivered() {
			return w.unusable([]string{"skip.capture-sliced"})
		}
		return w.ok() // another protocol, whose ways to end are its own
	}
	if !w.shaken() {
		return w.first(handshakeRules)
	}
	return w.first(transferRules)
}

// first returns the verdict of the first rule that applies.
func (w *view) first(rules []rule) Verdict {
	stepped := false
	for _, r := range rules {
		v, ok := r(w)
		if !ok {
			continue
		}
		if w.stepped(&v) {
			stepped = true
			continue
		}
		if Classes[v.Class].Absence {
			w.gate(&v)
		}
		return v
	}
	v := w.ok()
	if stepped {
		v.Level = Consistent
		v.skip("skip.clock-step")
	}
	return v
}

// gate withdraws a verdict that rests on an absence from a capture that lost
// packets: what is missing may have been there.
func (w *view) gate(v *Verdict) {
	switch {
	case w.env.DropsKnown && w.env.Drops > 0:
		*v = w.unusable([]string{"skip.capture-dropped"})
	case w.missed():
		*v = w.unusable([]string{"skip.capture-missed"})
	}
}

// ok is the verdict on a connection that nothing ended before its time.
func (w *view) ok() Verdict {
	v := Verdict{Class: OK, Stage: StageDone, Level: Proven}
	if !w.established() || w.open {
		v.Level = Consistent
	}
	var again, packets uint64
	for _, h := range w.c.Half {
		if h != nil {
			again += uint64(h.Retransmissions + h.FastRetransmissions)
			packets += h.DataPackets
		}
	}
	if again >= lossyLeast && again*100 >= packets*lossyPercent && len(w.ignored) == 0 {
		v.Notes = notesLossy
	}
	w.endedEarly(&v)
	w.slow(&v)
	return v
}

// midstream judges a connection whose start was not captured. It may be left
// over from an earlier program: only what its keep-alives show is said.
func (w *view) midstream() Verdict {
	if v, ok := connectRejectedLocally(w); ok {
		return v
	}
	if w.client != nil && w.server != nil && w.expectsTLS() && !w.left.Seen() && w.open {
		for _, r := range []rule{pathDead, remoteIdle} {
			v, ok := r(w)
			if !ok || w.stepped(&v) || len(w.c.KeepAlives) == 0 && w.client.ResendCount < repeats {
				continue
			}
			w.gate(&v)
			if v.Died() {
				v.Level = Consistent
				v.skip("skip.started-before-capture")
			}
			return v
		}
	}
	if w.client != nil && w.server != nil && !w.left.Seen() && w.serverReset == nil && w.server.DataPackets > 0 {
		v := w.ok()
		v.Level = Consistent
		v.NotAssessed = skippedStart
		return v
	}
	return w.unusable(skippedStart)
}
