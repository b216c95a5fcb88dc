package recorder

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// On a disk that is full the recorder goes on, says so once, keeps what it has
// in memory, and writes it when there is room again.
func TestFullDisk(t *testing.T) {
	if os.Geteuid() != 0 {
		if os.Getenv("GOPROXYTRACE_CI") == "1" {
			t.Fatal("GOPROXYTRACE_CI=1 asks for this test, which needs root")
		}
		t.Skip("needs root to mount a small file system")
	}
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=512k,mode=700"); err != nil {
		t.Fatal(err)
	}
	defer unix.Unmount(dir, unix.MNT_DETACH)
	h := newHarnessIn(t, filepath.Join(dir, "recorder"), nil)
	h.build("hello-reset.pcapng", 1, 1)
	if len(lines(t, h.dir)) != 1 {
		t.Fatalf("no case while there is room: %q", h.warns)
	}
	filler := filepath.Join(dir, "filler")
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filler, make([]byte, int(st.Bavail)*int(st.Bsize)), 0o600); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		h.build("hello-reset.pcapng", uint32(2+i), 1)
	}
	h.pass(2 * retryEvery)
	h.idle()
	if n := len(lines(t, h.dir)); n != 1 || len(h.warns) != 1 || !strings.Contains(h.warns[0], "no space left") {
		t.Errorf("%d lines, warnings %q", n, h.warns)
	}
	if left, _ := filepath.Glob(filepath.Join(h.dir, tmpDir, "*")); len(left) > 0 {
		t.Errorf("half cases are left: %v", left)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	h.pass(retryEvery + 2*time.Second)
	h.idle()
	list := lines(t, h.dir)
	if len(list) != 4 || len(cases(t, h.dir)) != 4 {
		t.Errorf("%d lines, cases %v, warnings %q", len(list), cases(t, h.dir), h.warns)
	}
	if h.r.bytes > 64<<10 {
		t.Errorf("%d bytes are still held", h.r.bytes)
	}
	h.end()
}
