package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"goproxytrace/fleet/spans"
)

// docs/fleet-push.md names the flags, metrics and conventions that there are.
func TestPushIsDocumented(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "fleet-push.md"))
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw)
	push := newPushCommand()
	named := map[string]bool{"json": true, "html": true, "max-disk": true} // of other commands
	for _, m := range regexp.MustCompile("`?--([a-z][a-z-]+)").FindAllStringSubmatch(text, -1) {
		if push.Flags().Lookup(m[1]) == nil && !named[m[1]] {
			t.Errorf("--%s is no flag of push", m[1])
		}
	}
	for _, flag := range []string{"follow", "endpoint", "protocol", "header", "state", "again", "dry-run", "give-up-after", "hold", "key", "no-redact", "reveal", "no-metrics"} {
		if !strings.Contains(text, "--"+flag) {
			t.Errorf("--%s is not documented", flag)
		}
	}
	for metric, unit := range spans.Units {
		if !strings.Contains(text, "| `"+metric+"` | `"+unit+"` |") {
			t.Errorf("%s in %s is not documented", metric, unit)
		}
	}
	if version := spans.Schema[strings.LastIndexByte(spans.Schema, '/')+1:]; !strings.Contains(text, version) {
		t.Errorf("the semantic conventions are %s", version)
	}
}
