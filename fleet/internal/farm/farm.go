// Package farm makes the files of a build farm for tests.
//
// In goes an empty directory; out come, below it, reports on the lab's captures as
// the machines of a farm would have sent them: with other times, hosts, addresses,
// resolvers and processes. What died, and how, is what the lab's captures show. How
// often, where and since when is made up here, always alike.
package farm

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"goproxytrace/analyze"
	"goproxytrace/capture/pcapfile"
	"goproxytrace/report"
)

// MachineFrom finds the machine in the path of a file of the farm.
const MachineFrom = `([^/\\]+)[/\\][^/\\]+$`

// Write makes the farm's files in a directory of each machine, one a day, each
// with a report in every line; captures is the directory of the lab's captures.
func Write(captures, dir string) error {
	paths, err := filepath.Glob(filepath.Join(captures, "*.pcapng"))
	if err != nil || len(paths) == 0 {
		return fmt.Errorf("no captures in %s: %v", captures, err)
	}
	var names []string
	for _, path := range paths {
		names = append(names, strings.TrimSuffix(filepath.Base(path), ".pcapng"))
	}
	s := stock{dir: captures, reports: map[string][]byte{}}
	days := map[string]*bytes.Buffer{}
	for _, r := range calendar(names) {
		raw, err := s.report(r)
		if err != nil {
			return err
		}
		path := filepath.Join(dir, r.machine, r.at.Format("2006-01-02")+".ndjson")
		if days[path] == nil {
			days[path] = new(bytes.Buffer)
		}
		days[path].Write(append(raw, '\n'))
	}
	for path, b := range days {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
			return err
		}
	}
	return spoil(captures, dir)
}

// spoil adds what is found beside captures wherever there are many: a capture that
// is cut before its first packet, a file of something else, and a copy.
func spoil(captures, dir string) error {
	cut, err := os.ReadFile(filepath.Join(captures, "healthy-h2.pcapng"))
	if err != nil {
		return err
	}
	day := First.Format("2006-01-02") + ".ndjson"
	twice, err := os.ReadFile(filepath.Join(dir, "build-1", day))
	if err != nil {
		return err
	}
	for name, b := range map[string][]byte{
		filepath.Join("build-2", "full-disk.pcapng"): cut[:420], filepath.Join("build-3", "notes.txt"): []byte("the resolver is slow again\n"),
		filepath.Join("build-1", "copy of "+day): twice,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// stock is the reports on the lab's captures.
type stock struct {
	dir     string
	reports map[string][]byte
}

func (s *stock) of(capture string) ([]byte, error) {
	if raw := s.reports[capture]; raw != nil {
		return raw, nil
	}
	src, err := pcapfile.Open(filepath.Join(s.dir, capture+".pcapng"))
	if err != nil {
		return nil, err
	}
	defer src.Close()
	result, err := analyze.Run(context.Background(), src, analyze.Options{Targets: []string{"proxy.example"}})
	if err != nil {
		return nil, err
	}
	defer result.Close()
	var b bytes.Buffer
	if err := report.WriteJSON(&b, report.Build(result, report.Options{File: capture + ".pcapng", Version: "lab"}), false); err != nil {
		return nil, err
	}
	s.reports[capture] = b.Bytes()
	return b.Bytes(), nil
}

// report makes the report on a case.
func (s *stock) report(c run) ([]byte, error) {
	whole, err := s.part(c, c.capture, c.host, c.at)
	if err != nil {
		return nil, err
	}
	whole["go_version"] = c.goVersion
	whole["processes"] = []any{process(c.pid, whole["verdict"])}
	if c.instead == "" {
		return json.Marshal(whole)
	}
	// Another proxy was asked after this one: what it gave stands beside, and
	// the verdict on the whole is the one on it.
	more, err := s.part(c, c.instead, "second.example", c.at.Add(40*time.Second))
	if err != nil {
		return nil, err
	}
	join(whole, more)
	verdict := more["verdict"].(map[string]any)
	verdict["notes"] = []any{"fallback"}
	whole["verdict"], whole["processes"] = verdict, []any{process(c.pid, verdict)}
	delete(whole, "subject")
	return json.Marshal(whole)
}

func process(pid int, verdict any) map[string]any {
	exit := 0
	if verdict.(map[string]any)["class"] != "ok" {
		exit = 1
	}
	out := owner(pid)
	out["parent"], out["exit"], out["verdict"] = 1, exit, verdict
	return out
}

func owner(pid int) map[string]any {
	return map[string]any{"pid": pid, "name": "go", "command": "go mod download", "source": "kernel event", "confidence": "exact"}
}

// join appends the connections and lookups of a report to those of another.
func join(whole, more map[string]any) {
	connections := whole["connections"].([]any)
	for _, c := range more["connections"].([]any) {
		c.(map[string]any)["id"] = len(connections)
		connections = append(connections, c)
	}
	whole["connections"] = connections
	whole["lookups"] = append(whole["lookups"].([]any), more["lookups"].([]any)...)
	whole["capture"].(map[string]any)["end"] = more["capture"].(map[string]any)["end"]
}

// part is the report on a capture, moved to another time and place.
func (s *stock) part(c run, capture, host string, at time.Time) (map[string]any, error) {
	raw, err := s.of(capture)
	if err != nil {
		return nil, err
	}
	address := addresses[host]
	text := strings.NewReplacer(
		"proxy.example", host, "203.0.113.10:", address.v4+":", `"203.0.113.10"`, `"`+address.v4+`"`, "(203.0.113.10", "("+address.v4,
		"2001:db8:113::10", address.v6, "203.0.113.53", c.resolver, "192.168.50.", "192.168."+c.net+".",
	).Replace(string(raw))
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var out map[string]any
	if err := d.Decode(&out); err != nil {
		return nil, err
	}
	start, err := time.Parse(time.RFC3339Nano, out["capture"].(map[string]any)["start"].(string))
	if err != nil {
		return nil, err
	}
	move(out, at.Sub(start))
	for _, x := range out["connections"].([]any) {
		x := x.(map[string]any)
		x["process"] = owner(c.pid)
		if tls, ok := x["tls"].(map[string]any); ok && c.hello > 0 {
			if _, sent := tls["client_hello_bytes"]; sent {
				tls["client_hello_bytes"], tls["client_hello_segments"] = c.hello, 1
			}
		}
	}
	return out, nil
}

// move moves all times.
func move(v any, by time.Duration) {
	switch v := v.(type) {
	case map[string]any:
		for key, x := range v {
			text, ok := x.(string)
			if !ok || key != "start" && key != "end" && key != "time" {
				move(x, by)
				continue
			}
			if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
				v[key] = t.Add(by).UTC().Format(time.RFC3339Nano)
			}
		}
	case []any:
		for _, x := range v {
			move(x, by)
		}
	}
}
