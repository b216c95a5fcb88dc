// Goproxytrace says where a module download died.
//
// In comes a network capture of a go command that hangs or fails, out comes a
// verdict with its evidence. See README.md and goproxytrace help.
package main

import (
	"context"
	"io"
	"os"
	"runtime/debug"
)

// gcPercent keeps the heap close to what is in use: the hot path allocates
// nothing, so collecting more often costs little.
const gcPercent = 40

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	os.Exit(run(os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr}))
}

// streams are the program's ends towards the world.
type streams struct {
	in  io.Reader
	out io.Writer
	err io.Writer
}

func run(args []string, std streams) int {
	ctx, stop := interruptible(context.Background())
	defer stop()
	keepBrokenPipes()
	root := newRootCommand(std)
	root.SetArgs(args)
	code := finish(std, root.ExecuteContext(ctx))
	keepWindow(args, std)
	return code
}
