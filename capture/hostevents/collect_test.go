package hostevents

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"goproxytrace/capture/hostlog"
)

// fakeHost answers commands by the beginning of their command line, and values
// of the registry by their key and name.
type fakeHost struct {
	commands map[string]string
	registry map[string]string
	env      map[string]string
	kernel   []kernelLine
	slow     string // a command that hangs
	user     bool   // without an administrator's rights
	files    map[string]string

	mu  sync.Mutex
	ran []string
}

const fakeNow = int64(1_900_000_000e9) // later than every record of the tests

func (h *fakeHost) system() system {
	return system{
		run: func(ctx context.Context, name string, args ...string) ([]byte, error) {
			line := name + " " + strings.Join(args, " ")
			h.mu.Lock()
			h.ran = append(h.ran, line)
			h.mu.Unlock()
			if h.slow != "" && strings.HasPrefix(line, h.slow) {
				time.Sleep(time.Hour) // nothing ends it
			}
			for begin, out := range h.commands {
				if strings.HasPrefix(line, begin) {
					return []byte(out), nil
				}
			}
			if strings.HasPrefix(line, "wevtutil qe Microsoft-Windows-Sysmon") {
				return nil, &exitError{errorChannelNotFound, "The specified channel could not be found."}
			}
			return nil, &exitError{errorAccessDenied, "Zugriff verweigert"}
		},
		keys: func(hive, key string) (out []string, err error) {
			for name := range h.registry {
				if rest, ok := strings.CutPrefix(name, hive+`\`+key+`\`); ok {
					k, _, _ := strings.Cut(rest, `\`)
					if !slices.Contains(out, k) {
						out = append(out, k)
					}
				}
			}
			return out, nil
		},
		admin: func() bool { return !h.user },
		file: func(path string) ([]byte, error) {
			if text, ok := h.files[path]; ok {
				return []byte(text), nil
			}
			return nil, fs.ErrNotExist
		},
		kernelLog: func() (kernelLog, error) {
			if h.kernel == nil {
				return nil, errors.New("/dev/kmsg: permission denied")
			}
			return h, nil
		},
		value: func(hive, key, name string) (string, bool, error) {
			v, ok := h.registry[hive+`\`+key+`\`+name]
			return v, ok, nil
		},
		env: func(name string) string { return h.env[name] },
		now: func() int64 { return fakeNow },
	}
}

func (h *fakeHost) read() ([]kernelLine, bool, error) {
	lines := h.kernel
	h.kernel = nil
	return lines, false, nil
}

func (h *fakeHost) close() {}

func (h *fakeHost) collector() *collector {
	return &collector{system: h.system()}
}

func texts(records []hostlog.Record) (out []string) {
	for _, r := range records {
		out = append(out, r.Message())
	}
	return out
}

func wantText(t *testing.T, list []string, parts ...string) {
	t.Helper()
	if !slices.ContainsFunc(list, func(s string) bool {
		return !slices.ContainsFunc(parts, func(p string) bool { return !strings.Contains(s, p) })
	}) {
		t.Errorf("nothing has %q among\n%s", parts, strings.Join(list, "\n"))
	}
}

func TestCollectWindows(t *testing.T) {
	h := &fakeHost{
		commands: map[string]string{
			"wevtutil qe Microsoft-Windows-Windows Defender/Operational": defender("1126", connection1126("goproxy.cn")),
			"wevtutil qe Security":                 "",
			"wevtutil qe Microsoft-Windows-Sysmon": sysmon3,
			"netsh wfp show netevents":             netEvents,
			"netsh wfp show filters":               wfpFilters,
			"netsh wfp show state":                 wfpState,
			"netsh winhttp show proxy":             "\r\nCurrent WinHTTP proxy settings:\r\n\r\n    Proxy Server(s) :  proxy.corp.example:8080\r\n    Bypass List     :  (none)\r\n",
			// The table of fltmc(8), as Microsoft's documentation of minifilters prints it.
			"fltmc filters": "\r\nFilter Name                     Num Instances    Altitude    Frame\r\n------------------------------  -------------  ------------  -----\r\nWdFilter                               12       328010         0\r\nexampleguard                            3       321000         0\r\n",
		},
		registry: map[string]string{
			`HKLM\SOFTWARE\Microsoft\Windows Defender\Windows Defender Exploit Guard\Network Protection\EnableNetworkProtection`: "2",
			`HKCU\Software\Microsoft\Windows\CurrentVersion\Internet Settings\ProxyEnable`:                                       "1",
			`HKCU\Software\Microsoft\Windows\CurrentVersion\Internet Settings\ProxyServer`:                                       "user:s3cret@proxy.corp.example:8080",
			`HKLM\` + netService + `\{1}\ComponentId`:                                                                            "ms_pacer",
			`HKLM\` + netService + `\{2}\ComponentId`:                                                                            "example_lwf",
			`HKLM\` + netService + `\{2}\Description`:                                                                            "Example Guard Filter",
			`HKLM\SOFTWARE\WOW6432Node\Microsoft\Windows\CurrentVersion\Uninstall\NpcapInst\DisplayVersion`:                      "1.79",
		},
	}
	got := texts(h.collector().windowsEnd(context.Background()))
	for _, s := range got {
		if strings.Contains(s, "not readable") {
			t.Error(s)
		}
	}
	wantText(t, got, "Defender 1126: blocked to goproxy.cn", "go.exe")
	wantText(t, got, "WFP net event", `"Block Outbound Default Rule"`, "Example Guard")
	wantText(t, got, "filter drivers: WdFilter, exampleguard")
	wantText(t, got, "network filters and services beside Windows' own: example_lwf (Example Guard Filter)")
	wantText(t, got, "network protection audits")
	wantText(t, got, "the system uses a proxy (proxy.corp.example:8080) and HTTPS_PROXY is not set")
	wantText(t, got, "WinHTTP's proxy is proxy.corp.example:8080")
	wantText(t, got, "Npcap 1.79")
	for _, s := range got {
		if strings.Contains(s, "s3cret") {
			t.Errorf("a password: %s", s)
		}
	}
	for _, line := range h.ran {
		if !slices.ContainsFunc([]string{"wevtutil qe ", "netsh wfp show ", "netsh winhttp show ", "fltmc filters"}, func(p string) bool { return strings.HasPrefix(line, p) }) {
			t.Errorf("ran %q, which is not known to read only", line)
		}
	}
}

// TestCollectWithoutRights wants each source that cannot be read to be named, and
// the rest all the same.
func TestCollectWithoutRights(t *testing.T) {
	h := &fakeHost{commands: map[string]string{"wevtutil qe Microsoft-Windows-Windows Defender": defender("1126", connection1126("goproxy.cn")), "netsh wfp show netevents": "<html"}}
	records := h.collector().windowsEnd(context.Background())
	why := texts(records)
	wantText(t, why, "the Security log: not readable because access is denied: it needs an administrator")
	wantText(t, why, "the filter drivers: not readable because it ended with code 5: Zugriff verweigert")
	wantText(t, why, "the filtering platform's net events: not readable because ")
	if len(blocksIn(records)) != 1 {
		t.Errorf("records %v", why)
	}
	wantText(t, why, "network protection is not set up")
	for _, s := range why {
		if strings.Contains(s, "Sysmon") {
			t.Errorf("what is not installed is missed: %s", s)
		}
	}
	h.user = true
	why = texts(h.collector().windowsEnd(context.Background()))
	wantText(t, why, "the filtering platform's net events: not readable because it needs an administrator")
	wantText(t, why, "the filter drivers: not readable because it needs an administrator")
}

func TestCollectLinux(t *testing.T) {
	// The form is libnftables-json(5)'s.
	rule := `{"rule": {"family": "inet", "table": "filter", "chain": "%s", "handle": %d, "comment": "no egress", "expr": [
		{"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": 443}}, {"counter": {"packets": %d, "bytes": 60}}, {"%s": null}]}}`
	ruleset := `{"nftables": [{"metainfo": {"version": "1.0.6", "json_schema_version": 1}},
		{"chain": {"family": "inet", "table": "filter", "name": "out", "handle": 1, "type": "filter", "hook": "output", "prio": 0, "policy": "accept"}},
		{"chain": {"family": "inet", "table": "filter", "name": "in", "handle": 2, "type": "filter", "hook": "input", "prio": 0, "policy": "drop"}},
		{"chain": {"family": "inet", "table": "filter", "name": "forward", "handle": 3, "type": "filter", "hook": "forward", "prio": 0, "policy": "drop"}},
		{"chain": {"family": "inet", "table": "filter", "name": "way", "handle": 12}},` +
		fmt.Sprintf(rule, "out", 4, 7, "drop") + "," + fmt.Sprintf(rule, "out", 5, 0, "drop") + "," + fmt.Sprintf(rule, "out", 6, 9, "accept") + "," + fmt.Sprintf(rule, "in", 7, 9, "drop") + "," + fmt.Sprintf(rule, "way", 8, 5, "drop") + "," +
		fmt.Sprintf(rule, "forward", 9, 5, "drop") + "," +
		`{"rule": {"family": "inet", "table": "filter", "chain": "out", "handle": 10, "expr": [{"jump": {"target": "way"}}]}},
		{"rule": {"family": "inet", "table": "filter", "chain": "out", "handle": 11, "expr": [{"drop": null}]}}]}`
	h := &fakeHost{commands: map[string]string{"nft --json list ruleset": ruleset, "journalctl --dmesg --output=json": jsonLine}}
	once := func() []string {
		c := h.collector()
		counted := h.commands["nft --json list ruleset"]
		h.commands["nft --json list ruleset"] = regexp.MustCompile(`"packets": \d+`).ReplaceAllString(counted, `"packets": 0`)
		c.linuxBegin()
		h.commands["nft --json list ruleset"] = counted
		return texts(c.linuxEnd(context.Background()))
	}
	got := once()
	wantText(t, got, "rule 4 of chain inet filter out: drop, 7 packets meanwhile (no egress)")
	wantText(t, got, "rule 7 of chain inet filter in: drop, 9 packets meanwhile (no egress)")
	wantText(t, got, "rule 8 of chain inet filter way: drop, 5 packets meanwhile")
	wantText(t, got, "chain inet filter in drops what no rule of it accepts of what comes in")
	wantText(t, got, "1 rules of chain inet filter out drop or reject of what goes out and do not count it")
	wantText(t, got, "kernel log: logged to 203.0.113.9:443")
	if len(got) != 6 {
		t.Errorf("%q", got)
	}
	h.commands["nft --json list ruleset"] = "Operation not permitted"
	wantText(t, once(), "the counters of nftables' rules: not readable because what nft wrote: ")
}

// TestWatchLinux holds that a session is told what was counted in it, and of the
// kernel's lines those of its time.
func TestWatchLinux(t *testing.T) {
	ruleset := func(n int) string {
		return fmt.Sprintf(`{"nftables": [{"chain": {"family": "ip", "table": "t", "name": "out", "handle": 1, "type": "filter", "hook": "output", "prio": 0, "policy": "accept"}},
			{"rule": {"family": "ip", "table": "t", "chain": "out", "handle": 4, "expr": [{"counter": {"packets": %d, "bytes": 60}}, {"drop": null}]}},
			{"rule": {"family": "ip", "table": "t", "chain": "out", "handle": 5, "expr": [{"counter": {"packets": 40, "bytes": 60}}, {"drop": null}]}}]}`, n)
	}
	stat := func(n string) string {
		return "entries  clashres found new invalid ignore delete chainlength insert insert_failed drop early_drop icmp_error  expect_new expect_create expect_delete search_restart\n" +
			"00000001  00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 " + n + " 00000000 00000000  00000000 00000000 00000000 00000000\n"
	}
	h := &fakeHost{
		commands: map[string]string{"nft --json": ruleset(7)}, kernel: []kernelLine{},
		files: map[string]string{"/proc/net/stat/nf_conntrack": stat("0000000f")},
	}
	c := h.collector()
	c.since = fakeNow - 600e9
	c.linuxBegin()
	line := "mine: IN= OUT=eth0 SRC=192.0.2.10 DST=203.0.113.9 LEN=60 TOS=0x00 PREC=0x00 TTL=64 ID=1 DF PROTO=TCP SPT=40000 DPT=443 WINDOW=64240 RES=0x00 SYN URGP=0"
	h.kernel = []kernelLine{{fakeNow - 700e9, line}, {fakeNow - 1e9, line}}
	if got := texts(c.linuxMeanwhile(context.Background())); len(got) != 1 {
		t.Errorf("%q", got)
	}
	h.commands["nft --json"], h.files["/proc/net/stat/nf_conntrack"] = ruleset(9), stat("00000012")
	h.kernel = []kernelLine{{fakeNow - 1e6, line}, {fakeNow + 1e9, line}}
	got := texts(c.linuxEnd(context.Background()))
	wantText(t, got, "rule 4 of chain ip t out: drop, 2 packets meanwhile")
	wantText(t, got, "connection tracking dropped 3 packets or entries")
	wantText(t, got, `kernel log: logged to 203.0.113.9:443, rule log prefix "mine:"`)
	if len(got) != 3 {
		t.Errorf("%q", got)
	}
}

// TestRounds holds that readings which overlap tell nothing twice, and that what
// could not be read is told of once.
func TestRounds(t *testing.T) {
	h := &fakeHost{user: true, commands: map[string]string{"wevtutil qe Microsoft-Windows-Windows Defender": defender("1126", connection1126("goproxy.cn")), "netsh winhttp": ""}}
	c := h.collector()
	if got := blocksIn(c.windowsMeanwhile(context.Background())); len(got) != 1 {
		t.Errorf("%v", got)
	}
	if got := c.windowsMeanwhile(context.Background()); len(got) != 0 {
		t.Errorf("%q", texts(got))
	}
	got := c.windowsEnd(context.Background())
	if len(blocksIn(got)) != 0 {
		t.Errorf("%q", texts(got))
	}
	wantText(t, texts(got), "the Security log: not readable")
}

// TestSlowPrograms holds that a program which hangs and cannot be ended holds up
// nothing, and that the rest is read.
func TestSlowPrograms(t *testing.T) {
	h := &fakeHost{slow: "wevtutil qe Security", commands: map[string]string{
		"wevtutil qe Microsoft-Windows-Windows Defender": defender("1126", connection1126("goproxy.cn")), "netsh": "", "fltmc": "", "wevtutil qe Microsoft-Windows-Sysmon": "",
	}}
	begun := time.Now()
	got := h.collector().windowsEnd(context.Background())
	if took := time.Since(begun); took > Limit+5*time.Second {
		t.Errorf("the reading took %v", took)
	}
	wantText(t, texts(got), "the Security log: not readable because it takes longer than 4s")
	if len(blocksIn(got)) != 1 {
		t.Errorf("%q", texts(got))
	}
}

// TestWatchHere runs on the system that the test runs on: whatever it lets be
// read, no more than that may come of it.
func TestWatchHere(t *testing.T) {
	w := Watch()
	go func() {
		time.Sleep(1200 * time.Millisecond)
		w.Close()
	}()
	limit := time.After(Limit + 10*time.Second)
	for {
		select {
		case r, ok := <-w.Records():
			if !ok {
				return
			}
			if u, ok := r.(*hostlog.Unread); ok && (u.Source == "" || u.Why == "") {
				t.Errorf("%+v says nothing", u)
			}
			t.Log(r.Message())
		case <-limit:
			t.Fatal("the watch does not end")
		}
	}
}
