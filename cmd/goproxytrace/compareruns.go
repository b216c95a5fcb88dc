package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"goproxytrace/analyze"
	"goproxytrace/analyze/goproxy"
	"goproxytrace/capture"
	"goproxytrace/capture/pcapfile"
	"goproxytrace/compare"
	"goproxytrace/internal/outfile"
	"goproxytrace/internal/terminal"
	"goproxytrace/redact"
	"goproxytrace/report"
)

// compareRuns compares two sets of captures.
func compareRuns(ctx context.Context, std streams, o *compareOptions) error {
	in := &runReader{std: std, o: o, options: analyze.Options{Hosts: o.view.hosts, Ports: o.view.portList}}
	in.options.Settings, in.options.SettingsFrom = goproxy.Load(ctx, false, os.Getenv)
	in.options.Targets = in.options.Settings.Hosts()
	if o.redaction.on {
		var err error
		if in.redactor, err = o.redaction.redactor(); err != nil {
			return err
		}
	}
	var sides [2][]*compare.Run
	for i, paths := range o.sides {
		files, err := expand(paths)
		if err != nil {
			return err
		}
		for _, f := range files {
			runs, err := in.read(ctx, f)
			if err != nil {
				return err
			}
			sides[i] = append(sides[i], runs...)
		}
	}
	language, screen := o.speech.on(terminal.Detect(std.out, o.colorMode, os.Getenv))
	c, err := compare.Compare(sides[0], sides[1], compare.Options{Alpha: o.alpha, Names: o.sideNames(), Version: readBuildInfo().Version, Language: language})
	if errors.Is(err, compare.ErrTwice) {
		return usageError{err}
	}
	if err != nil {
		return err
	}
	err = o.write(std, rendering{
		text:     func(w io.Writer) error { return compare.WriteText(w, c, screen) },
		json:     func(w io.Writer) error { return compare.WriteJSON(w, c) },
		markdown: func(w io.Writer) error { return compare.WriteMarkdown(w, c) },
		html:     func(w io.Writer) error { return compare.WriteHTML(w, c) },
	})
	if err != nil {
		return err
	}
	if in.code != exitDone {
		return exitCode(in.code)
	}
	return nil
}

// rendering is one result in every form.
type rendering struct{ text, json, markdown, html func(io.Writer) error }

// write writes files first: they are complete even if the reader of standard
// output goes away.
func (o *compareOptions) write(std streams, r rendering) error {
	for _, out := range []struct {
		to string
		f  func(io.Writer) error
	}{{o.json, r.json}, {o.markdown, r.markdown}, {o.html, r.html}} {
		switch out.to {
		case "", stdStream:
		default:
			if err := writeFile(out.to, out.f); err != nil {
				return err
			}
		}
	}
	switch {
	case o.json == stdStream:
		return buffered(std.out, r.json)
	case o.markdown == stdStream:
		return buffered(std.out, r.markdown)
	}
	return r.text(std.out)
}

func writeFile(path string, f func(io.Writer) error) error {
	file, err := outfile.Create(path)
	if err != nil {
		return err
	}
	defer file.Abort()
	if err := buffered(file, f); err != nil {
		return err
	}
	return file.Commit()
}

func buffered(w io.Writer, f func(io.Writer) error) error {
	b := bufio.NewWriterSize(w, 64<<10)
	if err := f(b); err != nil {
		return err
	}
	return b.Flush()
}

// runReader reads runs from captures and reports.
type runReader struct {
	std     streams
	o       *compareOptions
	options analyze.Options
	// redactor is one for all captures, so that pseudonyms are the same; nil for
	// none.
	redactor *redact.Redactor
	code     int
}

// read reads the runs that a file holds: one for a capture.
func (in *runReader) read(ctx context.Context, path string) ([]*compare.Run, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var raw io.Reader
	var size int64
	name := path
	if path == stdStream {
		var err error
		if raw, size, err = stdinSource(ctx, in.std.in); err != nil {
			return nil, err
		}
		name = "standard input"
	} else {
		f, err := os.Open(path)
		if err != nil {
			return nil, explainOpen(path, err)
		}
		defer f.Close()
		if st, err := f.Stat(); err == nil && st.Mode().IsRegular() {
			size = max(st.Size(), 1)
		}
		raw = f
	}
	file := bufio.NewReaderSize(raw, headBytes)
	if looksLikeJSON(file) {
		return in.reports(file, name)
	}
	src, err := pcapfile.NewReader(file, size)
	if err != nil {
		err = fmt.Errorf("%s: %w", name, err)
		if errors.Is(err, capture.ErrNotCapture) {
			err = withHint(explainOpen(path, err), "compare also takes reports that analyze --json has written")
		}
		return nil, err
	}
	defer src.Close()
	r, err := in.analyze(ctx, src, name)
	if err != nil {
		return nil, err
	}
	return []*compare.Run{r}, nil
}

// headBytes is what is looked at to tell reports from captures: more than the
// first block of compressed text.
const headBytes = 128 << 10

// looksLikeJSON reports whether the input, decompressed, begins as a JSON object
// does.
func looksLikeJSON(in *bufio.Reader) bool {
	head, _ := in.Peek(headBytes)
	d, err := pcapfile.Decompress(bytes.NewReader(head))
	if err != nil {
		return false
	}
	defer d.Close()
	begin := make([]byte, 64)
	n, _ := io.ReadFull(d, begin)
	return bytes.HasPrefix(bytes.TrimLeft(begin[:n], " \t\r\n"), []byte("{"))
}

// reports reads the runs of a file of reports.
func (in *runReader) reports(file io.Reader, name string) ([]*compare.Run, error) {
	if len(in.o.hosts)+len(in.o.ports) > 0 {
		return nil, usagef("--host and --port narrow captures; %s holds reports", name)
	}
	d, err := pcapfile.Decompress(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	defer d.Close()
	runs, err := compare.ReadReports(d, name)
	if err != nil {
		return nil, withHint(fmt.Errorf("%s: %w", name, err), "compare reads captures, and reports that analyze --json has written")
	}
	if in.redactor != nil && slices.ContainsFunc(runs, func(r *compare.Run) bool { return !r.Redacted }) {
		return nil, withHint(usagef("--redact replaces what is private in captures; %s holds reports that are not redacted", name), "goproxytrace analyze --json --redact writes reports that are")
	}
	return runs, nil
}

func (in *runReader) analyze(ctx context.Context, src capture.Source, name string) (*compare.Run, error) {
	status := terminal.NewStatus(in.std.err, terminal.Detect(in.std.err, in.o.colorMode, os.Getenv), name)
	options := in.options
	options.Progress = status.Update
	result, err := analyze.Run(ctx, src, options)
	status.Clear()
	if result != nil && result.Connections != nil {
		defer result.Connections.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if result.Damage != nil {
		in.code = worse(in.code, exitDamaged)
		complain(in.std, fmt.Errorf("%s: %w", name, result.Damage))
	}
	return compare.FromDocument(report.Build(result, report.Options{File: name, Version: readBuildInfo().Version, Redact: in.redactor}))
}
