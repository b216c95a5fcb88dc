package recorder

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

// A directory that is removed, emptied, moved away or replaced while the recorder
// runs costs no case that comes after.
func TestDirectoryGoes(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("what is open cannot be removed or renamed")
	}
	for name, do := range map[string]func(dir string) error{
		"removed":             os.RemoveAll,
		"moved":               func(dir string) error { return os.Rename(dir, dir+".old") },
		"cases removed":       func(dir string) error { return os.RemoveAll(filepath.Join(dir, casesDir)) },
		"tmp removed":         func(dir string) error { return os.RemoveAll(filepath.Join(dir, tmpDir)) },
		"lock removed":        func(dir string) error { return os.Remove(filepath.Join(dir, lockFile)) },
		"moved behind a link": func(dir string) error { return moveBehindLink(dir) },
	} {
		h := newHarness(t, nil)
		h.build("hello-reset.pcapng", 5, 1)
		if err := do(h.dir); err != nil {
			t.Fatal(err)
		}
		h.build("hello-reset.pcapng", 6, 1)
		h.pass(time.Minute)
		h.idle()
		list := lines(t, h.dir)
		if len(list) == 0 || list[len(list)-1].Recorder.PID != 6 {
			t.Errorf("%s: %+v, %q", name, list, h.warns)
			continue
		}
		if d := analysed(t, filepath.Join(h.dir, list[len(list)-1].Recorder.Case)); d.Verdict.Class != "tls.reset" {
			t.Errorf("%s: %s", name, d.Verdict.Class)
		}
		if s, err := openStore(h.dir, MinDisk, time.Now); err == nil {
			s.close()
			t.Errorf("%s: another recorder takes the directory", name)
		}
	}
}

func moveBehindLink(dir string) error {
	if err := os.Rename(dir, dir+".large"); err != nil {
		return err
	}
	return os.Symlink(dir+".large", dir)
}

// Nothing is written through a link that another user has put in the directory's
// place, or to where others may write; cases wait until that is gone.
func TestDirectoryIsReplaced(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("what is open cannot be renamed")
	}
	h := newHarness(t, nil)
	open := filepath.Join(t.TempDir(), "open")
	if err := os.Mkdir(open, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(open, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(h.dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(open, h.dir); err != nil {
		t.Fatal(err)
	}
	h.build("hello-reset.pcapng", 5, 1)
	if entries, err := os.ReadDir(open); err != nil || len(entries) > 0 {
		t.Errorf("%v was written, %v", entries, err)
	}
	if len(h.warns) != 1 {
		t.Errorf("it said %q", h.warns)
	}
	if err := os.Remove(h.dir); err != nil {
		t.Fatal(err)
	}
	h.pass(time.Minute)
	h.idle()
	if list := lines(t, h.dir); len(list) != 1 || list[0].Recorder.PID != 5 {
		t.Errorf("%+v, %q", list, h.warns)
	}
}
