package winetest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"goproxytrace/capture/engine/spacetest"
)

const (
	wine     = "/usr/lib/wine/wine64"
	server   = "/usr/lib/wine/wineserver64"
	compiler = "x86_64-w64-mingw32-gcc"
)

// scratch is the directory of all that the tests make, removed at the end.
var scratch string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	var err error
	if scratch, err = os.MkdirTemp("", "winetest"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(scratch)
	return m.Run()
}

// need skips the test where Wine or the compiler are missing, or fails it
// where GOPROXYTRACE_CI=1 asks for it.
func need(t *testing.T) {
	t.Helper()
	for _, name := range []string{wine, server, compiler} {
		if _, err := exec.LookPath(name); err == nil {
			continue
		}
		if os.Getenv("GOPROXYTRACE_CI") == "1" {
			t.Fatalf("GOPROXYTRACE_CI=1 asks for the Windows tests, which lack %s", name)
		}
		t.Skipf("needs %s (packages wine, wine64, gcc-mingw-w64-x86-64-win32)", name)
	}
}

// prefix makes a Wine prefix, with what Wine lacks, once for all tests.
var prefix = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(scratch, "prefix")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err
	}
	if out, err := output(withEnv(exec.Command(wine, "wineboot", "-i"), dir)); err != nil {
		return "", fmt.Errorf("make a Wine prefix: %w\n%s", err, out)
	}
	system := filepath.Join(dir, "drive_c", "windows", "system32")
	if err := os.Mkdir(filepath.Join(system, "Npcap"), 0o755); err != nil {
		return "", err
	}
	for source, library := range map[string]string{"bcryptprimitives.c": "bcryptprimitives.dll", "wpcap.c": `Npcap/wpcap.dll`} {
		cmd := exec.Command(compiler, "-shared", "-O2", "-Wall", "-Werror", "-o", filepath.Join(system, library), filepath.Join("testdata", source), "-ladvapi32")
		if out, err := output(cmd); err != nil {
			return "", fmt.Errorf("build %s: %w\n%s", library, err, out)
		}
	}
	return dir, nil
})

// DLL settings of a Wine process: Npcap's library as installed, none at all,
// and Wine's own, which lacks functions that every Npcap has.
const (
	withNpcap      = "mscoree,mshtml=;wpcap=n,b"
	withoutLibrary = "mscoree,mshtml=;wpcap="
	withOldLibrary = "mscoree,mshtml=;wpcap=b"
)

// withEnv gives a command the environment of Windows programs: what is meant
// for this machine's go command is not for them.
func withEnv(cmd *exec.Cmd, prefix string, more ...string) *exec.Cmd {
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		switch {
		case strings.HasPrefix(name, "GO"), strings.HasPrefix(name, "SSL_CERT_"), strings.HasPrefix(name, "GIT_"), name == "DISPLAY", strings.HasSuffix(strings.ToLower(name), "_proxy"):
		default:
			cmd.Env = append(cmd.Env, kv)
		}
	}
	cmd.Env = append(cmd.Env, "WINEPREFIX="+prefix, "WINEARCH=win64", "WINEDEBUG=-all", "LC_ALL=C.UTF-8", "WINEDLLOVERRIDES="+withNpcap)
	cmd.Env = append(cmd.Env, more...)
	return cmd
}

// output runs a command whose descendants may keep its streams open.
func output(cmd *exec.Cmd) (string, error) {
	var b bytes.Buffer
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &b, &b, 2*time.Second
	err := cmd.Run()
	if errors.Is(err, exec.ErrWaitDelay) {
		err = nil
	}
	return b.String(), err
}

// machine is Windows as far as Wine has it. Its sockets belong to the process
// that wineserver is, which lives where the first program was started.
type machine struct {
	t      *testing.T
	prefix string
	space  *spacetest.Space // nil for none of its own
	hosts  string           // in place of /etc/hosts; empty for none
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	need(t)
	dir, err := prefix()
	if err != nil {
		t.Fatal(err)
	}
	m := &machine{t: t, prefix: dir}
	m.shutDown() // of a machine before, or of the prefix's making
	t.Cleanup(m.shutDown)
	return m
}

// shutDown ends the programs of the prefix, and waits for it.
func (m *machine) shutDown() {
	for _, flag := range []string{"-k", "-w"} {
		// -k fails where none runs.
		_, err := output(withEnv(exec.Command(server, flag), m.prefix))
		if flag == "-w" && err != nil {
			m.t.Errorf("waiting for Wine to end: %v", err)
		}
	}
}

// inside is what runs a program with other hosts.
const inside = `mount --bind "$1" /etc/hosts && shift && exec "$@"`

// command prepares a Windows program.
func (m *machine) command(program string, args ...string) *exec.Cmd {
	words := append([]string{wine, program}, args...)
	if m.hosts != "" {
		words = append([]string{"unshare", "--mount", "--propagation", "private", "sh", "-c", inside, "sh", m.hosts}, words...)
	}
	return withEnv(exec.Command(words[0], words[1:]...), m.prefix)
}

// start starts a command where the machine is.
func (m *machine) start(cmd *exec.Cmd) {
	m.t.Helper()
	cmd.WaitDelay = 2 * time.Second
	if m.space != nil {
		m.space.Start(cmd)
	} else if err := cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
}

// result is how a program ended.
type result struct {
	code        int
	out, errors string
}

// brokenByWine tells whether wineFault is why it ended so.
func (r result) brokenByWine() bool { return strings.Contains(r.out+r.errors, wineFault) }

func (r result) String() string {
	return fmt.Sprintf("exit code %d\nstandard output:\n%s\nstandard error:\n%s", r.code, r.out, r.errors)
}

// running is a program that was started.
type running struct {
	cmd      *exec.Cmd
	out, err *bytes.Buffer
	ended    chan struct{}
	failure  error // of waiting for it, when it has ended
}

func (m *machine) begin(cmd *exec.Cmd) *running {
	m.t.Helper()
	r := &running{cmd: cmd, out: new(bytes.Buffer), err: new(bytes.Buffer), ended: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = r.out, r.err
	m.start(cmd)
	go func() {
		defer close(r.ended)
		r.failure = cmd.Wait()
	}()
	return r
}

// until waits until done holds. It returns false where the program ends before.
func (r *running) until(t *testing.T, done func() bool, otherwise string) bool {
	t.Helper()
	limit := time.After(30 * time.Second)
	for !done() {
		select {
		case <-r.ended:
			return done()
		case <-limit:
			t.Fatal(otherwise)
		case <-time.After(50 * time.Millisecond):
		}
	}
	return true
}

func (r *running) signal(t *testing.T, s os.Signal) {
	t.Helper()
	if err := r.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Fatal(err)
	}
}

// captures waits until a session has made its case file, which it does when the
// capture has begun. It returns false where the session ends before.
func (r *running) captures(t *testing.T, file string) bool {
	t.Helper()
	return r.until(t, func() bool {
		st, err := os.Stat(file)
		return err == nil && st.Size() > 0
	}, "the session does not begin")
}

// wait waits for a program's end, which it brings about after the limit.
func (m *machine) wait(r *running, limit time.Duration) result {
	m.t.Helper()
	select {
	case <-r.ended:
	case <-time.After(limit):
		_ = r.cmd.Process.Kill()
		<-r.ended
		m.t.Fatalf("%v did not end within %v\nstandard output:\n%s\nstandard error:\n%s", r.cmd.Args, limit, r.out, r.err)
	}
	var exit *exec.ExitError
	if err := r.failure; err != nil && !errors.As(err, &exit) && !errors.Is(err, exec.ErrWaitDelay) {
		m.t.Fatalf("%v: %v", r.cmd.Args, err)
	}
	return result{r.cmd.ProcessState.ExitCode(), r.out.String(), r.err.String()}
}

func (m *machine) run(program string, args ...string) result {
	m.t.Helper()
	return m.again(func() result { return m.wait(m.begin(m.command(program, args...)), time.Minute) })
}

// again is try, and once more where Wine did not start a program of it.
func (m *machine) again(try func() result) result {
	m.t.Helper()
	r := try()
	if r.brokenByWine() {
		m.t.Logf("again, since Wine did not start a program: %v", r)
		r = try()
	}
	return r
}

// build builds a package of the project for Windows.
func build(t *testing.T, name, pkg string) string {
	t.Helper()
	path := filepath.Join(scratch, name)
	if _, err := os.Stat(path); err == nil {
		return path
	}
	cmd := exec.Command("go", "build", "-o", path, pkg)
	cmd.Env = append(os.Environ(), "GOOS=windows", "GOARCH=amd64", "CGO_ENABLED=0")
	if out, err := output(cmd); err != nil {
		t.Fatalf("build %s: %v\n%s", pkg, err, out)
	}
	return path
}

// windows is a path of this machine as Windows programs see it.
func windows(path string) string { return `Z:` + strings.ReplaceAll(path, "/", `\`) }
