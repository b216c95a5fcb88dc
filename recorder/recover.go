package recorder

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"strings"
)

// recover completes what an earlier recorder has left: a case that is whole is
// put in place and told of once, what is half is removed.
func (s *store) recover() error {
	cut, err := s.log.repair()
	if err != nil {
		return err
	}
	if cut > 0 {
		s.recovered = append(s.recovered, fmt.Sprintf("%d bytes of a line that was not complete were cut off %s", cut, logFile))
	}
	left, err := s.list(tmpDir)
	if err != nil {
		return err
	}
	for _, f := range left {
		id, ok := strings.CutSuffix(path.Base(f.name), lineEnd)
		if _, valid := seqOf(id); ok && valid {
			if err := s.complete(id); err != nil {
				return err
			}
		}
	}
	// What is left now has no intent: nobody had finished writing it. Files that
	// no recorder makes are somebody's who has chosen the wrong directory.
	left, err = s.list(tmpDir)
	if err != nil {
		return err
	}
	for _, f := range left {
		id := path.Base(f.name)
		id, _, _ = strings.Cut(id, ".")
		if _, ok := seqOf(id); !ok {
			continue
		}
		if err := s.root.Remove(filepath.FromSlash(f.name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		s.recovered = append(s.recovered, fmt.Sprintf("%s was removed: it was not complete", f.name))
	}
	files, _, err := s.files()
	for _, f := range files {
		s.seq = max(s.seq, f.seq)
	}
	return err
}

// complete does what an intent says and was not done.
func (s *store) complete(id string) error {
	b, err := fs.ReadFile(s.root.FS(), path.Join(tmpDir, id+lineEnd))
	if err != nil {
		return err
	}
	first, line, ok := bytes.Cut(b, []byte("\n"))
	name := string(first)
	if have, _, valid := idOf(name); !ok || !valid || have != id || name != filepath.Base(name) || !bytes.HasSuffix(line, []byte("\n")) {
		s.abandon(id)
		return nil
	}
	_, inPlace := s.root.Lstat(filepath.Join(casesDir, name))
	if inPlace != nil {
		if _, err := s.root.Lstat(filepath.Join(tmpDir, id+caseEnd)); err != nil {
			s.abandon(id) // its case was removed since
			return nil
		}
		if err := s.root.Rename(filepath.Join(tmpDir, id+caseEnd), filepath.Join(casesDir, name)); err != nil {
			return err
		}
	}
	told, err := s.log.holds([]byte(caseKey(id)))
	if err != nil {
		return err
	}
	if !told {
		if err := s.log.append(line); err != nil {
			return err
		}
		s.recovered = append(s.recovered, fmt.Sprintf("%s was completed, which an earlier recorder had begun", path.Join(casesDir, name)))
	}
	var l struct{ Recorder Line }
	if json.Unmarshal(line, &l) == nil && l.Recorder.Completes != "" {
		if err := s.removeCase(l.Recorder.Completes); err != nil {
			return err
		}
	}
	return s.root.Remove(filepath.Join(tmpDir, id+lineEnd))
}

// removeCase removes the file of a case that another replaces.
func (s *store) removeCase(id string) error {
	files, _, err := s.files()
	if err != nil {
		return err
	}
	for _, f := range files {
		if have, _, ok := idOf(path.Base(f.name)); ok && have == id {
			return s.root.Remove(filepath.FromSlash(f.name))
		}
	}
	return nil
}
