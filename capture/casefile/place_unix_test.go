//go:build unix

package casefile

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"goproxytrace/capture/pcapfile"
)

func TestNamedPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	must(t, syscall.Mkfifo(path, 0o600))
	got := make(chan []byte)
	go func() {
		defer close(got)
		if f, err := os.Open(path); err == nil {
			defer f.Close()
			b, _ := io.ReadAll(f)
			got <- b
		}
	}()
	w := create(t, path, Options{})
	addInterface(t, w, ethernet)
	must(t, w.Packet(packet(1, 0, syn(1, 1))))
	must(t, w.Close())
	b := <-got
	if r, err := pcapfile.NewReader(strings.NewReader(string(b)), int64(len(b))); err != nil {
		t.Errorf("%d bytes: %v", len(b), err)
	} else {
		r.Close()
	}
	if st, err := os.Lstat(path); err != nil || st.Mode()&os.ModeNamedPipe == 0 {
		t.Errorf("the pipe was replaced (error %v)", err)
	}
}

// TestSudo: a file made as root belongs to the user that called sudo, and
// another user's pipe is a trap.
func TestSudo(t *testing.T) {
	needRoot(t)
	t.Setenv("SUDO_UID", "12345")
	t.Setenv("SUDO_GID", "12346")
	dir := t.TempDir()
	path := filepath.Join(dir, "case.pcapng")
	w := create(t, path, Options{})
	must(t, w.Close())
	st, err := os.Stat(path)
	must(t, err)
	if s := st.Sys().(*syscall.Stat_t); s.Uid != 12345 || s.Gid != 12346 {
		t.Errorf("owned by %d:%d", s.Uid, s.Gid)
	}
	pipe := filepath.Join(dir, "pipe")
	must(t, syscall.Mkfifo(pipe, 0o666))
	must(t, os.Chown(pipe, 4711, 4711))
	r, err := os.OpenFile(pipe, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	must(t, err)
	defer r.Close()
	if w, err := Create(pipe, Options{}); err == nil || !strings.Contains(err.Error(), "another user") {
		t.Errorf("another user's pipe: %v", err)
		if w != nil {
			w.Close()
		}
	}
	must(t, os.Chown(pipe, 12345, 12346))
	w = create(t, pipe, Options{})
	must(t, w.Close())
}

// needRoot skips, or fails where GOPROXYTRACE_CI asks for everything.
func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() == 0 {
		return
	}
	if os.Getenv("GOPROXYTRACE_CI") == "1" {
		t.Fatal("not root, but GOPROXYTRACE_CI=1 asks for everything")
	}
	t.Skip("not root: neither a tmpfs to fill nor a file to give to the user of sudo")
}
