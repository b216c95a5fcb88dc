package recorder

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

func openTest(t *testing.T, dir string) *store {
	t.Helper()
	s, err := openStore(dir, MinDisk, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.close() })
	return s
}

// put writes a case of a size by all steps, or stops before one of them, as a
// process does that is killed there.
func put(t *testing.T, s *store, size int, steps int, completes ...string) (id, name string) {
	t.Helper()
	id = s.newID()
	name = caseName(time.Now(), "tls.reset", id)
	line := []byte(`{"recorder":{` + caseKey(id) + `,"completes":"` + strings.Join(completes, "") + `"},"schema":"x"}` + "\n")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	tmp := filepath.Join(s.dir, tmpDir, id+caseEnd)
	for step, do := range []func() error{
		func() error { return os.WriteFile(tmp, make([]byte, size), 0o600) },
		func() error { return s.intent(id, name, line) },
		func() error { return os.Rename(tmp, filepath.Join(s.dir, casesDir, name)) },
		func() error { return s.log.append(line) },
		func() error { return os.Remove(filepath.Join(s.dir, tmpDir, id+lineEnd)) },
	} {
		if step == steps {
			return id, name
		}
		must(do())
	}
	return id, name
}

// Whenever a recorder is killed, the next one shows each case that was complete,
// once, with its line, and nothing of one that was not.
func TestRecovery(t *testing.T) {
	for steps := range 6 {
		dir := filepath.Join(t.TempDir(), "r")
		s := openTest(t, dir)
		first, _ := put(t, s, 100, 5)
		earlier, earlierName := put(t, s, 100, 5)
		id, name := put(t, s, 100, steps, earlier)
		s.close()
		s = openTest(t, dir)
		whole := steps >= 2
		if _, err := os.Stat(filepath.Join(dir, casesDir, name)); (err == nil) != whole {
			t.Errorf("after %d steps: case %v", steps, err)
		}
		b, err := os.ReadFile(filepath.Join(dir, logFile))
		if err != nil {
			t.Fatal(err)
		}
		want := 0
		if whole {
			want = 1
		}
		// With all steps done but the last, nobody but the next recorder knows
		// that there is more to do.
		if _, err := os.Stat(filepath.Join(dir, casesDir, earlierName)); (err == nil) != (!whole || steps == 5) {
			t.Errorf("after %d steps: the case that it completes: %v", steps, err)
		}
		if n := strings.Count(string(b), caseKey(id)); n != want {
			t.Errorf("after %d steps: %d lines", steps, n)
		}
		if strings.Count(string(b), caseKey(first)) != 1 {
			t.Errorf("after %d steps: the case before is told of otherwise", steps)
		}
		if left, _ := filepath.Glob(filepath.Join(dir, tmpDir, "*")); len(left) > 0 {
			t.Errorf("after %d steps: left %v", steps, left)
		}
		if again := s.newID(); again[:6] <= id[:6] && whole {
			t.Errorf("after %d steps: %s follows %s", steps, again, id)
		}
	}
}

// A line that was cut off is removed at the next start; what came before stays.
func TestTornLine(t *testing.T) {
	for name, c := range map[string]struct{ have, want string }{
		"half a line":      {"{\"a\":1}\n{\"b\":", "{\"a\":1}\n"},
		"nothing else":     {"{\"b\":", ""},
		"whole":            {"{\"a\":1}\n", "{\"a\":1}\n"},
		"a long half line": {"{\"a\":1}\n" + strings.Repeat("x", 200<<10), "{\"a\":1}\n"},
	} {
		dir := filepath.Join(t.TempDir(), "r")
		s := openTest(t, dir)
		s.close()
		if err := os.WriteFile(filepath.Join(dir, logFile), []byte(c.have), 0o600); err != nil {
			t.Fatal(err)
		}
		openTest(t, dir).close()
		if b, err := os.ReadFile(filepath.Join(dir, logFile)); err != nil || string(b) != c.want {
			t.Errorf("%s: %d bytes, %v", name, len(b), err)
		}
	}
}

// What another program appends to the log does not spoil the next line.
func TestGarbageInLog(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "r")
	s := openTest(t, dir)
	put(t, s, 100, 5)
	f, err := os.OpenFile(filepath.Join(dir, logFile), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteString("not a line")
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	id, _ := put(t, s, 100, 5)
	b, err := os.ReadFile(filepath.Join(dir, logFile))
	if err != nil || !strings.Contains(string(b), "\nnot a line\n{\"recorder\":{"+caseKey(id)) {
		t.Errorf("%q, %v", b, err)
	}
}

// Files that no recorder makes stay, wherever they are, and count for no limit.
func TestForeignFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "r")
	names := []string{"tmp/thesis.txt", "tmp/x.line", "tmp/notes.pcapng", "cases/notes.md", "cases/my-build.pcapng", "verdicts-summary.xlsx", "verdicts.md"}
	for _, name := range names {
		name = filepath.Join(dir, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o700), os.WriteFile(name, make([]byte, MinDisk), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	s := openTest(t, dir)
	if _, err := s.makeRoom(MinDisk / 2); err != nil {
		t.Error(err)
	}
	for _, name := range names {
		if _, err := os.Stat(filepath.Join(dir, filepath.FromSlash(name))); err != nil {
			t.Error(err)
		}
	}
}

// A line that was written is found again although logrotate has kept more logs
// than a few, and of those the oldest goes first.
func TestManyRotatedLogs(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "r")
	s := openTest(t, dir)
	id, _ := put(t, s, 100, 4)
	s.close()
	for i := range 6 {
		name := filepath.Join(dir, logFile+"."+strconv.Itoa(i+1))
		at := time.Now().Add(-time.Duration(i+1) * time.Hour)
		if err := errors.Join(os.WriteFile(name, make([]byte, MinDisk/16), 0o600), os.Chtimes(name, at, at)); err != nil {
			t.Fatal(err)
		}
	}
	s = openTest(t, dir)
	b, err := os.ReadFile(filepath.Join(dir, logFile))
	if err != nil || strings.Count(string(b), caseKey(id)) != 1 {
		t.Errorf("%q, %v", b, err)
	}
	if _, err := s.makeRoom(1); err != nil {
		t.Fatal(err)
	}
	for i := range 6 {
		_, err := os.Stat(filepath.Join(dir, logFile+"."+strconv.Itoa(i+1)))
		if (err == nil) != (i < 4) {
			t.Errorf("log %d: %v", i+1, err)
		}
	}
}

// Whoever rotates the log, and how, no line is lost or stands twice.
func TestLogRotation(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "r")
	s := openTest(t, dir)
	s.log.most = 400
	n := 0
	write := func() {
		t.Helper()
		n++
		if err := s.log.append(fmt.Appendf(nil, "{\"n\":%d,\"text\":\"%080d\"}\n", n, 0)); err != nil {
			t.Fatal(err)
		}
	}
	read := func(pattern string) (out []string) {
		names, _ := filepath.Glob(filepath.Join(dir, pattern))
		slices.Sort(names)
		for _, name := range names {
			b, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, slices.Collect(strings.Lines(string(b)))...)
		}
		return out
	}
	for range 10 {
		write()
	}
	rotated := read("verdicts-*.ndjson")
	now := read(logFile)
	if len(rotated)+len(now) != 10 || len(rotated) == 0 || len(now) > 4 {
		t.Errorf("by size: %d rotated, %d in the log", len(rotated), len(now))
	}
	for i, line := range append(rotated, now...) {
		if !strings.HasPrefix(line, fmt.Sprintf("{\"n\":%d,", i+1)) {
			t.Errorf("line %d is %q", i+1, line)
		}
	}
	if runtime.GOOS != "windows" { // there nobody can rename what is open
		if err := os.Rename(filepath.Join(dir, logFile), filepath.Join(dir, logFile+".1")); err != nil {
			t.Fatal(err)
		}
		write()
		if l := read(logFile); len(l) != 1 || !strings.Contains(l[0], fmt.Sprint(n)) {
			t.Errorf("moved away: %q", l)
		}
	}
	// copytruncate: the next line begins the file.
	if err := os.Truncate(filepath.Join(dir, logFile), 0); err != nil {
		t.Fatal(err)
	}
	write()
	if l := read(logFile); len(l) != 1 || strings.Contains(l[0], "\x00") {
		t.Errorf("cut: %q", l)
	}
	if runtime.GOOS != "windows" { // there what is open goes when it is closed, if at all
		if err := os.Remove(filepath.Join(dir, logFile)); err != nil {
			t.Fatal(err)
		}
		write()
		if l := read(logFile); len(l) != 1 {
			t.Errorf("removed: %q", l)
		}
	}
	before := len(read(logFile))
	s.log.reopen()
	write()
	if l := read(logFile); len(l) != before+1 {
		t.Errorf("opened anew: %q", l)
	}
}

// The directory never holds more than its limit; the oldest cases go first, by
// their numbers, and the newest stays.
func TestDiskHolds(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "r")
	s, err := openStore(dir, 1<<20, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	var names []string
	for i := range 40 {
		size := 60<<10 + i
		if _, err := s.makeRoom(int64(size) + 1000); err != nil {
			t.Fatal(err)
		}
		_, name := put(t, s, size, 5)
		names = append(names, name)
		if _, total, err := s.files(); err != nil || total > 1<<20 {
			t.Fatalf("%d bytes (%v)", total, err)
		}
	}
	left, _ := filepath.Glob(filepath.Join(dir, casesDir, "*"))
	if len(left) < 12 {
		t.Errorf("only %d are left", len(left))
	}
	for i, path := range left {
		if want := names[len(names)-len(left)+i]; filepath.Base(path) != want {
			t.Errorf("%s is left, want %s", filepath.Base(path), want)
		}
	}
	if _, err := s.makeRoom(2 << 20); !errors.Is(err, errNoRoom) {
		t.Errorf("more than the limit: %v", err)
	}
}

func TestOneRecorderOfADirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "r")
	s := openTest(t, dir)
	if _, err := openStore(dir, MinDisk, time.Now); !errors.Is(err, ErrInUse) {
		t.Errorf("a second one: %v", err)
	}
	s.close()
	openTest(t, dir)
}

// What an attacker could have prepared is refused.
func TestUnsafeDirectory(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has access lists, which Go does not show")
	}
	base := t.TempDir()
	file, link, open := filepath.Join(base, "file"), filepath.Join(base, "link"), filepath.Join(base, "open")
	if err := errors.Join(os.WriteFile(file, nil, 0o600), os.Symlink(base, link), os.Mkdir(open, 0o700), os.Chmod(open, 0o777)); err != nil {
		t.Fatal(err)
	}
	unsafe := []string{file, open, filepath.Join(file, "below")}
	if os.Geteuid() == 0 {
		const nobody = 65534
		foreign := filepath.Join(base, "foreign")
		if err := errors.Join(os.Lchown(link, nobody, nobody), os.Mkdir(foreign, 0o700), os.Chown(foreign, nobody, nobody)); err != nil {
			t.Fatal(err)
		}
		unsafe = append(unsafe, link, foreign)
	} else {
		openTest(t, link).close() // one's own may be followed
	}
	for _, dir := range unsafe {
		if s, err := openStore(dir, MinDisk, time.Now); err == nil {
			s.close()
			t.Errorf("%s was taken", dir)
		}
	}
	// Its parts are no links either.
	for _, name := range []string{casesDir, tmpDir, logFile} {
		dir := filepath.Join(t.TempDir(), "r")
		elsewhere := t.TempDir()
		if err := errors.Join(os.Mkdir(dir, 0o700), os.Symlink(elsewhere, filepath.Join(dir, name))); err != nil {
			t.Fatal(err)
		}
		s, err := openStore(dir, MinDisk, time.Now)
		if err == nil {
			err = s.log.append([]byte("x\n"))
			s.close()
		}
		if err == nil {
			t.Errorf("%s as a link was taken", name)
		}
		if list, _ := os.ReadDir(elsewhere); len(list) > 0 {
			t.Errorf("%s as a link: %v was written elsewhere", name, list)
		}
	}
}

func TestNoRights(t *testing.T) {
	if os.Geteuid() == 0 || runtime.GOOS == "windows" {
		t.Skip("root may write anywhere")
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	if _, err := openStore(filepath.Join(dir, "r"), MinDisk, time.Now); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("%v", err)
	}
}
