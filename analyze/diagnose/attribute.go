package diagnose

import "slices"

// Whose a connection is that never said so: attempts to connect show no
// ClientHello, and another Go program's ClientHello looks like the go
// command's.

// worker is what the go command's own connections show as a whole.
type worker struct {
	first, worked, left int64
	open                bool
}

// goCommand sums up the contacts of at least the given relevance.
func (a *Aggregator) goCommand(least relevance) (w worker) {
	for _, k := range a.contacts {
		if k.relevance < least || !k.spoke {
			continue
		}
		if w.first == 0 || k.first < w.first {
			w.first = k.first
		}
		w.worked, w.left = max(w.worked, k.worked), max(w.left, k.left)
		w.open = w.open || k.open
	}
	return w
}

// attribute counts an attempt to connect to a host that no setting names as
// the go command's where its time says so (O1): it was begun after the go
// command had been at work elsewhere, nothing more came there once it had
// failed, and the go command ended at once, or was still waiting.
func (a *Aggregator) attribute(least relevance) {
	if a.seen[target] == 0 {
		a.unasked()
		return
	}
	w := a.goCommand(least)
	for _, k := range a.contacts {
		if k.relevance != https || k.spoke || k.host == "" || k.conn < 0 || k.death == nil || k.death.Stage != StageConnect ||
			w.first == 0 || k.first <= w.first || w.worked > k.tried {
			continue
		}
		ended := !w.open && w.left >= k.tried && w.left-k.tried <= giveUp
		waits := k.death.Class == ConnectNoAnswer && (w.open || w.left >= k.tried)
		if !ended && !waits {
			continue
		}
		k.relevance = related
		if k.death.Level == Proven {
			k.death.Level = Suggested
		}
		k.death.evidence("attempt.follows-work", nil, Text("host", k.host))
		k.death.skip("skip.owner-unknown")
	}
}

// unasked leaves out attempts to reach an address that no lookup yielded, where
// a Go program's lookups are in the capture: the go command asks for every name.
func (a *Aggregator) unasked() {
	asked := false
	for _, k := range a.contacts {
		asked = asked || k.relevance == related && k.spoke && a.names[k.host] != nil
	}
	if !asked {
		return
	}
	for _, k := range a.contacts {
		if k.relevance == https && !k.spoke && k.host == "" && a.seen[related] > 0 {
			k.relevance = other
		}
	}
}

// unowned lowers a verdict on an attempt to connect of which nothing tells that
// it is the go command's, where connections go on that began before the capture
// and may be its own.
func (k *contact) unowned(v *Verdict, h *Health) {
	if k.relevance > https || k.spoke || h.LateStart == 0 || v.Level == Consistent {
		return
	}
	v.Level = Consistent
	v.skip("skip.owner-unknown")
	v.skip("skip.started-before-capture")
}

// nameLookups ranks a name as the connections to what it resolved to; where no
// connection tells whose traffic this is, one that Go's resolver asked for as the
// go command's.
func (a *Aggregator) nameLookups() {
	if a.least() == other {
		for _, n := range a.names {
			if n.byGo() {
				n.relevance = max(n.relevance, related)
			}
		}
	}
	for _, k := range a.contacts {
		if n := a.names[k.host]; n != nil && k.conn >= 0 {
			n.relevance = max(n.relevance, k.relevance)
		}
	}
}

// foreign reports whether k belongs to another Go program than the one at work
// for the targets: it was there before, and still open long after that one had
// closed all that it had, as a process does that ends.
func (a *Aggregator) foreign(k *contact) bool {
	if k.relevance != related || a.seen[target] == 0 || !k.open || k.death.Level == Proven && k.death.failed < k.left {
		return false
	}
	w := a.goCommand(target)
	return w.first != 0 && k.first < w.first && !w.open && w.left != 0 && k.death.failed+quietFinding > w.left
}

// follow takes what tells whose a connection is.
func (k *contact) follow(w *view) {
	k.spoke = k.spoke || w.hello != nil || w.client != nil && w.client.DataPackets > 0
	k.tried = max(k.tried, w.c.Last.Time)
	k.open = k.open || w.open && w.established()
	if w.left.Seen() && w.established() {
		k.left = max(k.left, w.left.Time)
	}
	if w.server == nil || w.server.NewBytes == 0 {
		return
	}
	at := w.server.LastNewData.Time
	if w.left.Seen() && at > w.left.Time {
		// A server's farewell comes after the client has left.
		at = w.client.Progress.Time
		if w.ss != nil && w.ss.Last[0].Frame != 0 {
			at = w.ss.Last[0].Time
		}
		at = min(at, w.left.Time)
	}
	k.worked = max(k.worked, at)
}

// keep remembers the notes of a connection that did not die.
func (k *contact) keep(v *Verdict) {
	for _, n := range v.Notes {
		if !slices.Contains(k.notes, n) {
			k.notes = append(k.notes, n)
		}
	}
	if len(v.Notes) > 0 && len(k.seen) < maxContactNotes {
		k.seen = append(k.seen, v.Evidence...)
	}
}
