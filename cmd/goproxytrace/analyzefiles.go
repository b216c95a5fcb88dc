package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"goproxytrace/analyze"
	"goproxytrace/analyze/goproxy"
	"goproxytrace/capture"
	"goproxytrace/capture/chain"
	"goproxytrace/capture/pcapfile"
	"goproxytrace/internal/outfile"
	"goproxytrace/internal/terminal"
	"goproxytrace/report"
)

// analyzeFiles analyses each capture in turn. One that cannot be read does not
// stop the others; the worst exit code counts.
func analyzeFiles(ctx context.Context, std streams, o *analyzeOptions) error {
	if o.frames {
		return writeFrames(ctx, std, o)
	}
	options := analyze.Options{Hosts: o.hosts, Ports: o.portList}
	var err error
	if o.goOutput != "" {
		if options.GoOutput, err = readGoOutput(o.goOutput); err != nil {
			return err
		}
	}
	out, err := openOutputs(std, o)
	if err != nil {
		return err
	}
	defer out.abort()
	options.Settings, options.SettingsFrom = goproxy.Load(ctx, !o.noGoEnv, os.Getenv)
	options.Targets = options.Settings.Hosts()
	code := exitDone
	for i, paths := range o.captures() {
		if ctx.Err() != nil {
			code = worse(code, exitInterrupted)
			break
		}
		c, err := out.analyze(ctx, paths, options, i)
		if err != nil {
			if terminal.IsBrokenPipe(err) {
				break // the reader has what it wanted; files are complete all the same
			}
			complain(std, err)
			c = worse(c, codeOf(err))
		}
		code = worse(code, c)
	}
	if err := out.commit(); err != nil && !terminal.IsBrokenPipe(err) {
		complain(std, err)
		code = worse(code, codeOf(err))
	}
	if code != exitDone {
		return exitCode(code)
	}
	return nil
}

// readGoOutput reads what the go command printed.
func readGoOutput(path string) (*goproxy.Output, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("go's output: %w", err)
	}
	defer f.Close()
	out, err := goproxy.ReadOutput(f)
	if err != nil {
		return nil, fmt.Errorf("go's output: %s: %w", path, err)
	}
	return out, nil
}

// captures lists the captures by the files they are made of.
func (o *analyzeOptions) captures() [][]string {
	if o.merge {
		return [][]string{o.files}
	}
	var list [][]string
	for _, f := range o.files {
		list = append(list, []string{f})
	}
	return list
}

// openSource opens one capture.
func openSource(ctx context.Context, std streams, paths []string) (capture.Source, error) {
	if len(paths) > 1 {
		return chain.Open(paths, func(p string) (capture.Source, error) { return openFile(ctx, std, p) })
	}
	return openFile(ctx, std, paths[0])
}

func openFile(ctx context.Context, std streams, path string) (capture.Source, error) {
	if path == stdStream {
		src, err := pcapfile.NewReader(stdinSource(ctx, std.in))
		if err != nil {
			return nil, explainOpen(path, fmt.Errorf("standard input: %w", err))
		}
		return src, nil
	}
	src, err := pcapfile.Open(path)
	if err != nil {
		return nil, explainOpen(path, err)
	}
	return src, nil
}

func writeFrames(ctx context.Context, std streams, o *analyzeOptions) error {
	src, err := openSource(ctx, std, o.files)
	if err != nil {
		return err
	}
	defer src.Close()
	w := bufio.NewWriterSize(std.out, 64<<10)
	err = analyze.WriteFrames(ctx, src, w, analyze.Options{Hosts: o.hosts, Ports: o.portList})
	if flushed := w.Flush(); flushed != nil {
		return flushed
	}
	var damage *capture.DamageError
	if errors.As(err, &damage) {
		return fmt.Errorf("%s: %w", o.title(), err)
	}
	return err
}

// outputs are where the results of all captures go.
type outputs struct {
	std       streams
	o         *analyzeOptions
	screen    terminal.Output
	json      io.Writer // nil for none
	jsonFile  *outfile.File
	csv       *report.CSV // nil for none
	csvFile   *outfile.File
	csvBuffer *bufio.Writer
}

func openOutputs(std streams, o *analyzeOptions) (*outputs, error) {
	out := &outputs{std: std, o: o, screen: terminal.Detect(std.out, o.colorMode, os.Getenv)}
	var err error
	switch o.json {
	case "":
	case stdStream:
		out.json = std.out
	default:
		if out.jsonFile, err = outfile.Create(o.json); err != nil {
			return nil, err
		}
		out.json = out.jsonFile
	}
	if o.connections != "" {
		var w io.Writer = std.out
		if o.connections != stdStream {
			if out.csvFile, err = outfile.Create(o.connections); err != nil {
				out.abort()
				return nil, err
			}
			w = out.csvFile
		}
		out.csvBuffer = bufio.NewWriterSize(w, 64<<10)
		out.csv = report.NewCSV(out.csvBuffer)
	}
	return out, nil
}

// quiet is true where standard output belongs to a program.
func (out *outputs) quiet() bool {
	return out.o.json == stdStream || out.o.connections == stdStream
}

func (out *outputs) abort() {
	for _, f := range []*outfile.File{out.jsonFile, out.csvFile} {
		if f != nil {
			f.Abort()
		}
	}
}

func (out *outputs) commit() error {
	var errs []error
	if out.csvBuffer != nil {
		errs = append(errs, out.csvBuffer.Flush())
	}
	for _, f := range []*outfile.File{out.jsonFile, out.csvFile} {
		if f != nil {
			errs = append(errs, f.Commit())
		}
	}
	return errors.Join(errs...)
}

// analyze analyses the capture made of paths and writes all that is asked for.
func (out *outputs) analyze(ctx context.Context, paths []string, options analyze.Options, index int) (int, error) {
	src, err := openSource(ctx, out.std, paths)
	if err != nil {
		return exitDone, err
	}
	defer src.Close()
	title := paths[0]
	if len(paths) > 1 {
		title = out.o.title()
	}
	status := terminal.NewStatus(out.std.err, terminal.Detect(out.std.err, out.o.colorMode, os.Getenv), title)
	options.Progress = status.Update
	result, err := analyze.Run(ctx, src, options)
	status.Clear()
	if result != nil && result.Connections != nil {
		defer result.Connections.Close()
	}
	code := codeOf(err)
	if result == nil {
		return code, err
	}
	doc := report.Build(result, report.Options{
		File:        title,
		Version:     readBuildInfo().Version,
		Interrupted: code == exitInterrupted,
	})
	if err := out.write(doc, index); err != nil {
		return code, err
	}
	switch {
	case result.Damage != nil:
		code = worse(code, exitDamaged)
		complain(out.std, fmt.Errorf("%s: %w", title, result.Damage))
	case code == exitError:
		complain(out.std, fmt.Errorf("%s: %w", title, err))
	}
	if out.o.classes.Holds(doc) {
		code = worse(code, exitFound)
	}
	return code, nil
}

// write writes files first: they are complete even if the reader of standard
// output goes away.
func (out *outputs) write(doc *report.Document, index int) error {
	if out.csv != nil {
		if err := out.csv.Write(doc); err != nil {
			return err
		}
	}
	if out.json != nil {
		if err := report.WriteJSON(out.json, doc, len(out.o.captures()) > 1); err != nil {
			return err
		}
	}
	if out.quiet() {
		return nil
	}
	if index > 0 {
		if _, err := fmt.Fprintln(out.std.out); err != nil {
			return err
		}
	}
	if len(out.o.captures()) > 1 {
		name := out.screen.Paint(terminal.Bold, "== "+out.screen.Text(doc.Capture.File)+" ==")
		if _, err := fmt.Fprintf(out.std.out, "%s\n\n", name); err != nil {
			return err
		}
	}
	return report.WriteText(out.std.out, doc, out.screen)
}
