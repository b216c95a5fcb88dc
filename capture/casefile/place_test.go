package casefile

import (
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestExistingFileIsReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "case.pcapng")
	must(t, os.WriteFile(path, []byte("an older file"), 0o644))
	// Who has the old file open does not see the new one.
	old, err := os.Open(path)
	must(t, err)
	defer old.Close()
	if runtime.GOOS == "windows" {
		old.Close()
	}
	writeSample(t, path)
	st, err := os.Stat(path)
	must(t, err)
	if runtime.GOOS != "windows" {
		was, err := old.Stat()
		must(t, err)
		if os.SameFile(st, was) || st.Mode().Perm() != 0o600 {
			t.Errorf("written into the old file; mode %v", st.Mode())
		}
	}
	if list, _, err := read(t, path); len(list) != 9 || err != nil {
		t.Errorf("%d records, %v", len(list), err)
	}
}

func TestTrapsAreRefused(t *testing.T) {
	dir := t.TempDir()
	target := filepath.Join(dir, "precious")
	must(t, os.WriteFile(target, []byte("precious"), 0o600))
	link := filepath.Join(dir, "link.pcapng")
	if err := os.Symlink(target, link); err != nil {
		t.Skip("no symbolic links here:", err)
	}
	dangling := filepath.Join(dir, "dangling.pcapng")
	must(t, os.Symlink(filepath.Join(dir, "new"), dangling))
	socket := filepath.Join(dir, "s")
	if l, err := net.Listen("unix", socket); err == nil {
		defer l.Close()
	} else {
		socket = dir
	}
	for path, want := range map[string]string{link: "symbolic link", dangling: "symbolic link", dir: "directory", socket: "only a regular file", os.DevNull: "device"} {
		if path == os.DevNull && runtime.GOOS == "windows" {
			continue
		}
		w, err := Create(path, Options{})
		if err == nil {
			w.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, want it to speak of a %s", path, err, want)
		}
	}
	if b, err := os.ReadFile(target); err != nil || string(b) != "precious" {
		t.Errorf("the link's target holds %q, %v", b, err)
	}
	if _, err := os.Lstat(filepath.Join(dir, "new")); err == nil {
		t.Error("a file was made behind the dangling link")
	}
	if _, err := os.Lstat(link); err != nil {
		t.Errorf("the link is gone: %v", err)
	}
	if _, err := Create(filepath.Join(dir, "absent", "case.pcapng"), Options{}); !os.IsNotExist(err) {
		t.Errorf("a missing directory: %v", err)
	}
}

func TestLinkToStandardOutput(t *testing.T) {
	if _, err := os.Stat("/dev/stdout"); err != nil {
		t.Skip("no /dev/stdout here:", err)
	}
	// A link to the file that is standard output, as /dev/stdout is one.
	dir := t.TempDir()
	out, err := os.Create(filepath.Join(dir, "out"))
	must(t, err)
	defer out.Close()
	link := filepath.Join(dir, "stdout")
	if err := os.Symlink(out.Name(), link); err != nil {
		t.Skip("no symbolic links here:", err)
	}
	w := create(t, link, Options{Stdout: out})
	must(t, w.Close())
	if st, err := out.Stat(); err != nil || st.Size() == 0 {
		t.Errorf("nothing arrived (error %v)", err)
	}
}
