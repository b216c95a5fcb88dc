package diagnose

import "slices"

// ProcessVerdict is the verdict on what one process did.
type ProcessVerdict struct {
	PID     uint32
	Verdict Verdict
}

// maxProcesses bounds how many processes get a verdict of their own.
const maxProcesses = 64

// Processes judges each process that owned a connection of the go command,
// ordered by process number. It is to be called after Verdict.
func (a *Aggregator) Processes(env *Env, h Health) (out []ProcessVerdict) {
	least := a.least()
	var pids []uint32
	for _, k := range a.contacts {
		if k.pid != 0 && k.relevance >= least && !slices.Contains(pids, k.pid) && len(pids) < maxContacts {
			pids = append(pids, k.pid)
		}
	}
	slices.Sort(pids)
	for _, pid := range pids[:min(len(pids), maxProcesses)] {
		own := func(k *contact) bool { return k.pid == pid }
		last, fallback := a.last(least, own)
		var v Verdict
		if last != nil {
			_, v = a.interception(last, env)
		} else {
			v = a.fine(least, own)
		}
		a.qualify(&v, env, h)
		if v.Class == OK && fallback {
			v.note("fallback")
		}
		out = append(out, ProcessVerdict{pid, v})
	}
	return out
}
