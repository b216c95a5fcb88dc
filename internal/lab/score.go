//go:build linux

package lab

import "slices"

// Score is how a verdict compares with the truth.
type Score string

// Scores, from the best to the worst; a false alarm is anything but "ok" for
// what is healthy.
const (
	Right      Score = "right"
	TooWide    Score = "too wide"
	WrongClass Score = "wrong class"
	Missed     Score = "missed"
	FalseAlarm Score = "false alarm"
	Blamed     Score = "blamed an innocent"
)

// Score compares the class and the places of a whole-capture verdict with the
// truth.
func (t Truth) Score(class string, places []string) Score {
	meets := func(list []string) bool {
		return slices.ContainsFunc(places, func(p string) bool { return slices.Contains(list, p) })
	}
	truth := t.Culprits
	if len(truth) == 0 {
		truth = t.Widest
	}
	listed := slices.Contains(t.Classes, class)
	switch {
	case slices.Equal(t.Classes, []string{"ok"}) && !listed:
		return FalseAlarm
	case len(places) > 0 && len(truth) > 0 && !meets(truth):
		return Blamed
	case class == "ok" && !listed:
		return Missed
	case !listed:
		return WrongClass
	case slices.ContainsFunc(places, func(p string) bool { return !slices.Contains(t.Widest, p) }):
		return TooWide
	}
	return Right
}
