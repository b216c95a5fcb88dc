package storage

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	_ "github.com/apache/beam/sdks/v2/go/pkg/beam/io/filesystem/memfs"
)

func TestList(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a.pcap", "b.pcapng", "x/a.pcap", "x/y/a.pcap", "x/y/b.txt", "odd[1].pcap"} {
		if err := Write(context.Background(), filepath.Join(dir, filepath.FromSlash(name)), []byte(name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join(dir, "x"), filepath.Join(dir, "x", "y", "up")); err != nil {
		t.Log("no symbolic links here:", err)
	} else if err := os.Symlink(filepath.Join(dir, "a.pcap"), filepath.Join(dir, "x", "link.pcap")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ pattern, want string }{
		{"*.pcap", "a.pcap odd[1].pcap"},
		{"**/*.pcap", "a.pcap odd[1].pcap x/a.pcap x/link.pcap x/y/a.pcap"},
		{"x/**", "x/a.pcap x/link.pcap x/y/a.pcap x/y/b.txt"},
		{"?.pcap*", "a.pcap b.pcapng"},
		{"{a,b}.*", "a.pcap b.pcapng"},
		{"odd[1].pcap", "odd[1].pcap"},
		{"x/../a.pcap", "a.pcap"},
		{"x", ""},
		{"none/*", ""},
		{"none", ""},
	} {
		got, err := List(context.Background(), filepath.Join(dir, "")+string(filepath.Separator)+filepath.FromSlash(c.pattern))
		if err != nil {
			t.Errorf("%s: %v", c.pattern, err)
		}
		for i := range got {
			rel, _ := filepath.Rel(dir, got[i])
			got[i] = filepath.ToSlash(rel)
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%s matches %q, want %q", c.pattern, s, c.want)
		}
	}
	if _, err := List(context.Background(), filepath.Join(dir, "[")); err == nil {
		t.Error("a pattern that is none matches")
	}
	if _, err := List(context.Background(), "ftp://host/*"); err == nil || !strings.Contains(err.Error(), `"ftp"`) {
		t.Errorf("an unknown file system: %v", err)
	}
}

// In an object store, ** stands for directories of any depth too.
func TestListObjects(t *testing.T) {
	for _, name := range []string{"memfs://fleet/a.pcap", "memfs://fleet/x/a.pcap", "memfs://fleet/x/y/z/a.pcap", "memfs://fleet/x/b.txt"} {
		if err := Write(context.Background(), name, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	got, err := List(context.Background(), "memfs://fleet/**/*.pcap")
	if want := []string{"memfs://fleet/a.pcap", "memfs://fleet/x/a.pcap", "memfs://fleet/x/y/z/a.pcap"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v", got, err)
	}
	if err := Rename(context.Background(), "memfs://fleet/a.pcap", "memfs://fleet/c.pcap"); err != nil {
		t.Fatal(err)
	}
	if there, err := Exists(context.Background(), "memfs://fleet/a.pcap"); there || err != nil {
		t.Errorf("it is still there: %v", err)
	}
	if b, err := Read(context.Background(), "memfs://fleet/c.pcap", 9); string(b) != "x" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	if err := Remove(context.Background(), "memfs://fleet/c.pcap"); err != nil {
		t.Fatal(err)
	}
	if err := Remove(context.Background(), "memfs://fleet/c.pcap"); err != nil {
		t.Errorf("removed twice: %v", err)
	}
}

func TestFilesAreWholeOrAbsent(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "sub", "file")
	w, err := Create(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("half")); err != nil {
		t.Fatal(err)
	}
	if there, _ := Exists(context.Background(), path); there {
		t.Error("it is there before it is complete")
	}
	w.Abort()
	if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	for _, text := range []string{"one", "two"} {
		if err := Write(context.Background(), path, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if b, err := Read(context.Background(), path, 3); !bytes.Equal(b, []byte(text)) || err != nil {
			t.Errorf("%q, %v", b, err)
		}
	}
	if _, err := Read(context.Background(), path, 2); err == nil {
		t.Error("more was read than allowed")
	}
	if _, _, err := Open(context.Background(), dir); !errors.Is(err, ErrNotFile) {
		t.Errorf("a directory opens: %v", err)
	}
}
