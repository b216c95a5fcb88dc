package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"goproxytrace/capture"
	"goproxytrace/internal/terminal"
)

// Exit codes. Where several captures end differently, the one that comes last
// in worst is the program's.
const (
	exitDone        = 0
	exitError       = 1
	exitUsage       = 2
	exitDamaged     = 3
	exitFound       = 10
	exitInterrupted = 130
)

var worst = []int{exitDone, exitDamaged, exitFound, exitError, exitUsage, exitInterrupted}

func worse(a, b int) int {
	for _, c := range worst {
		if c == b {
			return a
		}
		if c == a {
			return b
		}
	}
	return max(a, b)
}

// exitCode is an error that was reported already.
type exitCode int

func (c exitCode) Error() string { return fmt.Sprintf("exit code %d", int(c)) }

// usageError is a wrong command line.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// hinted is an error with advice on what to do about it.
type hinted struct {
	error
	hints []string
}

func (e hinted) Unwrap() error { return e.error }

func withHint(err error, hints ...string) error { return hinted{err, hints} }

// finish reports what went wrong and returns the exit code.
func finish(std streams, err error) int {
	var code exitCode
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &code):
		return int(code)
	case terminal.IsBrokenPipe(err):
		// The reader has what it wanted (| head).
		return exitDone
	}
	complain(std, err)
	return codeOf(err)
}

func codeOf(err error) int {
	var usage usageError
	var damage *capture.DamageError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &usage):
		return exitUsage
	case errors.Is(err, context.Canceled):
		return exitInterrupted
	case errors.As(err, &damage):
		return exitDamaged
	}
	return exitError
}

// complain writes an error and its hints to standard error. Both may quote
// names and bytes from outside.
func complain(std streams, err error) {
	o := terminal.Detect(std.err, terminal.Never, func(string) string { return "" })
	text := err.Error()
	if errors.Is(err, context.Canceled) {
		text = strings.ReplaceAll(text, context.Canceled.Error(), "interrupted")
	}
	fmt.Fprintf(std.err, "goproxytrace: %s\n", lines(o, text))
	var h hinted
	for e := err; errors.As(e, &h); e = h.error {
		for _, s := range h.hints {
			fmt.Fprintf(std.err, "hint: %s\n", o.Text(s))
		}
	}
	var usage usageError
	if errors.As(err, &usage) {
		fmt.Fprintln(std.err, "hint: goproxytrace help shows the commands and their flags")
	}
}

// lines cleans text that may have several lines.
func lines(o terminal.Output, s string) string {
	parts := strings.Split(strings.TrimSpace(s), "\n")
	for i, p := range parts {
		parts[i] = o.Text(strings.ReplaceAll(p, "\t", "  "))
	}
	return strings.Join(parts, "\n")
}

// explainOpen adds advice to an error of opening a capture.
func explainOpen(path string, err error) error {
	switch {
	case errors.Is(err, capture.ErrNotCapture):
		return withHint(err, "goproxytrace reads pcap and pcapng files, plain or compressed with gzip or zstd",
			"tcpdump -w, dumpcap and Wireshark write them; text that tcpdump prints is none")
	case errors.Is(err, fs.ErrNotExist):
		for _, suffix := range []struct{ ext, flag string }{{".json", "--json"}, {".csv", "--connections"}, {".md", "--markdown"}} {
			if strings.HasSuffix(path, suffix.ext) {
				return withHint(err, fmt.Sprintf("to write a file, join flag and name: %s=%s", suffix.flag, path))
			}
		}
	case errors.Is(err, fs.ErrPermission):
		return withHint(err, "captures often belong to root: copy the file, or change its owner")
	}
	return err
}
