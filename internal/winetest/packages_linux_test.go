package winetest

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// notRun are packages whose tests are not run under Wine, by path below the
// module.
var notRun = []string{
	"analyze",           // has nothing of the system, and measures memory for minutes
	"internal/corpus",   // reads captures for minutes, and nothing of the system
	"internal/winetest", // this one
}

// listed is a package as go list has it.
type listed struct {
	ImportPath                                   string
	GoFiles, TestGoFiles, XTestGoFiles, CgoFiles []string
}

// list lists the project's packages as they are on a system, by path below the
// module.
func list(t *testing.T, system string) map[string]listed {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,GoFiles,TestGoFiles,XTestGoFiles,CgoFiles", "../../...")
	cmd.Env = append(cmd.Environ(), "GOOS="+system, "GOARCH=amd64", "CGO_ENABLED=0")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	packages := map[string]listed{}
	for d := json.NewDecoder(strings.NewReader(string(out))); d.More(); {
		var p listed
		if err := d.Decode(&p); err != nil {
			t.Fatal(err)
		}
		_, path, _ := strings.Cut(p.ImportPath, "/")
		packages[path] = p
	}
	return packages
}

// TestPackages runs the tests of the packages, all that have any on Windows,
// and fails where one of a package with Windows code did not run.
func TestPackages(t *testing.T) {
	m := newMachine(t)
	onWindows, onLinux := list(t, "windows"), list(t, "linux")
	var packages []string
	special := map[string]bool{}
	for path, p := range onWindows {
		if len(p.TestGoFiles)+len(p.XTestGoFiles) == 0 || slices.Contains(notRun, path) {
			continue
		}
		packages = append(packages, p.ImportPath)
		if !slices.Equal(p.GoFiles, onLinux[path].GoFiles) {
			special[p.ImportPath] = true
		}
	}
	// The first program starts Wine's services, which keep its streams: a
	// test's output would never end.
	first := m.command("cmd")
	stdin, err := first.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	m.start(first)
	defer func() {
		stdin.Close()
		_ = first.Wait()
	}()
	slices.Sort(packages)
	o := runTests(t, m, packages)
	if broken := o.brokenByWine(); len(broken) > 0 {
		t.Logf("again, since Wine did not start a program of theirs: %s", strings.Join(broken, " "))
		o.replace(broken, runTests(t, m, broken))
	}
	for pkg := range special {
		if o.passed[pkg] == 0 {
			t.Errorf("%s has Windows code, and no test of it ran", pkg)
		}
	}
	tests, skipped := 0, 0
	for pkg, n := range o.passed {
		tests += n
		skipped += len(o.skipped[pkg])
		for _, name := range o.skipped[pkg] {
			if special[pkg] {
				t.Logf("skipped: %s %s", pkg, name)
			}
		}
	}
	t.Logf("%d packages, %d of them with Windows code: %d tests passed, %d skipped", len(o.passed), len(special), tests, skipped)
	// Last, since whoever reads a long output reads its end.
	for _, pkg := range slices.Sorted(maps.Keys(o.failed)) {
		for _, text := range o.failed[pkg] {
			t.Error(text)
		}
	}
	if o.err != nil {
		t.Error(o.err)
	}
}

// runTests runs the tests of packages under Wine.
func runTests(t *testing.T, m *machine, packages []string) *outcomes {
	t.Helper()
	args := append([]string{"test", "-count=1", "-json", "-short", "-vet=off", "-timeout", "5m", "-exec", wine}, packages...)
	cmd := withEnv(exec.Command("go", args...), m.prefix, "GOOS=windows", "GOARCH=amd64", "CGO_ENABLED=0", "GOFLAGS=-mod=readonly",
		"GOCACHE="+goEnv(t, "GOCACHE"), "GOMODCACHE="+goEnv(t, "GOMODCACHE"))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var messages strings.Builder
	cmd.Stderr = &messages
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	o := read(t, out)
	if err := cmd.Wait(); err != nil && len(o.failed) == 0 {
		o.err = fmt.Errorf("go test: %w\n%s", err, &messages)
	}
	return o
}

// outcomes are those of tests, by package.
type outcomes struct {
	passed  map[string]int
	skipped map[string][]string
	// failed holds what each failed test, and each build, printed.
	failed map[string][]string
	// err is why the run failed where no test did.
	err error
}

// wineFault is what a program prints that Wine 8 did not start: now and then, on a
// busy machine, loading one of its own libraries fails. It is none of the
// program's own doing, and the next start goes well.
const wineFault = "DLL initialization failed"

// brokenByWine lists the packages of which a test failed for such a start.
func (o *outcomes) brokenByWine() (out []string) {
	for pkg, texts := range o.failed {
		if slices.ContainsFunc(texts, func(s string) bool { return strings.Contains(s, wineFault) }) {
			out = append(out, pkg)
		}
	}
	slices.Sort(out)
	return out
}

// replace puts the outcomes of a later run of packages in place of theirs.
func (o *outcomes) replace(packages []string, later *outcomes) {
	for _, pkg := range packages {
		o.passed[pkg], o.skipped[pkg] = later.passed[pkg], later.skipped[pkg]
		delete(o.failed, pkg)
	}
	maps.Copy(o.failed, later.failed)
	o.err = errors.Join(o.err, later.err)
}

// event is one line of go test -json.
type event struct{ Action, Package, ImportPath, Test, Output string }

// key names what an event is about: a test, a package, or the build of one.
func (e *event) key() string { return strings.TrimSpace(e.Package + e.ImportPath + " " + e.Test) }

// read reads what go test -json writes.
func read(t *testing.T, r io.Reader) *outcomes {
	t.Helper()
	o := &outcomes{passed: map[string]int{}, skipped: map[string][]string{}, failed: map[string][]string{}}
	texts := map[string]*strings.Builder{}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			t.Logf("%s", lines.Bytes())
			continue
		}
		switch e.Action {
		case "output", "build-output":
			if texts[e.key()] == nil {
				texts[e.key()] = new(strings.Builder)
			}
			texts[e.key()].WriteString(e.Output)
		case "pass":
			if e.Test != "" {
				o.passed[e.Package]++
			}
		case "skip":
			if e.Test != "" {
				o.skipped[e.Package] = append(o.skipped[e.Package], e.Test)
			}
		case "fail", "build-fail":
			pkg := e.Package + e.ImportPath
			o.failed[pkg] = append(o.failed[pkg], fmt.Sprintf("%s failed under Wine:\n%s", e.key(), texts[e.key()]))
		}
	}
	if err := lines.Err(); err != nil {
		t.Error(err)
	}
	return o
}

func goEnv(t *testing.T, name string) string {
	t.Helper()
	out, err := exec.Command("go", "env", name).Output()
	if err != nil {
		t.Fatalf("go env %s: %v", name, err)
	}
	return strings.TrimSpace(string(out))
}
