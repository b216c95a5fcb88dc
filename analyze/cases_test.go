package analyze

import (
	"path/filepath"
	"testing"
)

// TestCaseFiles holds what is said of the case files that live wrote: the
// verdict without being told any target, and whose download it was.
func TestCaseFiles(t *testing.T) {
	for _, e := range expectations(t, "cases") {
		t.Run(e.file, func(t *testing.T) {
			r := analyse(t, open(t, filepath.Join("..", "testdata", "cases", e.file)), Options{})
			if wrong := e.fits(r); wrong != "" {
				t.Error(wrong)
			}
			if len(r.Processes) != 1 {
				t.Fatalf("%d processes", len(r.Processes))
			}
			p := &r.Processes[0]
			if p.Name != "go" || p.ParentName != "make" || p.Exit == nil || *p.Exit != 1 || p.Verdict.Class != e.class {
				t.Errorf("process %s of %s, exit %v, verdict %s", p.Name, p.ParentName, p.Exit, p.Verdict.Class)
			}
			for _, c := range connections(t, r) {
				if c.Process == nil || c.Process.PID != p.PID || c.Process.Source != "kernel event" {
					t.Errorf("connection %d belongs to %+v", c.ID, c.Process)
				}
			}
			if len(r.GoStatements) == 0 {
				t.Error("the command's own words were not read")
			}
		})
	}
}
