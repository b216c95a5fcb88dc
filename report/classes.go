package report

import (
	"fmt"
	"strings"

	"goproxytrace/analyze/diagnose"
)

// classes are all classes of the contract, in its order.
var classes = diagnose.ClassOrder

// ClassSet is a set of verdicts given by class names, prefixes ("tls.*") and
// "any", which is every death. The zero ClassSet is empty.
type ClassSet struct {
	any      bool
	exact    map[string]bool
	prefixes []string
}

// ParseClasses reads a comma-separated list.
func ParseClasses(list string) (ClassSet, error) {
	s := ClassSet{exact: make(map[string]bool)}
	for p := range strings.SplitSeq(list, ",") {
		p = strings.TrimSpace(p)
		prefix, pattern := strings.CutSuffix(p, "*")
		switch {
		case p == "any":
			s.any = true
		case pattern && strings.HasSuffix(prefix, ".") && knownClass(prefix, strings.HasPrefix):
			s.prefixes = append(s.prefixes, prefix)
		case !pattern && knownClass(p, func(a, b string) bool { return a == b }):
			s.exact[p] = true
		default:
			return ClassSet{}, fmt.Errorf("unknown class %q", p)
		}
	}
	return s, nil
}

func knownClass(s string, match func(class, s string) bool) bool {
	for _, c := range classes {
		if match(string(c), s) {
			return true
		}
	}
	return false
}

// Empty reports whether nothing can match.
func (s ClassSet) Empty() bool { return !s.any && len(s.exact) == 0 && len(s.prefixes) == 0 }

// Holds reports whether the capture's verdict, or that of one of its
// processes, is in the set.
func (s ClassSet) Holds(d *Document) bool {
	if s.has(&d.Verdict) {
		return true
	}
	for i := range d.Processes {
		if s.has(&d.Processes[i].Verdict) {
			return true
		}
	}
	return false
}

func (s ClassSet) has(v *Verdict) bool {
	if s.any && v.Died || s.exact[v.Class] {
		return true
	}
	for _, p := range s.prefixes {
		if strings.HasPrefix(v.Class, p) {
			return true
		}
	}
	return false
}
