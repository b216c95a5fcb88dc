//go:build linux

package lab

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestLiveDrops holds that live says of packets which this host itself drops that
// it does, proven by the kernel's word, and of what anybody else drops nothing of
// the kind: the router on the way is the same kernel.
func TestLiveDrops(t *testing.T) {
	needLab(t)
	program, err := buildProgram()
	if err != nil {
		t.Fatal(err)
	}
	catalogue := map[string]Scenario{}
	for _, s := range Catalogue() {
		catalogue[s.Name] = s
	}
	faults := map[string]string{ // classes by scenario
		"local-syn-dropped":     "connect.not-sent",
		"local-answer-ignored":  "connect.answer-ignored",
		"local-flight-ignored":  "tls.answer-ignored",
		"local-hello-swallowed": "tls.client-hello-not-sent",
	}
	var all sync.WaitGroup
	run := func(name string, s Scenario, class string, dropped bool) {
		all.Go(func() { t.Run(name, func(t *testing.T) { runDrops(t, program, s, class, dropped) }) })
	}
	for name, class := range faults {
		s, ok := catalogue[name]
		if !ok {
			t.Fatalf("no scenario %s", name)
		}
		run(name, s, class, true)
	}
	for name, x := range map[string]struct {
		path  Path
		class string
	}{
		"the router drops SYNs":       {Path{Forward: []string{"tcp dport 443 drop"}}, "connect.no-answer"},
		"the router drops answers":    {Path{Forward: []string{"tcp sport 443 drop"}}, "connect.no-answer"},
		"the router drops hellos":     {Path{Forward: []string{"tcp dport 443 meta length > 120 drop"}}, ""},
		"the router drops the flight": {Path{Plain: true, Forward: []string{"tcp sport 443 meta length > 120 drop"}}, ""},
		// What the host drops here is nobody's loss.
		"another port is dropped":        {Path{Output: []string{"tcp dport 4443 drop"}, Input: []string{"tcp sport 4443 drop"}}, "ok"},
		"a download that some loss hits": {Path{Input: []string{"tcp sport 443 meta length > 120 numgen inc mod 9 8 drop"}}, "ok"},
	} {
		run(name, Scenario{Modules: small(), Path: x.path}, x.class, false)
	}
	all.Wait()
}

// dropDocument is what TestLiveDrops needs of the JSON.
type dropDocument struct {
	Verdict struct {
		Class, Level string
		Place        []string
		Evidence     []struct {
			ID, Text string
			Frames   []int64
		}
	}
	Events  []dropEvent
	Capture struct{ Health []dropHealth }
}

type dropEvent struct{ Source, Text string }

type dropHealth struct{ ID, Text string }

func runDrops(t *testing.T, program string, scenario Scenario, class string, dropped bool) {
	s := newStage(t, scenario)
	p := s.start("output", program, "live", "--json=report.json", "-w", "case.pcapng", "--", "go", "mod", "download")
	s.wait(p, 2*time.Minute)
	live, d := s.raw("main/report.json"), s.drops("main/report.json")
	v := &d.Verdict
	if class != "" && v.Class != class {
		t.Errorf("verdict %s, want %s\n%s", v.Class, class, s.output("output"))
	}
	said := ""
	for _, e := range v.Evidence {
		if strings.HasPrefix(e.ID, "block.") {
			said += e.Text
		}
	}
	recorded := slices.ContainsFunc(d.Events, func(e dropEvent) bool {
		return e.Source == "kernel drop reason" && strings.Contains(e.Text, "NETFILTER_DROP")
	})
	switch {
	case !dropped && (said != "" || slices.Equal(v.Place, []string{"host"})):
		t.Errorf("%s in %v, %s: %s", v.Class, v.Place, v.Level, said)
	case !dropped:
	case v.Level != "proven" || !slices.Equal(v.Place, []string{"host"}) || !strings.Contains(said, "this machine's packet filter (netfilter) dropped") || !recorded:
		t.Errorf("%s in %v, %s: %q, events %+v", v.Class, v.Place, v.Level, said, d.Events)
	default:
		t.Log(said)
	}
	p = s.start("again", program, "analyze", "--json=again.json", "case.pcapng")
	if code := s.wait(p, time.Minute); code != 0 {
		t.Errorf("the case file: exit code %d:\n%s", code, s.output("again"))
	} else if again := s.raw("main/again.json"); !bytes.Equal(again, live) {
		t.Errorf("the case file says\n%.2000s\nand live said\n%.2000s", again, live)
	}
}

func (s *stage) raw(name string) []byte {
	s.t.Helper()
	b, err := os.ReadFile(filepath.Join(s.home, name))
	if err != nil {
		s.t.Fatal(err)
	}
	return b
}

// TestLiveHostRecords holds that live reads at its end what needs rights that it
// gave up when the capture was open, and says what it cannot read where it never
// had them.
func TestLiveHostRecords(t *testing.T) {
	needLab(t)
	program, err := buildProgram()
	if err != nil {
		t.Fatal(err)
	}
	scenario := Scenario{Modules: small(), Path: Path{Output: []string{"tcp dport 443 counter drop"}}}
	t.Run("as root, attached", func(t *testing.T) {
		s := newStage(t, scenario)
		download := s.start("download", "go", "mod", "download")
		time.Sleep(1500 * time.Millisecond) // drops from before the session
		p := s.start("output", program, "live", "--pid", strconv.Itoa(download.cmd.Process.Pid), "--duration=4s", "--json=report.json", "-w", "case.pcapng")
		if code := s.wait(p, time.Minute); code != 0 {
			t.Fatalf("exit code %d:\n%s", code, s.output("output"))
		}
		d := s.drops("main/report.json")
		counted := regexp.MustCompile(`^rule \d+ of chain .*: drop, (\d+) packets meanwhile$`)
		if !slices.ContainsFunc(d.Events, func(e dropEvent) bool { return e.Source == "nftables" && counted.MatchString(e.Text) }) {
			t.Errorf("events %+v, capture %+v\n%s", d.Events, d.Capture.Health, s.output("output"))
		}
		if len(d.Capture.Health) > 0 {
			t.Errorf("all could be read, and it says %+v", d.Capture.Health)
		}
	})
	t.Run("with the right to capture alone", func(t *testing.T) {
		s := newStage(t, scenario)
		own := filepath.Join(s.home, "goproxytrace")
		b, err := os.ReadFile(program)
		if err == nil {
			err = os.WriteFile(own, b, 0o755)
		}
		if err == nil {
			err = exec.Command("setcap", "cap_net_raw=ep", own).Run()
		}
		if err == nil {
			err = filepath.WalkDir(s.home, func(name string, _ fs.DirEntry, err error) error {
				if err != nil || name == own {
					return err
				}
				return os.Chown(name, 65534, 65534)
			})
		}
		for dir := s.home; err == nil && strings.HasPrefix(dir, os.TempDir()+"/"); dir = filepath.Dir(dir) {
			err = os.Chmod(dir, 0o755)
		}
		if err != nil {
			t.Fatal(err)
		}
		p := s.start("output", "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", own, "live", "--duration=2s", "--json=report.json", "-w", "case.pcapng")
		if code := s.wait(p, time.Minute); code != 0 {
			t.Fatalf("exit code %d:\n%s", code, s.output("output"))
		}
		d := s.drops("main/report.json")
		for _, source := range []string{"packets that this machine drops", "the counters of nftables' rules"} {
			if !slices.ContainsFunc(d.Capture.Health, func(h dropHealth) bool {
				return h.ID == "host.unread" && strings.HasPrefix(h.Text, source+" could not be read, because ")
			}) {
				t.Errorf("nothing of %s: %+v", source, d.Capture.Health)
			}
		}
		p = s.start("again", program, "analyze", "--json=again.json", "case.pcapng")
		if code := s.wait(p, time.Minute); code != 0 || !bytes.Equal(s.raw("main/again.json"), s.raw("main/report.json")) {
			t.Errorf("the case file says something else (exit code %d)", code)
		}
	})
}

func (s *stage) drops(name string) (d dropDocument) {
	s.t.Helper()
	if err := json.Unmarshal(s.raw(name), &d); err != nil {
		s.t.Fatal(err)
	}
	return d
}
