package report

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Wireshark itself must read the display filters.
func TestFrameFilterInWireshark(t *testing.T) {
	tshark, err := exec.LookPath("tshark")
	if err != nil {
		if os.Getenv("GOPROXYTRACE_CI") == "1" {
			t.Fatal("tshark is not installed, and GOPROXYTRACE_CI=1 asks for it")
		}
		t.Skip("tshark is not installed")
	}
	file := filepath.Join("..", "testdata", "pcaps", "healthy-h2.pcapng")
	for filter, want := range map[string]string{
		FrameFilter([]int64{3}):                   "3",
		FrameFilter([]int64{1, 2}):                "1 2",
		FrameFilter([]int64{1, 2, 5, 6, 7, 8, 9}): "1 2 5 6 7 8 9",
	} {
		out, err := exec.Command(tshark, "-n", "-r", file, "-Y", filter, "-T", "fields", "-e", "frame.number").Output()
		if err != nil {
			t.Fatalf("tshark -Y %q: %v", filter, err)
		}
		if got := strings.Join(strings.Fields(string(out)), " "); got != want {
			t.Errorf("%s shows frames %s, want %s", filter, got, want)
		}
	}
}
