package analyze

import (
	"slices"

	"goproxytrace/capture/hostlog"
)

// maxSubjects bounds the processes that a session may be about.
const maxSubjects = 1 << 10

// firstProcess takes over the processes whose parents have ended.
const firstProcess = 1

// outside reports whether the session is about other processes than this one:
// neither it nor an ancestor is a subject. Where its ancestors are known no
// further than to one that may be a subject's, it counts as theirs: a death
// must not be missed.
func (p *pipeline) outside(q *program) bool {
	if len(p.subjects) == 0 || q == nil {
		return false
	}
	for range maxAncestors {
		if p.isSubject(q.pid) || p.isSubject(q.parent) {
			return false
		}
		above := p.processes.parentOf(q)
		if above == nil || q.parent == firstProcess {
			// Older than the session, it is none that a subject has started
			// since.
			return q.began != 0 && q.began+startApart < p.subjects[0].Time
		}
		q = above
	}
	return false
}

func (p *pipeline) isSubject(pid uint32) bool {
	return pid != 0 && slices.ContainsFunc(p.subjects, func(s *hostlog.Subject) bool { return s.PID == pid })
}
