package owner

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// However much a process was told, not more is read of it than a case file takes.
func TestArguments(t *testing.T) {
	for name, c := range map[string]struct {
		have        string
		args, bytes int
	}{
		"none":         {"", 0, 0},
		"a few":        {"go\x00mod\x00download\x00", 3, 13},
		"an empty one": {"go\x00\x00x\x00", 3, 3},
		"no end":       {"go\x00env", 2, 5},
		"a long one":   {"go\x00" + strings.Repeat("x", 2<<20) + "\x00", 3, maxArguments - 1 + len(cutMark)},
		"many":         {"go\x00" + strings.Repeat("\x00", 2<<20), maxArgument + 1, 2 + len(cutMark)},
	} {
		path := filepath.Join(t.TempDir(), "cmdline")
		if err := os.WriteFile(path, []byte(c.have), 0o600); err != nil {
			t.Fatal(err)
		}
		args := readArguments(path)
		if len(args) != c.args || len(strings.Join(args, "")) != c.bytes {
			t.Errorf("%s: %d arguments of %d bytes, want %d of %d", name, len(args), len(strings.Join(args, "")), c.args, c.bytes)
		}
	}
	if readArguments(filepath.Join(t.TempDir(), "absent")) != nil {
		t.Error("arguments of no process")
	}
}
