// Goproxytrace says where a module download died.
//
// In comes a network capture of a go command that hangs or fails, out comes a
// verdict with its evidence. See README.md and goproxytrace help.
package main

import (
	"context"
	"io"
	"os"
	"runtime"
	"runtime/debug"
)

// gcPercent keeps the heap close to what is in use: the hot path allocates
// nothing, so collecting more often costs little. A heap that is small anyway is
// not collected (firstPercent of the 4 MiB that the runtime takes for the least):
// each collection goes through all of the program's own tables as well.
const (
	gcPercent    = 40
	firstPercent = 300
)

// collectLate sets both: the first of them until the first collection.
func collectLate() {
	debug.SetGCPercent(firstPercent)
	runtime.AddCleanup(new([16]byte), func(percent int) { debug.SetGCPercent(percent) }, gcPercent)
}

func main() {
	if os.Getenv("GOGC") == "" {
		collectLate()
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
