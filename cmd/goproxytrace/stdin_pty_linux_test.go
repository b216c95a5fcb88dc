package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// Whoever names standard input and gives none is told so at once; it does not
// wait for a capture to be typed.
func TestTerminalIsNoCapture(t *testing.T) {
	for _, args := range [][]string{
		{"analyze", "-"}, {"analyze", "--frames", "-"}, {"scrub", "-", filepath.Join(t.TempDir(), "copy.pcapng")}, {"bundle", "-"}, {"compare", "-", "../../testdata/pcaps/no-such.pcapng"},
	} {
		p := onPTY(t, args...)
		p.expect("standard input is a terminal, which holds no capture")
		if code := p.ends(); code != exitUsage {
			t.Errorf("%s: exit code %d, want %d", strings.Join(args, " "), code, exitUsage)
		}
	}
}
