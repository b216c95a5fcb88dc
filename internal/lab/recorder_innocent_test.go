//go:build linux

package lab

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"
)

// TestRecorderInnocents holds that a recorder keeps nothing of go commands that
// fail, or are stopped, for reasons of their own, although others die beside them
// and right behind them; and that it keeps those.
func TestRecorderInnocents(t *testing.T) {
	needLab(t)
	program, err := buildProgram()
	if err != nil {
		t.Fatal(err)
	}
	const large, small = "example.net/large", "example.net/alpha"
	r := &recorderStage{program: program}
	r.stage = newStage(t, Scenario{
		Modules: []Module{{large, 3_000_000}, {small, 9000}},
		// A small window makes the large module take seconds.
		Path:   Path{Window: 8192, Output: []string{"ip daddr " + siteAddrs[deadHost].v4.String() + " tcp dport 443 reject"}},
		Second: Site{Hello: ResetAfterHello}, Third: Site{Request: Status(http.StatusGone)},
	})
	r.dir = filepath.Join(r.home, "recorder")
	r.record()
	base := r.env
	begin := func(source, proxy string, args ...string) *process {
		r.n++
		work := r.work(source)
		r.env = append(slices.Clone(base), "GOPROXY="+proxy, "GOSUMDB=off", "GOPATH="+filepath.Join(work, "gopath"), "GOCACHE="+buildCache(), "GOFLAGS=-mod=mod -modcacherw")
		p := r.start("build.log", append([]string{"go", "-C", work}, args...)...)
		r.env = base
		return p
	}
	const healthy = "https://" + ProxyName
	imports := func(module, body string) string {
		return "package main\n\nimport _ \"" + module + "\"\n\n" + body + "\n"
	}
	var deaths []int
	dies := func(proxy string) {
		p := begin(imports(small, "func main() {}"), proxy, "build", "-o", os.DevNull, ".")
		if code := r.wait(p, time.Minute); code == 0 {
			t.Errorf("%s: the build did not fail", proxy)
		}
		deaths = append(deaths, p.cmd.Process.Pid)
	}
	for _, c := range []struct {
		name, source, proxy string
		stop                syscall.Signal
		args                []string
	}{
		{"a compile error", imports(small, "func main() { undefined() }"), healthy, 0, []string{"build", "-o", os.DevNull, "."}},
		{"a module that does not exist", imports(small, "func main() {}"), healthy, 0, []string{"get", "example.net/absent@v1.0.0"}},
		{"a proxy that has nothing any more", imports(small, "func main() {}"), "https://" + silentHost, 0, []string{"get", "example.net/absent@v1.0.0"}},
		{"no proxy", imports(small, "func main() {}"), "off", 0, []string{"build", "-o", os.DevNull, "."}},
		{"a build that is stopped", imports(large, "func main() {}"), healthy, syscall.SIGINT, []string{"build", "-o", os.DevNull, "."}},
		{"a go get that is stopped", imports(small, "func main() {}"), healthy, syscall.SIGTERM, []string{"get", large + "@v1.2.3"}},
		{"a download that is killed", imports(large, "func main() {}"), healthy, syscall.SIGKILL, []string{"mod", "download", large}},
	} {
		p := begin(c.source, c.proxy, c.args...)
		if c.stop != 0 {
			select {
			case <-p.done:
			case <-time.After(1500 * time.Millisecond):
				p.signal(c.stop)
			}
		}
		if code := r.wait(p, time.Minute); code == 0 || c.stop != 0 && code > 0 {
			t.Errorf("%s: exit code %d:\n%s", c.name, code, r.output("build.log"))
		}
		// Right behind it, before it is judged.
		dies("https://" + deadHost)
	}
	// Beside one that takes a while.
	beside := begin(imports(large, "func main() { undefined() }"), healthy, "build", "-o", os.DevNull, ".")
	time.Sleep(time.Second)
	for _, host := range []string{deadHost, resetHost, absentHost} {
		dies("https://" + host)
	}
	select {
	case <-beside.done:
		t.Error("the build beside was too fast")
	default:
	}
	if code := r.wait(beside, time.Minute); code != 1 {
		t.Errorf("the build beside: exit code %d", code)
	}
	r.end()
	entries := r.entries()
	for _, e := range entries {
		if !slices.Contains(deaths, e.Recorder.PID) {
			t.Errorf("an innocent: %+v", e)
		}
	}
	if len(entries) != len(deaths) {
		t.Errorf("%d cases of %d deaths", len(entries), len(deaths))
	}
}

// work makes a directory with a module that has a source file.
func (r *recorderStage) work(source string) string {
	r.t.Helper()
	dir, err := os.MkdirTemp(r.home, "build-")
	if err != nil {
		r.t.Fatal(err)
	}
	mod, err := os.ReadFile(filepath.Join(r.home, "main", "go.mod"))
	if err != nil {
		r.t.Fatal(err)
	}
	for name, b := range map[string][]byte{"go.mod": mod, "main.go": []byte(source)} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			r.t.Fatal(err)
		}
	}
	return dir
}
