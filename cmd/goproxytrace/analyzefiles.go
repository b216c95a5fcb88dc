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
	"goproxytrace/report/messages"
	"goproxytrace/report/page"
)

// analyzeFiles analyses each capture in turn. One that cannot be read does not
// stop the others; the worst exit code counts.
func analyzeFiles(ctx context.Context, std streams, o *analyzeOptions) error {
	if o.frames {
		return writeFrames(ctx, std, o)
	}
	options := analyze.Options{Hosts: o.hosts, Ports: o.portList, Trace: o.html != ""}
	var err error
	if o.goOutput != "" {
		if options.GoOutput, err = readGoOutput(o.goOutput); err != nil {
			return err
		}
	}
	if options.Records, err = readEvents(std, o.events); err != nil {
		return err
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
		in, size, err := stdinSource(ctx, std.in)
		if err != nil {
			return nil, err
		}
		src, err := pcapfile.NewReader(in, size)
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
		return fmt.Errorf("%s: %w", o.title(messages.English), err)
	}
	return err
}

// outputs are where the results of all captures go.
type outputs struct {
	std      streams
	o        *analyzeOptions
	screen   terminal.Output
	json     io.Writer // nil for none
	jsonFile *outfile.File
	htmlFile *outfile.File
	// markdown is nil for none; reports counts those written to it.
	markdown     io.Writer
	markdownFile *outfile.File
	reports      int
	csv          *report.CSV // nil for none
	csvFile      *outfile.File
	csvBuffer    *bufio.Writer
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
	if o.html != "" {
		if out.htmlFile, err = outfile.Create(o.html); err != nil {
			out.abort()
			return nil, err
		}
	}
	switch o.markdown {
	case "":
	case stdStream:
		out.markdown = std.out
	default:
		if out.markdownFile, err = outfile.Create(o.markdown); err != nil {
			out.abort()
			return nil, err
		}
		out.markdown = out.markdownFile
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
	return out.o.onStdout() > 0
}

func (out *outputs) abort() {
	for _, f := range []*outfile.File{out.jsonFile, out.htmlFile, out.markdownFile, out.csvFile} {
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
	for _, f := range []*outfile.File{out.jsonFile, out.htmlFile, out.markdownFile, out.csvFile} {
		if f != nil {
			errs = append(errs, f.Commit())
		}
	}
	return errors.Join(errs...)
}

// analyze analyses the capture made of paths and writes all that is asked for.
func (out *outputs) analyze(ctx context.Context, paths []string, options analyze.Options, index int) (int, error) {
	if len(paths) == 1 {
		if doc, err := readPage(paths[0]); doc != nil || err != nil {
			if err != nil {
				return exitDone, err
			}
			return out.report(paths[0], doc, index)
		}
	}
	src, err := openSource(ctx, out.std, paths)
	if err != nil {
		return exitDone, err
	}
	defer src.Close()
	name := func(l messages.Language) string {
		if len(paths) > 1 {
			return out.o.title(l)
		}
		return paths[0]
	}
	title := name(messages.English)
	status := terminal.NewStatus(out.std.err, terminal.Detect(out.std.err, out.o.colorMode, os.Getenv), title)
	options.Progress = status.Update
	result, err := analyze.Run(ctx, src, options)
	status.Clear()
	if result != nil {
		defer result.Close()
	}
	code := codeOf(err)
	if result == nil {
		return code, err
	}
	docs, failed := out.o.redaction.documents(result, name, report.Options{
		Version:     readBuildInfo().Version,
		Interrupted: code == exitInterrupted,
		Platform:    out.o.platform,
	})
	if failed != nil {
		return code, failed
	}
	if err := out.write(docs, index); err != nil {
		return code, err
	}
	switch {
	case result.Damage != nil:
		code = worse(code, exitDamaged)
		complain(out.std, fmt.Errorf("%s: %w", title, result.Damage))
	case code == exitError:
		complain(out.std, fmt.Errorf("%s: %w", title, err))
	}
	if out.o.classes.Holds(docs.in(messages.English)) {
		code = worse(code, exitFound)
	}
	return code, nil
}

// write writes files first: they are complete even if the reader of standard
// output goes away.
func (out *outputs) write(docs *documents, index int) error {
	if err := out.files(docs); err != nil {
		return err
	}
	if out.quiet() {
		return nil
	}
	if index > 0 {
		if _, err := fmt.Fprintln(out.std.out); err != nil {
			return err
		}
	}
	language, screen := out.o.speech.on(out.screen)
	doc := docs.in(language)
	if len(out.o.captures()) > 1 {
		name := screen.Paint(terminal.Bold, "== "+screen.Text(doc.Capture.File)+" ==")
		if _, err := fmt.Fprintf(out.std.out, "%s\n\n", name); err != nil {
			return err
		}
	}
	return report.WriteText(out.std.out, doc, screen)
}

// files writes what is asked for beside the report for people.
func (out *outputs) files(docs *documents) error {
	if out.csv != nil {
		if err := out.csv.Write(docs.in(messages.English)); err != nil {
			return err
		}
	}
	if out.htmlFile != nil {
		if err := page.Write(out.htmlFile, docs.all(out.o.speech.Language)...); err != nil {
			return err
		}
	}
	if out.markdown != nil {
		if err := out.writeMarkdown(docs); err != nil {
			return err
		}
	}
	if out.json != nil {
		return report.WriteJSON(out.json, docs.in(messages.English), len(out.o.captures()) > 1)
	}
	return nil
}

// writeMarkdown writes the report for others, several of them with a rule in
// between. Markdown is UTF-8 everywhere.
func (out *outputs) writeMarkdown(docs *documents) error {
	if out.reports > 0 {
		if _, err := io.WriteString(out.markdown, "\n---\n\n"); err != nil {
			return err
		}
	}
	out.reports++
	return report.WriteMarkdown(out.markdown, docs.shared(out.o.speech.Language))
}
