//go:build linux

package lab

import (
	"reflect"
	"regexp"
	"slices"
	"testing"
	"time"
)

// TestVary holds that a seed gives the same run again, seeds differ, and what a
// scenario sets itself stays.
func TestVary(t *testing.T) {
	drawn := map[string]bool{}
	for _, s := range Catalogue() {
		if kept, said := s.Vary(0); said != "" || !reflect.DeepEqual(kept.Path.RTT, s.Path.RTT) || len(kept.Env) != len(s.Env) {
			t.Errorf("%s: seed zero drew %q", s.Name, said)
		}
		for seed := range uint64(20) {
			v, said := s.Vary(seed + 1)
			if _, again := s.Vary(seed + 1); again != said {
				t.Errorf("%s, seed %d: %q, then %q", s.Name, seed+1, said, again)
			}
			drawn[said] = true
			if s.Program != nil {
				continue
			}
			p, q := &s.Path, &v.Path
			if p.RTT != 0 && q.RTT != p.RTT || q.RTT < p.Least || p.RTT == 0 && (q.RTT < 200*time.Microsecond || q.RTT > 400*ms || p.Most > 0 && q.RTT > p.Most) {
				t.Errorf("%s, seed %d: round trip %v, bounds %v and %v", s.Name, seed+1, q.RTT, p.Least, p.Most)
			}
			if p.Sized && (q.MTU != p.MTU || q.FarMTU != p.FarMTU || q.Unselective != p.Unselective) {
				t.Errorf("%s, seed %d: %q although it is a matter of size", s.Name, seed+1, said)
			}
			if !reflect.DeepEqual(v.Truth, s.Truth) || v.End != s.End || v.Says != s.Says || p.Plain && !q.Plain || s.Modules != nil && !reflect.DeepEqual(v.Modules, s.Modules) {
				t.Errorf("%s, seed %d: what it sets itself is changed", s.Name, seed+1)
			}
			for i, site := range s.sites() {
				if one := v.sites()[i]; site.HTTP1 && !one.HTTP1 || site.HTTP2 && one.HTTP1 {
					t.Errorf("%s, seed %d: another protocol", s.Name, seed+1)
				}
			}
			if s.Interfaces != nil && !slices.Equal(v.Interfaces, s.Interfaces) {
				t.Errorf("%s, seed %d: captured on %q", s.Name, seed+1, v.Interfaces)
			}
		}
	}
	if n := len(Catalogue()) * 10; len(drawn) < n {
		t.Errorf("%d different draws, want at least %d", len(drawn), n)
	}
}

// TestStress holds that seeds make up different scenarios, each of them sound.
func TestStress(t *testing.T) {
	if n := len(Stress(0)); n > 0 {
		t.Errorf("seed zero makes up %d", n)
	}
	names, lists, abouts := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for seed := range uint64(10) {
		list := Stress(seed + 1)
		if len(list) != stressed {
			t.Fatalf("seed %d makes up %d", seed+1, len(list))
		}
		for i, s := range list {
			if names[s.Name] || !regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`).MatchString(s.Name) {
				t.Errorf("name %q is double or malformed", s.Name)
			}
			names[s.Name], lists[s.GOPROXY], abouts[s.About] = true, true, true
			if s.End == Hangs && s.Limit == 0 || len(s.Truth.Classes) == 0 {
				t.Errorf("%s hangs without a limit, or has no truth", s.Name)
			}
			if again := Stress(seed + 1)[i]; again.About != s.About || again.Path.Family != s.Path.Family {
				t.Errorf("%s: %q, then %q", s.Name, s.About, again.About)
			}
		}
	}
	if len(lists) < 8 || len(abouts) < 100 {
		t.Errorf("%d lists of proxies and %d descriptions", len(lists), len(abouts))
	}
}
