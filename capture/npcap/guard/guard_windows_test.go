package guard

import (
	"strings"
	"testing"
)

// TestLibrary looks at the library of this system: a test that runs has one
// that lacks nothing, or none.
func TestLibrary(t *testing.T) {
	path, function := lacking()
	if path == "" {
		t.Skip("needs Npcap")
	}
	if function != "" || !strings.HasSuffix(strings.ToLower(path), "wpcap.dll") {
		t.Errorf("%s lacks %q", path, function)
	}
}
