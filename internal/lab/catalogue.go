//go:build linux

package lab

import (
	"slices"
	"strings"
	"time"
)

// stall is long enough to hold the keep-alive round of a connection that
// fell silent: Go's first probe comes after 30 s, the second 15 s later.
const stall = 48 * time.Second

// Catalogue returns the scenarios in a fixed order.
func Catalogue() []Scenario {
	return slices.Concat(healthyScenarios(), fallbackScenarios(), lookupScenarios(), connectScenarios(), localScenarios(),
		helloScenarios(), resetScenarios(), refusalScenarios(), tunnelScenarios(), responseScenarios(), transferScenarios(), clientScenarios(),
		verificationScenarios(), inspectScenarios(), captureScenarios())
}

// healthy is the truth where nothing died.
var healthy = Truth{Classes: []string{"ok"}}

// truth is what a capture may say: classes, who did it, and the widest
// places, each separated by bars.
func truth(classes, culprits, widest string) Truth {
	split := func(s string) []string {
		if s == "" {
			return nil
		}
		return strings.Split(s, "|")
	}
	return Truth{split(classes), split(culprits), split(widest)}
}

// one is a single small module, large one that takes a while.
func one() []Module   { return []Module{{"example.net/alpha", 60000}} }
func large() []Module { return []Module{{"example.net/large", 3 << 20}} }
func small() []Module { return []Module{{"example.net/tiny", 3000}} }

const ms = time.Millisecond

// forged is the least round trip of scenarios with a forger: he takes 2 or
// 3 ms, and is to be faster than the far end. brisk is the longest of those
// that repeat so much that a longer one would take minutes.
const (
	forged = 15 * ms
	brisk  = 80 * ms
)
