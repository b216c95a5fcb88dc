package probe

import (
	"net/netip"
	"testing"

	"goproxytrace/analyze/diagnose"
)

// A certificate that this system refuses (its clock is wrong, its roots are old)
// may come from an authority that has one for the harmless name at the same
// address: many names share a content network. Who makes certificates that are
// no authority's inspects.
func TestSharedAuthorityIsNoInspection(t *testing.T) {
	lane := Lane{Host: "proxy.example", Port: 443, Address: netip.MustParseAddr("192.0.2.1")}
	for public, want := range map[bool]Cause{true: BadCert, false: Inspection} {
		attempt := func(arm Arm, end End, name string) *Attempt {
			a := &Attempt{Lane: lane, Arm: arm, End: end, Stage: diagnose.StageTLS, Chain: []Certified{{Issuer: "CN=Issuing CA 3", Names: []string{name}, Public: public}}}
			a.classify()
			return a
		}
		all := []*Attempt{
			attempt(Default, Certificate, lane.Host), attempt(OtherName, Passed, HarmlessName),
			attempt(Default, Certificate, lane.Host), attempt(OtherName, Passed, HarmlessName),
		}
		f := Judge(Options{Targets: []Target{{Host: lane.Host, Port: 443}}}, all)[0]
		if f.Cause != want {
			t.Errorf("issued by a public authority: %v: %s, want %s", public, f.Cause, want)
		}
	}
}
