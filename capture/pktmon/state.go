package pktmon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"goproxytrace/capture/engine/hint"
)

// Errors of Examine and Open, to be told apart.
var (
	// ErrAbsent says that this Windows has no pktmon.
	ErrAbsent = errors.New("pktmon is not on this system")
	// ErrRights says that the caller is no administrator.
	ErrRights = errors.New("pktmon needs administrator's rights")
	// ErrBusy says that another capture runs, or that filters of others are
	// set.
	ErrBusy = errors.New("pktmon is in use")
	// ErrLeft says that a session of goproxytrace runs that this process has
	// not started.
	ErrLeft = errors.New("pktmon runs a session of goproxytrace")
)

const (
	// mark is in the name of the directory of a capture, which pktmon's status
	// shows, whatever its language.
	mark = "goproxytrace-pktmon-"
	// filterName is the name of our filters.
	filterName = "goproxytrace"
	traceName  = "capture.etl"
)

var (
	ours      = regexp.MustCompile(mark + `[0-9]+`)
	filterRow = regexp.MustCompile(`^\s*[0-9]+\s+(\S+)`)
)

// state is what pktmon does before a capture of ours.
type state struct {
	running bool
	// left is the directory of the running session where it is one of ours,
	// without its path.
	left string
	// foreign counts the filters of others, own those that bear our name.
	foreign, own int
}

// look asks pktmon what it does. Its answers are in the language of the
// system: a session that does not run is told in one line, one that does with
// what it collects; filters stand in numbered rows.
func look(ctx context.Context, p program) (s state, err error) {
	// Before 21H1 there is no such command; starting tells then.
	if text, err := p.run(ctx, askLimit, "status"); err == nil {
		s.left = ours.FindString(text)
		lines := 0
		for line := range strings.Lines(text) {
			if strings.TrimSpace(line) != "" {
				lines++
			}
		}
		s.running = lines > 1 || s.left != ""
	}
	text, err := p.run(ctx, askLimit, "filter", "list")
	if err != nil {
		return s, err
	}
	for line := range strings.Lines(text) {
		m := filterRow.FindStringSubmatch(line)
		switch {
		case m == nil:
		case m[1] == filterName:
			s.own++
		default:
			s.foreign++
		}
	}
	return s, nil
}

// hindrance is why a capture cannot begin, nil where it can. dir is where the
// directories of captures are.
func (s *state) hindrance(dir string) error {
	switch {
	case s.left != "":
		return hint.New(fmt.Errorf("%w, of one that still captures or was killed", ErrLeft),
			fmt.Sprintf("If none runs any more, end it: pktmon stop, and then: pktmon filter remove. Its packets are in %s; pktmon etl2pcap converts them for analyze.", filepath.Join(dir, s.left)))
	case s.running:
		return hint.New(fmt.Errorf("%w: another capture runs", ErrBusy), "pktmon status shows it, pktmon stop ends it.")
	case s.foreign > 0:
		return hint.New(fmt.Errorf("%w: %d filters are set, and it cannot remove single ones", ErrBusy, s.foreign), "pktmon filter list shows them, pktmon filter remove removes them.")
	}
	return nil
}

// Examine says what hinders a capture with o: an error that says with a hint
// what to do, nil where none does. It changes nothing.
func Examine(o Options) error {
	_, err := examine(context.Background(), &o)
	return err
}

func examine(ctx context.Context, o *Options) (*state, error) {
	o.complete()
	if _, err := os.Stat(o.Program); err != nil {
		return nil, hint.New(fmt.Errorf("%w: %w", ErrAbsent, err), "Windows 10 has it from version 2004 on. Install Npcap instead.")
	}
	if !elevated() {
		return nil, hint.New(ErrRights, "Run this from a console started as administrator.")
	}
	s, err := look(ctx, program(o.Program))
	if err != nil {
		return nil, hint.New(err, "Try the same in a console started as administrator.")
	}
	return &s, s.hindrance(o.Dir)
}

// Kept lists the directories of captures that were not converted: those of
// sessions that were killed or aborted.
func Kept() []string {
	found, err := filepath.Glob(filepath.Join(os.TempDir(), mark+"*"))
	if err != nil {
		return nil
	}
	return found
}
