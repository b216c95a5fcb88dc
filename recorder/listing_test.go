package recorder

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"goproxytrace/capture/hostlog"
)

// Of a list of processes only go commands, what they start and who started them
// are told of, each once, and their ends.
func TestListing(t *testing.T) {
	var told []string
	l := &Listing{Record: func(r hostlog.Record) {
		switch r := r.(type) {
		case *hostlog.Process:
			told = append(told, fmt.Sprintf("%d %s under %d", r.PID, r.Name, r.Parent))
		case *hostlog.Exit:
			told = append(told, fmt.Sprintf("%d ended, %d", r.PID, r.Code))
		}
	}}
	for _, step := range []struct {
		list string
		want []string
	}{
		{"    1     0     0 /sbin/launchd\n  80     1   501 /Applications/Some App.app/Some App\n", nil},
		{"1 0 0 /sbin/launchd\n80 1 501 /Applications/Some App.app/Some App\n90 80 501 /usr/local/go/bin/go\n", []string{"1 launchd under 0", "80 Some App under 1", "90 go under 80"}},
		{"1 0 0 /sbin/launchd\n80 1 501 /Applications/Some App.app/Some App\n90 80 501 /usr/local/go/bin/go\n91 90 501 git\nbroken\n", []string{"91 git under 90"}},
		{"1 0 0 /sbin/launchd\n80 1 501 /Applications/Some App.app/Some App\n", []string{"90 ended, -1", "91 ended, -1"}},
		{"", []string{"1 ended, -1", "80 ended, -1"}},
	} {
		told = nil
		l.take(step.list, 1)
		if diff := cmp.Diff(step.want, slices.Sorted(slices.Values(told))); diff != "" {
			t.Errorf("%s-want +got:\n%s", step.list, diff)
		}
	}
}
