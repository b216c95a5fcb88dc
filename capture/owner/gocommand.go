package owner

import (
	"os"
	"path/filepath"
	"strings"
)

// isToolchain says whether an executable belongs to a Go toolchain under
// another name than go (go1.26.1, a distribution's go-1.26): it is named so,
// or its tree has the file VERSION that every release carries.
func isToolchain(path string) bool {
	if path == "" {
		return false
	}
	if rest, ok := strings.CutPrefix(base(path), "go"); ok {
		rest = strings.TrimPrefix(rest, "-")
		if rest != "" && rest[0] >= '1' && rest[0] <= '9' {
			return true
		}
	}
	f, err := os.Open(filepath.Join(filepath.Dir(filepath.Dir(path)), "VERSION"))
	if err != nil {
		return false
	}
	defer f.Close()
	var b [3]byte
	n, _ := f.Read(b[:])
	return n == 3 && string(b[:2]) == "go" && b[2] >= '1' && b[2] <= '9'
}
