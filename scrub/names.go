package scrub

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"goproxytrace/redact"
)

// resolved replaces addresses and names of name resolution.
func resolved(r *redact.Redactor, names map[string][]string) (map[string][]string, error) {
	out := make(map[string][]string, len(names))
	for _, key := range slices.Sorted(maps.Keys(names)) {
		a, err := netip.ParseAddr(key)
		if err != nil {
			return nil, fmt.Errorf("name of %q: %w", key, err)
		}
		p := r.Addr(a).String()
		for _, name := range names[key] {
			out[p] = append(out[p], r.Host(name))
		}
	}
	return out, nil
}
