package recorder

import (
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"goproxytrace/analyze/goproxy"
	"goproxytrace/capture/hostlog"
)

// Listing finds out which go commands run where the system tells nobody when a
// process begins or ends: by asking ps(1) again and again. One that lives shorter
// than the interval may be missed, and exit codes are not known.
type Listing struct {
	// Record takes what is learned.
	Record func(hostlog.Record)
	known  map[uint32]listed
}

type listed struct {
	record hostlog.Process
	told   bool
}

// listEvery is how often ps is asked, listLimit how long it may take.
const (
	listEvery = 2 * time.Second
	listLimit = 10 * time.Second
)

// Run asks until ctx ends. It returns the first error.
func (l *Listing) Run(ctx context.Context) error {
	t := time.NewTicker(listEvery)
	defer t.Stop()
	var failed error
	for {
		if err := l.ask(ctx); err != nil && failed == nil && ctx.Err() == nil {
			failed = fmt.Errorf("list processes: %w", err)
		}
		select {
		case <-ctx.Done():
			return failed
		case <-t.C:
		}
	}
}

func (l *Listing) ask(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, listLimit)
	defer cancel()
	// POSIX: a name with = behind it has no heading; comm comes last, since it
	// may hold spaces.
	out, err := exec.CommandContext(ctx, "ps", "-A", "-o", "pid=", "-o", "ppid=", "-o", "uid=", "-o", "comm=").Output()
	if err != nil {
		return err
	}
	l.take(string(out), time.Now().UnixNano())
	return nil
}

// take compares a list with the one before.
func (l *Listing) take(list string, now int64) {
	fresh := map[uint32]listed{}
	for line := range strings.Lines(list) {
		p, ok := parseListed(line, now)
		if !ok {
			continue
		}
		if old, known := l.known[p.PID]; known && old.record.Parent == p.Parent && old.record.Path == p.Path {
			fresh[p.PID] = old
			continue
		}
		fresh[p.PID] = listed{record: p}
	}
	for pid, old := range l.known {
		if _, still := fresh[pid]; !still && old.told {
			l.Record(&hostlog.Exit{Time: now, PID: pid, Code: -1})
		}
	}
	l.known = fresh
	for pid := range fresh {
		if l.matters(pid) {
			l.tell(pid, maxAncestors)
		}
	}
}

// matters reports whether a process is a go command or was started by one.
func (l *Listing) matters(pid uint32) bool {
	for range maxAncestors {
		p, known := l.known[pid]
		if !known || pid == 0 {
			return false
		}
		if goproxy.Command(plain(&p.record)) {
			return true
		}
		pid = p.record.Parent
	}
	return false
}

// tell tells of a process, after those who started it.
func (l *Listing) tell(pid uint32, depth int) {
	p, known := l.known[pid]
	if !known || p.told || pid == 0 || depth == 0 {
		return
	}
	p.told = true
	l.known[pid] = p
	l.tell(p.record.Parent, depth-1)
	record := p.record
	l.Record(&record)
}

// parseListed reads a line of ps.
func parseListed(line string, now int64) (p hostlog.Process, ok bool) {
	rest := strings.TrimSpace(line)
	var numbers [3]uint32
	for i := range numbers {
		word, after, found := strings.Cut(rest, " ")
		n, err := strconv.ParseUint(word, 10, 32)
		if err != nil || !found {
			return p, false
		}
		numbers[i], rest = uint32(n), strings.TrimSpace(after)
	}
	p = hostlog.Process{Time: now, PID: numbers[0], Parent: numbers[1], UID: numbers[2], HasUID: true, Path: rest, Source: hostlog.SocketTable}
	p.Name = rest[strings.LastIndexByte(rest, '/')+1:]
	return p, p.PID != 0 && rest != ""
}
