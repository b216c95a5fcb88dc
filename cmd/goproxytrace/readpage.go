package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"goproxytrace/report"
	"goproxytrace/report/page"
)

// readPage returns the report that an HTML page of --html holds, nil where the
// file is something else.
func readPage(path string) (*report.Document, error) {
	if path == stdStream {
		return nil, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, nil // whoever reads it as a capture says so
	}
	defer f.Close()
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() {
		return nil, nil
	}
	start := make([]byte, 512)
	n, err := io.ReadFull(f, start)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) || !page.IsPage(start[:n]) {
		return nil, nil
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	raw, err := page.Extract(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	doc, err := report.ReadJSON(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return doc, nil
}

// report writes what a page holds in other forms.
func (out *outputs) report(path string, doc *report.Document, index int) (int, error) {
	switch o := out.o; {
	case o.html != "", o.goOutput != "", len(o.events) > 0, len(o.hosts) > 0, len(o.ports) > 0, o.system != "":
		return exitDone, withHint(usagef("%s is a report and no capture: --html, --go-output, --events, --host, --port and --os need the capture", path),
			"name the capture that the report was made of")
	case o.redaction.on:
		return exitDone, withHint(usagef("%s is a report: it is as private as it was written", path), "name the capture that the report was made of")
	}
	if err := out.write(&documents{read: doc}, index); err != nil {
		return exitDone, err
	}
	if out.o.classes.Holds(doc) {
		return exitFound, nil
	}
	return exitDone, nil
}
