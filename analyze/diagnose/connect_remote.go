package diagnose

import (
	"goproxytrace/analyze/decode"
	"goproxytrace/analyze/tcpflow"
)

// connectRefused finds a reset as the answer to the SYN (S3, S4).
func connectRefused(w *view) (Verdict, bool) {
	r := w.serverReset
	if r == nil || w.server.SYN.Seen() || w.client == nil || !w.client.SYN.Seen() || r.Flags&decode.ACK != 0 && r.Ack != 1 {
		return Verdict{}, false
	}
	places, level := beyond, Proven
	delay := r.Time - w.client.SYN.Time
	a := w.address()
	near := a != nil && r.Flags&decode.ACK != 0 && w.comparable(a.MinRTT) && faster(delay, a.MinRTT)
	strange := a != nil && a.MaxTTL > 0 && ttlOutside(r.TTL, a.MinTTL, a.MaxTTL)
	if near && (a.RTTs >= rttSamples || strange) {
		places, level = inNetwork, Suggested
	}
	v := w.verdict(ConnectRefused, level, places, r.Time)
	v.failed = w.c.Start.Time
	v.evidence("syn.reset", frames(w.client.SYN, r.Point), Dur("delay", delay))
	switch {
	case near && a.RTTs >= rttSamples:
		v.evidence("reset.faster-than-rtt", frames(w.client.SYN, r.Point), Dur("delay", delay), Dur("rtt", a.MinRTT))
	case near:
		v.evidence("reset.faster-once", frames(w.client.SYN, r.Point), Dur("delay", delay), Dur("rtt", a.MinRTT))
	}
	if strange {
		v.evidence("reset.ttl", frames(r.Point), Num("ttl", int64(r.TTL)), Num("low", int64(a.MinTTL)), Num("high", int64(a.MaxTTL)))
	}
	return v, true
}

// unreachable classifies an ICMP error: prohibited is an administrator's
// decision, expired a routing loop or a hop limit.
func unreachable(e *tcpflow.ICMPError) (is, prohibited, expired bool) {
	if e.IPVersion == 6 {
		switch e.Type {
		case 1:
			return true, e.Code == 1 || e.Code == 5 || e.Code == 6, false
		case 3:
			return true, false, true
		}
		return false, false, false
	}
	switch e.Type {
	case 3:
		if e.Code == 4 {
			return false, false, false // a path MTU message
		}
		return true, e.Code == 9 || e.Code == 10 || e.Code == 13, false
	case 11:
		return true, false, true
	}
	return false, false, false
}

// connectUnreachable finds an ICMP error in answer to the SYN (S5). An error
// whose quoted sequence number is not the SYN's was made up.
func connectUnreachable(w *view) (Verdict, bool) {
	if w.client == nil || !w.client.SYN.Seen() || w.server != nil && w.server.SYN.Seen() {
		return Verdict{}, false
	}
	for i := range w.c.ICMP {
		e := &w.c.ICMP[i]
		is, prohibited, expired := unreachable(e)
		if !is || e.QuotedDir != w.cd || e.HasSeq && e.QuotedSeq != 0 {
			continue
		}
		class, places := ConnectUnreachable, beyond
		switch {
		case e.From == w.c.ClientEnd().Addr || w.isLocal(e.Loopback):
			class, places = ConnectRejectedLocally, inHost
		case (prohibited || expired) && e.From != w.c.ServerEnd().Addr:
			places = inNetwork
		}
		if class == ConnectRejectedLocally {
			v := w.verdict(class, Suggested, places, e.Time)
			v.failed = w.c.Start.Time
			v.evidence("icmp.local", frames(e.Point), Num("type", int64(e.Type)), Num("code", int64(e.Code)))
			return v, true
		}
		v := w.verdict(class, Proven, places, e.Time,
			Text("router", addressText(e.From)), Num("type", int64(e.Type)), Num("code", int64(e.Code)))
		v.failed = w.c.Start.Time
		v.evidence("icmp.unreachable", frames(w.client.SYN, e.Point),
			Text("router", addressText(e.From)), Num("type", int64(e.Type)), Num("code", int64(e.Code)))
		if prohibited {
			v.evidence("icmp.prohibited", frames(e.Point), Text("router", addressText(e.From)))
		}
		return v, true
	}
	return Verdict{}, false
}

// connectNoAnswer finds SYNs that nothing came back for (S1). Its look-alikes
// are a capture that hears one direction only, and one that ends too soon.
func connectNoAnswer(w *view) (Verdict, bool) {
	if w.client == nil || !w.client.SYN.Seen() || w.client.SYNs == 0 || w.left.Seen() && w.until-w.client.SYN.Time < quietFinding {
		return Verdict{}, false
	}
	if s := w.server; s != nil && (s.DataPackets > 0 || s.SYN.Seen() && s.HighAck == 1 && s.BadChecksums == 0) {
		return Verdict{}, false
	}
	d := w.until - w.client.SYN.Time
	if d < quietFinding {
		return Verdict{}, false
	}
	level := Proven
	if w.client.SYNs < synRepeats || !w.env.Heard {
		level = Consistent
	}
	v := w.verdict(ConnectNoAnswer, level, beyond, w.until, Num("syns", int64(w.client.SYNs)))
	v.failed = w.c.Start.Time
	v.evidence("syn.unanswered", frames(w.client.SYN, w.client.LastSYN), Num("count", int64(w.client.SYNs)), Dur("span", d))
	if s := w.server; s != nil && s.SYN.Seen() {
		if s.BadChecksums > 0 {
			v.evidence("synack.damaged", frames(s.SYN))
		} else {
			v.evidence("synack.wrong-ack", frames(s.SYN))
		}
	}
	if !w.env.Heard {
		v.skip("skip.nothing-heard")
	}
	return v, true
}
