package guard

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestNeeded compares the list with what gopacket/pcap panics without.
func TestNeeded(t *testing.T) {
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/gopacket/gopacket").Output()
	if err != nil {
		t.Skipf("needs the go command and gopacket's source: %v", err)
	}
	source, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "pcap", "pcap_windows.go"))
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, m := range regexp.MustCompile(`= mustLoad\("(\w+)"\)`).FindAllSubmatch(source, -1) {
		want = append(want, string(m[1]))
	}
	got := slices.Sorted(slices.Values(needed[:]))
	if slices.Sort(want); len(want) == 0 || !slices.Equal(got, want) {
		t.Errorf("needed are %q, gopacket loads %q", got, want)
	}
}
