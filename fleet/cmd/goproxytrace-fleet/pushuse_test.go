package main

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"goproxytrace/analyze/goproxy"
	"goproxytrace/fleet/internal/collector"
	"goproxytrace/fleet/internal/reported"
	"goproxytrace/redact"
	"goproxytrace/report"
)

// secretsOf lists what of a report is private: clients' addresses in private
// networks, names of hosts that are not public, the arguments of commands.
func secretsOf(t *testing.T, raw []byte) (list []string) {
	t.Helper()
	d, err := report.ReadJSON(raw)
	if err != nil {
		t.Fatal(err)
	}
	x := redact.New(redact.Options{Public: goproxy.PublicEnd, Key: bytes.Repeat([]byte("k"), 32)})
	add := func(s string) {
		// "git.example" says nothing about anybody, and stays.
		if s != "" && x.Endpoint(s) != s {
			list = append(list, s)
		}
	}
	address := func(s string) {
		if a, err := netip.ParseAddrPort(s); err == nil && a.Addr().IsPrivate() {
			add(a.Addr().String())
		}
	}
	for row, err := range d.Rows() {
		if err != nil {
			t.Fatal(err)
		}
		c, err := row.Connection()
		if err != nil {
			t.Fatal(err)
		}
		address(c.Client)
		address(c.Server)
		if goproxy.PublicEnd(c.ServerName) != c.ServerName {
			add(c.ServerName)
		}
	}
	for i := range d.Lookups {
		address(d.Lookups[i].Client)
		address(d.Lookups[i].Server)
		if goproxy.PublicEnd(d.Lookups[i].Name) != d.Lookups[i].Name {
			add(d.Lookups[i].Name)
		}
	}
	return list
}

// Nothing private leaves the machine, of captures nor of reports that were
// written whole; with --no-redact all of it does.
func TestPushIsRedacted(t *testing.T) {
	dir := t.TempDir()
	secret := map[string]bool{}
	var reports []string
	for _, f := range pcaps(t) {
		raw := reported.JSON(t, f)
		for _, s := range secretsOf(t, raw) {
			secret[s] = true
		}
		path := filepath.Join(dir, filepath.Base(f)+".json")
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		reports = append(reports, path)
	}
	if len(secret) < 4 {
		t.Fatalf("the captures hold nothing private: %v", secret)
	}
	for name, files := range map[string][]string{"captures": pcaps(t), "reports": reports} {
		out, errs, code := call(t, nil, append([]string{"push", "--dry-run", "--no-go-env", "--host", "quokka7"}, files...)...)
		if code != 0 {
			t.Fatal(errs)
		}
		for s := range secret {
			if strings.Contains(out, `"`+s+`"`) || strings.Contains(out, s+":") || strings.Contains(out, " "+s) || strings.Contains(out, "("+s) {
				t.Errorf("%s: %s is sent", name, s)
			}
		}
		if strings.Contains(out, "quokka7") || !strings.Contains(out, `"host.name"`) {
			t.Errorf("%s: the machine's name", name)
		}
		if strings.Contains(out, "testdata") || strings.Contains(out, dir) {
			t.Errorf("%s: a path is sent", name)
		}
		whole, errs, code := call(t, nil, append([]string{"push", "--dry-run", "--no-go-env", "--no-redact", "--host", "quokka7"}, files...)...)
		if code != 0 {
			t.Fatal(errs)
		}
		for s := range secret {
			if !strings.Contains(whole, s) {
				t.Errorf("%s: %s is not sent with --no-redact", name, s)
			}
		}
		if !strings.Contains(whole, "quokka7") {
			t.Errorf("%s: the machine's name is not sent with --no-redact", name)
		}
	}
}

// With one key the same things have the same pseudonyms on all machines, of a
// capture and of a report; with another key, and without one, they do not.
func TestPushPseudonyms(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	one, other := write("one", strings.Repeat("a1", 32)+"\n"), write("other", strings.Repeat("b2", 32))
	json := write("report.json", string(reported.JSON(t, pcap("hello-reset.pcapng"))))
	server := func(args ...string) string {
		out, errs, code := call(t, nil, append([]string{"push", "--dry-run", "--no-go-env"}, args...)...)
		if code != 0 {
			t.Fatal(errs)
		}
		_, rest, ok := strings.Cut(out, `"server.address","value":{"stringValue":"`)
		if !ok {
			t.Fatal("no server.address")
		}
		name, _, _ := strings.Cut(rest, `"`)
		return name
	}
	a := server("--key", one, pcap("hello-reset.pcapng"))
	if b := server("--key", one, json); a != b {
		t.Errorf("%s in the capture, %s in the report", a, b)
	}
	for _, args := range [][]string{{"--key", other, pcap("hello-reset.pcapng")}, {pcap("hello-reset.pcapng")}, {"--reveal", "hosts", pcap("hello-reset.pcapng")}} {
		if b := server(args...); a == b {
			t.Errorf("%v: the same pseudonym %s", args, a)
		}
	}
	// A state's own pseudonyms stay.
	c := collector.New(t)
	state := filepath.Join(dir, "state")
	names := map[any]bool{}
	for _, f := range []string{pcap("hello-reset.pcapng"), json, pcap("hello-closed.pcapng")} {
		if _, errs, code := call(t, nil, "push", "--no-go-env", "--state", state, "--endpoint", "http://"+c.HTTP, f); code != 0 {
			t.Fatal(errs)
		}
	}
	for _, s := range c.Spans() {
		if v := s.Attr("network.local.address"); v != nil && s.Attr("goproxytrace.connection.id") != nil {
			names[v] = true
		}
	}
	if len(names) != 1 {
		t.Errorf("one client has the pseudonyms %v", names)
	}
}

// What the user sees: exit codes, advice, and never a secret.
func TestPushUse(t *testing.T) {
	c := collector.New(t)
	nobody := collector.Address(t)
	dir := t.TempDir()
	cut := filepath.Join(dir, "cut.pcapng")
	raw, err := os.ReadFile(pcap("hello-reset.pcapng"))
	if err != nil {
		t.Fatal(err)
	}
	for path, b := range map[string][]byte{cut: raw[:len(raw)-100], filepath.Join(dir, "text.txt"): []byte("no capture"), filepath.Join(dir, "short.key"): []byte("abc")} {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	state := 0
	for _, x := range []struct {
		name      string
		variables []string
		args      []string
		code      int
		want      string
	}{
		{"the environment's endpoint", []string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://" + c.HTTP}, []string{pcap("hello-reset.pcapng")}, 0, "1 cases with"},
		{"grpc", []string{"OTEL_EXPORTER_OTLP_PROTOCOL=grpc", "OTEL_EXPORTER_OTLP_ENDPOINT=" + c.GRPC, "OTEL_EXPORTER_OTLP_INSECURE=true"}, []string{pcap("hello-reset.pcapng")}, 0, "1 cases with"},
		{"nothing to do", nil, nil, 2, "no file given"},
		{"a flag that there is not", nil, []string{"--folow", dir}, 2, "unknown flag"},
		{"files and a recorder", nil, []string{"--follow", dir, cut}, 2, "--follow goes without files"},
		{"no URL", nil, []string{"--endpoint", "localhost", cut}, 2, "--endpoint: scheme"},
		{"a secret that is no header", []string{"OTEL_EXPORTER_OTLP_HEADERS=opensesame"}, []string{cut}, 2, "element 1 is not NAME=VALUE"},
		{"nobody there", nil, []string{"--endpoint", "http://user:opensesame@" + nobody, "--header", "api-key=opensesame", "--give-up-after", "300ms", pcap("hello-reset.pcapng")}, 1, "given up after"},
		{"what is no capture", nil, []string{"--endpoint", "http://" + c.HTTP, filepath.Join(dir, "text.txt"), pcap("hello-reset.pcapng")}, 1, "1 not readable"},
		{"what is not there", nil, []string{"--endpoint", "http://" + c.HTTP, filepath.Join(dir, "none"), pcap("hello-reset.pcapng")}, 1, "no such file"},
		{"a directory", nil, []string{"--endpoint", "http://" + c.HTTP, dir}, 1, "--follow"},
		{"a capture that is cut", nil, []string{"--endpoint", "http://" + c.HTTP, cut}, 3, "1 cases with"},
		{"a key that can be guessed", nil, []string{"--key", filepath.Join(dir, "short.key"), cut}, 1, "fewer than 32"},
		{"no such kind", nil, []string{"--reveal", "nicknames", cut}, 2, "unknown kind"},
		{"the resource", []string{"OTEL_RESOURCE_ATTRIBUTES=deployment.environment.name"}, []string{cut}, 2, "OTEL_RESOURCE_ATTRIBUTES: element 1"},
	} {
		state++
		args := append([]string{"push", "--no-go-env", "--state", filepath.Join(dir, "state", x.name)}, x.args...)
		out, errs, code := call(t, x.variables, args...)
		if code != x.code || !strings.Contains(errs, x.want) || strings.Contains(errs+out, "sesame") || out != "" {
			t.Errorf("%s: exit code %d, want %d\n%s%s", x.name, code, x.code, out, errs)
		}
	}
	// Another endpoint is not sent what this one has got, by mistake.
	s := filepath.Join(dir, "state", "the environment's endpoint")
	if _, errs, code := call(t, nil, "push", "--no-go-env", "--state", s, "--endpoint", "http://"+nobody, cut); code != 1 || !strings.Contains(errs, "--moved") {
		t.Errorf("another endpoint: exit code %d: %s", code, errs)
	}
	// Without --state it is where the system keeps such things.
	if _, errs, code := call(t, []string{"XDG_STATE_HOME=" + dir, "STATE_DIRECTORY="}, "push", "--no-go-env", "--endpoint", "http://"+c.HTTP, pcap("hello-reset.pcapng")); code != 0 {
		t.Error(errs)
	}
	if list, _ := filepath.Glob(filepath.Join(dir, "goproxytrace-fleet", "push-*.db")); len(list) != 1 {
		t.Errorf("%d states where they are kept", len(list))
	}
}

// A dry run is whole OTLP, one request a line, and touches nothing.
func TestPushDryRun(t *testing.T) {
	home := t.TempDir()
	out, errs, code := call(t, []string{"XDG_STATE_HOME=" + home, "STATE_DIRECTORY="}, "push", "--dry-run", "--no-go-env", pcap("hello-reset.pcapng"), pcap("hello-closed.pcapng"))
	if code != 0 || errs != "" {
		t.Fatal(code, errs)
	}
	kinds := map[string]int{}
	for line := range strings.Lines(out) {
		var m map[string]json.RawMessage
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatal(err)
		}
		for k := range m {
			kinds[k]++
		}
	}
	if kinds["resourceSpans"] != 2 || kinds["resourceMetrics"] == 0 || len(kinds) != 2 {
		t.Errorf("%v", kinds)
	}
	if list, _ := os.ReadDir(home); len(list) > 0 {
		t.Errorf("left behind: %v", list)
	}
}
