package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A recorder's flags are checked before anything is opened.
func TestRecorderFlags(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "recorder")
	for _, c := range []struct{ line, want string }{
		{"--recorder " + dir + " -- go mod download", "does not go with one behind --"},
		{"--recorder " + dir + " -w case.pcapng", "does not go with --write"},
		{"--recorder " + dir + " --json --html x.html", "does not go with --html, --json"},
		{"--recorder " + dir + " --pid 1", "does not go with --pid"},
		{"--recorder " + dir + " --ring 3", "does not go with --ring"},
		{"--recorder=", "--recorder needs a directory"},
		{"--keep-ok 0.1", "--keep-ok is about a recorder"},
		{"--max-disk 1G", "--max-disk is about a recorder"},
		{"--max-memory 1G -- go version", "--max-memory is about a recorder"},
		{"--full", "--full is about a recorder"},
		{"--recorder " + dir + " --keep-ok 2", "is no rate"},
		{"--recorder " + dir + " --keep-ok -1%", "is no rate"},
		{"--recorder " + dir + " --keep-ok NaN", "is no rate"},
		{"--recorder " + dir + " --keep-ok often", "is no rate"},
		{"--recorder " + dir + " --max-disk lots", "is no size"},
		{"--recorder " + dir + " --max-disk 1M", "at least 16M"},
		{"--recorder " + dir + " --max-memory 10M", "at least 96M"},
	} {
		var out, errs bytes.Buffer
		code := run(append([]string{"live"}, strings.Fields(c.line)...), streams{nil, &out, &errs})
		if code != exitUsage || !strings.Contains(errs.String(), c.want) {
			t.Errorf("live %s: exit code %d, %q", c.line, code, errs.String())
		}
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("a wrong command line made the directory")
	}
}

func TestRecorderRate(t *testing.T) {
	for text, want := range map[string]float64{"0": 0, "1": 1, "0.01": 0.01, "1%": 0.01, "100%": 1, "1e-3": 0.001} {
		o := &liveOptions{engine: "auto"}
		cmd := newLiveCommand(streams{nil, &bytes.Buffer{}, &bytes.Buffer{}})
		o.recorder = recorderFlags{dir: "x", keepOK: text, maxDisk: "1G", maxMemory: "128M"}
		if err := o.checkRecorder(cmd); err != nil || o.recorder.rate != want || o.recorder.disk != 1<<30 || o.recorder.memory != 128<<20 {
			t.Errorf("--keep-ok %s: %+v, %v", text, o.recorder, err)
		}
	}
}
