package storage

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
)

const lockRole = "GOPROXYTRACE_FLEET_STORAGE_LOCK"

func TestMain(m *testing.M) {
	if path := os.Getenv(lockRole); path != "" {
		f, err := Lock(path, false)
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("locked")
		_, _ = io.Copy(io.Discard, os.Stdin)
		// A file that nobody refers to is closed, and its lock with it.
		runtime.KeepAlive(f)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// A lock keeps others out, of this process and of others, and ends with the process
// that has it.
func TestLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sub", "lock")
	a, err := Lock(path, true)
	if err != nil {
		t.Fatal(err)
	}
	b, err := Lock(path, true)
	if err != nil {
		t.Fatalf("shared with another: %v", err)
	}
	if _, err := Lock(path, false); !errors.Is(err, ErrLocked) {
		t.Errorf("for one alone beside two: %v", err)
	}
	if err := errors.Join(a.Close(), b.Close()); err != nil {
		t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), lockRole+"="+path)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var said string
	if _, err := fmt.Fscanln(out, &said); err != nil || said != "locked" {
		t.Fatalf("%q, %v", said, err)
	}
	for _, shared := range []bool{true, false} {
		if _, err := Lock(path, shared); !errors.Is(err, ErrLocked) {
			t.Errorf("shared %v, beside another process: %v", shared, err)
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	f, err := Lock(path, false)
	if err != nil {
		t.Fatalf("after it was killed: %v", err)
	}
	// What the file holds is nobody's secret.
	if _, err := f.WriteString("mine"); err != nil {
		t.Error(err)
	}
	if raw, err := os.ReadFile(path); err != nil || string(raw) != "mine" {
		t.Errorf("%q, %v", raw, err)
	}
	if err := RemoveLocked(f); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("it is left: %v", err)
	}
}
