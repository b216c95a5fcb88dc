package goproxy

import (
	"path"
	"strings"
)

// matchesPrefix reports whether one of the comma-separated patterns matches
// the beginning of a module path, by whole elements. It is what
// golang.org/x/mod/module.MatchPrefixPatterns does.
func matchesPrefix(patterns, target string) bool {
	for p := range strings.SplitSeq(patterns, ",") {
		p = strings.TrimSuffix(p, "/")
		if p == "" {
			continue
		}
		elements, prefix := strings.Count(p, "/"), target
		for i := range len(target) {
			if target[i] != '/' {
				continue
			}
			if elements == 0 {
				prefix = target[:i]
				break
			}
			elements--
		}
		if prefix == target && elements > 0 {
			continue // the path has fewer elements than the pattern
		}
		if ok, err := path.Match(p, prefix); err == nil && ok {
			return true
		}
	}
	return false
}
