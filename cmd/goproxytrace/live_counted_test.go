package main

import (
	"strings"
	"testing"

	"goproxytrace/capture"
	"goproxytrace/capture/casefile"
)

// The line that closes a capture does not count what a full disk kept out.
func TestCounted(t *testing.T) {
	n := capture.Counters{Received: 4015}
	whole := counted(4015, n, []string{"case.pcapng"}, 4015, nil)
	early := counted(4015, n, []string{"case.pcapng"}, 2014, &casefile.StoppedError{Path: "case.pcapng", Frames: 1644})
	if !strings.Contains(whole, "4015 written to case.pcapng") {
		t.Error(whole)
	}
	if strings.Contains(early, "2014") || !strings.Contains(early, "case.pcapng ends early, with 1644 packets and records") {
		t.Error(early)
	}
}
