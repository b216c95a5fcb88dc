package diagnose

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

// nameLookups ranks a name as the connections to what it resolved to.
func (a *Aggregator) nameLookups() {
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
