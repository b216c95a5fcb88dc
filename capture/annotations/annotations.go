// Package annotations reads what capture tools write about the owners of
// packets into the comments of a pcapng file.
//
// In comes the comment of a packet (capture.Packet.Comment), out comes a Note:
// which process the tool names, what it says of it, and which tool it is.
// Comments are text that anybody may have written: one that does not follow a
// tool's form to the letter says nothing.
package annotations

import (
	"strconv"
	"strings"

	"goproxytrace/capture/hostlog"
)

// Tool is a program that writes owners into comments.
type Tool string

// Tools.
const (
	// Etl2pcapng converts Windows' event traces. It writes the process in whose
	// context the packet was logged, often not the socket's owner: the capture
	// driver mostly runs in a deferred procedure call, in any process.
	Etl2pcapng Tool = "etl2pcapng"
	// Ptcpdump looks connections up by kernel events.
	Ptcpdump Tool = "ptcpdump"
)

// Note is what a comment says about a packet's owner.
type Note struct {
	Tool Tool
	// PID is the process, zero where the comment names none that could own a
	// connection; TID is its thread, zero where unknown.
	PID, TID uint32
	// Process and Parent describe the process and what started it, without
	// times; nil where the comment has nothing but numbers.
	Process, Parent *hostlog.Process
}

// windowsSystem is the number of Windows' System process, which owns none of a
// program's connections: its threads do the work of deferred calls.
const windowsSystem = 4

// Parse reads a packet's comments, joined by newlines. ok is false where none is
// a known tool's.
func Parse(comment string) (n Note, ok bool) {
	for line := range strings.SplitSeq(comment, "\n") {
		if rest, is := strings.CutPrefix(line, "PID="); is {
			if n, ok = etl2pcapng(rest); ok {
				return n, true
			}
		}
		if rest, is := strings.CutPrefix(line, "PID: "); is {
			if _, ok := number(rest); ok {
				return ptcpdump(comment), true
			}
		}
	}
	return n, false
}

// etl2pcapng reads "PID=%d TID=%d", which other facts may follow behind a blank.
// Releases before 1.9 wrote no TID. Both are printed with a sign: -1 is none.
func etl2pcapng(s string) (n Note, ok bool) {
	n.Tool = Etl2pcapng
	field, rest, _ := strings.Cut(s, " ")
	pid, ok := number(strings.TrimPrefix(field, "-"))
	if !ok {
		return n, false
	}
	if field[0] != '-' && pid != windowsSystem {
		n.PID = pid
	}
	if field, is := strings.CutPrefix(rest, "TID="); is && n.PID != 0 {
		field, _, _ = strings.Cut(field, " ")
		n.TID, _ = number(field)
	}
	return n, true
}

// ptcpdump reads "Key: value" lines. The arguments of a command may hold line
// breaks, and lines that look like keys: of each key the first one counts.
func ptcpdump(comment string) Note {
	process, parent := hostlog.Process{Source: hostlog.Annotation}, hostlog.Process{Source: hostlog.Annotation}
	n := Note{Tool: Ptcpdump}
	seen := make(map[string]bool)
	for line := range strings.SplitSeq(comment, "\n") {
		key, value, ok := strings.Cut(line, ": ")
		if !ok || seen[key] {
			continue
		}
		seen[key] = true
		switch key {
		case "PID":
			process.PID, _ = number(value)
		case "Cmd", "Command":
			process.Path = value
		case "Args":
			process.Args = strings.Fields(value)
		case "ThreadId", "TID":
			n.TID, _ = number(value)
		case "UserId":
			process.UID, process.HasUID = number(value)
		case "ContainerId":
			process.Container = value
		case "ParentPID":
			parent.PID, _ = number(value)
		case "ParentCmd":
			parent.Path = value
		case "ParentArgs":
			parent.Args = strings.Fields(value)
		}
	}
	n.PID, process.Parent = process.PID, parent.PID
	if process.PID == 0 {
		return n
	}
	process.Name, parent.Name = base(process.Path), base(parent.Path)
	if process.Path != "" || process.Args != nil || process.Parent != 0 {
		n.Process = &process
	}
	if parent.PID != 0 && parent.Path != "" {
		n.Parent = &parent
	}
	return n
}

// base returns a file's name.
func base(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }

// number reads a decimal number that fills all of s.
func number(s string) (uint32, bool) {
	n, err := strconv.ParseUint(s, 10, 32)
	return uint32(n), err == nil
}
