package annotations

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"goproxytrace/capture/hostlog"
)

// The forms are those of etl2pcapng's main.c (github.com/microsoft/etl2pcapng:
// releases 1.3.0 to 1.12) and of ptcpdump's pcapng writer
// (github.com/mozillazg/ptcpdump, internal/writer/pcapng.go).
func TestParse(t *testing.T) {
	curl := &hostlog.Process{
		PID: 99722, Parent: 18840, UID: 1000, HasUID: true, Name: "curl", Path: "/usr/bin/curl",
		Args: []string{"curl", "https://proxy.example"}, Source: hostlog.Annotation,
	}
	bash := &hostlog.Process{PID: 18840, Name: "bash", Path: "/usr/bin/bash", Args: []string{"-bash"}, Source: hostlog.Annotation}
	for comment, want := range map[string]Note{
		"PID=4120":                       {Tool: Etl2pcapng, PID: 4120},
		"PID=4120 TID=77":                {Tool: Etl2pcapng, PID: 4120, TID: 77},
		"PID=4120 TID=77 VlanId=9":       {Tool: Etl2pcapng, PID: 4120, TID: 77},
		"PID=4120 VlanId=9":              {Tool: Etl2pcapng, PID: 4120},
		"note of a person\nPID=8 TID=12": {Tool: Etl2pcapng, PID: 8, TID: 12},
		"PID=4 TID=216":                  {Tool: Etl2pcapng}, // System
		"PID=0 TID=0":                    {Tool: Etl2pcapng},
		"PID=-1 TID=-1":                  {Tool: Etl2pcapng},
		"PID: 99722\nCmd: /usr/bin/curl\nArgs: curl https://proxy.example\nThreadId: 99723\nThreadName: curl\nUserId: 1000\n" +
			"ParentPID: 18840\nParentCmd: /usr/bin/bash\nParentArgs: -bash": {Tool: Ptcpdump, PID: 99722, TID: 99723, Process: curl, Parent: bash},
		"PID: 7\nCommand: /bin/go\nTID: 8": {Tool: Ptcpdump, PID: 7, TID: 8,
			Process: &hostlog.Process{PID: 7, Name: "go", Path: "/bin/go", Source: hostlog.Annotation}},
		"PID: 7": {Tool: Ptcpdump, PID: 7},
		// An argument that holds lines like the tool's own changes nothing.
		"PID: 7\nCmd: /bin/sh\nArgs: sh -c x\nPID: 1\nCmd: /sbin/init\nContainerId: abc": {Tool: Ptcpdump, PID: 7,
			Process: &hostlog.Process{PID: 7, Name: "sh", Path: "/bin/sh", Args: []string{"sh", "-c", "x"}, Container: "abc", Source: hostlog.Annotation}},
	} {
		got, ok := Parse(comment)
		if !ok || !reflect.DeepEqual(got, want) {
			t.Errorf("%q:\n got %+v, %v\nwant %+v", comment, got, ok, want)
		}
	}
	for _, comment := range []string{
		"", "PID", "PID=", "PID= 5", "PID=5x", "PID=--5", "PID=99999999999", "pid=5", "see PID=5", "PID: ", "PID: 12 looks odd", "PID:5",
		"ParentPID: 12\nCmd: x", "owner: go (PID 4120)", "Packet #1",
	} {
		if n, ok := Parse(comment); ok {
			t.Errorf("%q says %+v", comment, n)
		}
	}
}

func TestReader(t *testing.T) {
	var r Reader
	first, fresh := r.Read("PID=5 TID=6")
	if first == nil || first.PID != 5 || !fresh {
		t.Fatalf("%+v, fresh %v", first, fresh)
	}
	if again, fresh := r.Read("PID=5 TID=6"); again != first || fresh {
		t.Errorf("again %+v, fresh %v", again, fresh)
	}
	for _, comment := range []string{"", "hello", "hello"} {
		if n, fresh := r.Read(comment); n != nil || fresh {
			t.Errorf("%q says %+v", comment, n)
		}
	}
	for i := range 3 * maxKnown {
		r.Read(fmt.Sprint("PID: ", i+1, "\nCmd: ", strings.Repeat("x", 4000)))
		if len(r.known) > maxKnown || r.bytes > maxKnownBytes+16<<10 {
			t.Fatalf("%d comments with %d bytes are kept", len(r.known), r.bytes)
		}
	}
	if n, fresh := r.Read("PID=5 TID=6"); n == nil || n.PID != 5 || !fresh {
		t.Errorf("after much else %+v, fresh %v", n, fresh)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"PID=5 TID=6", "PID=-", "PID: 7\nCmd: /x\nArgs: \nParentPID: 1", "PID=4\nPID: 3", "PID: 3\nCmd"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, comment string) {
		n, ok := Parse(comment)
		if !ok && !reflect.DeepEqual(n, Note{Tool: n.Tool}) {
			t.Errorf("%q says nothing, and yet %+v", comment, n)
		}
		if n.Process != nil && n.Process.PID != n.PID || n.Tool == Etl2pcapng && n.PID == windowsSystem {
			t.Errorf("%q: %+v", comment, n)
		}
	})
}
