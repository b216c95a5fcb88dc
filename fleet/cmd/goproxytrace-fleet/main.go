// Command goproxytrace-fleet tells what kills the downloads of many machines.
//
// It is a module of its own, so that goproxytrace itself stays small. What it
// knows of captures and verdicts is goproxytrace's own code; go.work joins both.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"goproxytrace/internal/terminal"
)

func main() {
	if isWorker(os.Args[1:]) {
		serveRunner()
	}
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

func run(args []string, in io.Reader, out, errs io.Writer) int {
	ctx, stop := interruptible(context.Background())
	defer stop()
	root := newRootCommand()
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errs)
	err := root.ExecuteContext(ctx)
	code, said := codeOf(err)
	if !said {
		complain(errs, err)
	}
	return code
}

func newRootCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:           "goproxytrace-fleet",
		Short:         "Tell what kills module downloads on many machines",
		Version:       version(),
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	cmd.AddCommand(newAnalyzeCommand(), newPushCommand(), newKeyCommand(), newPrismCommand(), newWorkerCommand())
	return cmd
}

// complain writes an error and its hints, which may quote names from outside.
func complain(w io.Writer, err error) {
	for i, line := range strings.Split(strings.TrimSpace(err.Error()), "\n") {
		if i == 0 {
			line = "goproxytrace-fleet: " + line
		}
		// Suggestions begin with a tab.
		fmt.Fprintln(w, terminal.Clean(strings.TrimSpace(line)))
	}
	var h hinted
	for e := err; errors.As(e, &h); e = h.error {
		fmt.Fprintf(w, "hint: %s\n", terminal.Clean(h.hint))
	}
}

// hinted is an error with advice on what to do about it.
type hinted struct {
	error
	hint string
}

func (e hinted) Unwrap() error { return e.error }

func withHint(err error, hint string) error { return hinted{err, hint} }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("%s takes no argument, got %q", cmd.CommandPath(), args[0])
	}
	return nil
}
