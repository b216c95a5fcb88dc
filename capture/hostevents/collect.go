package hostevents

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"goproxytrace/capture/hostlog"
)

// maxOutput bounds what is taken of one command's output, in bytes.
const maxOutput = 64 << 20

// Limit bounds how long one reading takes. firstLimit bounds the first one, which
// the capture waits for.
const (
	Limit      = 4 * time.Second
	firstLimit = time.Second
)

// system is what a collector needs of the host. Nothing of it changes anything.
type system struct {
	// run runs a program of the system with fixed arguments and returns what it
	// wrote to standard output. Its error is an *exitError where the program
	// says that it failed.
	run func(ctx context.Context, name string, args ...string) ([]byte, error)
	// later starts a program with the rights that there are now, and has it wait
	// until it is asked. nil is run's own way, where no rights are given up.
	later func(name string, args ...string) (*deferred, error)
	// value reads a value of the registry as text; ok is false where there is
	// none. hive is "HKLM" or "HKCU".
	value func(hive, key, name string) (text string, ok bool, err error)
	// keys lists the keys below one of the registry; none where there is none.
	keys func(hive, key string) ([]string, error)
	// admin reports whether an administrator's rights are in force.
	admin func() bool
	// file reads a small file of the system.
	file func(path string) ([]byte, error)
	// kernelLog opens the kernel's log at its end.
	kernelLog func() (kernelLog, error)
	env       func(name string) string
	now       func() int64 // Unix nanoseconds
}

// kernelLog yields what the kernel logs from its opening on.
type kernelLog interface {
	// read returns the lines since the last call, each with its time; lost is
	// true where there were more than the kernel keeps.
	read() (lines []kernelLine, lost bool, err error)
	close()
}

// kernelLine is one line of the kernel's own.
type kernelLine struct {
	time int64 // Unix nanoseconds
	text string
}

// deferred is a program that waits.
type deferred struct {
	// finish has it run and returns what it wrote; cancel ends it without.
	finish func(ctx context.Context) ([]byte, error)
	cancel func()
}

// exitError says how a program failed.
type exitError struct {
	code int
	text string // what it said
}

func (e *exitError) Error() string {
	if e.text == "" {
		return fmt.Sprintf("it ended with code %d", e.code)
	}
	return fmt.Sprintf("it ended with code %d: %s", e.code, e.text)
}

// collector reads a host. Its methods are called by one goroutine.
type collector struct {
	system
	since int64 // what is older is nobody's business, Unix ns
	// until is when the reading began; what is later is not told of, and facts
	// about the host have this time.
	until int64
	ctx   context.Context // of the reading under way
	log   Log
	// told are the records of the reading before, by time and text: readings
	// overlap.
	told map[string]bool

	// Of Linux.
	kernel     kernelLog
	noKernel   error // why there is none
	lost       bool  // lines of it were
	rules      *ruleset
	noRules    error
	laterRules *deferred
	tracking   *conntrack
}

// reading begins to read with its time bounded.
func (c *collector) reading(ctx context.Context) context.CancelFunc {
	c.until = c.now()
	c.log = Log{}
	var cancel context.CancelFunc
	c.ctx, cancel = context.WithTimeout(ctx, Limit)
	return cancel
}

// records are those of a reading that are of its time and were not told before.
func (c *collector) records() []hostlog.Record {
	all := c.log.Records()
	told := make(map[string]bool, len(all))
	out := slices.DeleteFunc(all, func(r hostlog.Record) bool {
		if at := r.When(); at < c.since || at > c.until {
			return true
		}
		if _, unread := r.(*hostlog.Unread); unread {
			return false
		}
		key := fmt.Sprint(r.When(), r.Message())
		again := c.told[key] || told[key]
		told[key] = true
		return again
	})
	c.told = told
	return out
}

// fail notes that a source cannot be read. One that was called off says no more
// than that.
func (c *collector) fail(source string, err error) {
	var exit *exitError
	ended := errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) || errors.As(err, &exit) && exit.code < 0
	switch {
	case ended && errors.Is(c.ctx.Err(), context.Canceled):
		err = errors.New("the reading was called off")
	case ended && c.ctx.Err() != nil:
		err = fmt.Errorf("it takes longer than %s", Limit)
	}
	why := strings.Join(strings.Fields(clip(err.Error(), maxName)), " ")
	c.log.take(&hostlog.Unread{Time: c.until, Source: source, Why: why})
}

// asked is a program at work.
type asked struct {
	source string
	out    chan output
}

type output struct {
	text []byte
	err  error
}

// ask starts a program.
func (c *collector) ask(source, name string, args ...string) asked {
	a := asked{source, make(chan output, 1)}
	ctx, run := c.ctx, c.run
	go func() {
		text, err := run(ctx, name, args...)
		if err == nil && len(text) > maxOutput {
			err = fmt.Errorf("%s wrote more than %d bytes", name, maxOutput)
		}
		a.out <- output{text, err}
	}()
	return a
}

// answer waits for a program's output. A program that cannot be ended does not
// hold up the reading.
func (c *collector) answer(a asked) ([]byte, error) {
	select {
	case o := <-a.out:
		return o.text, o.err
	case <-c.ctx.Done():
		select {
		case o := <-a.out: // that was there already
			return o.text, o.err
		case <-time.After(50 * time.Millisecond):
			return nil, c.ctx.Err()
		}
	}
}

// logOf reads the output of a program as a log. A log without records is none
// that cannot be read.
func (c *collector) logOf(a asked) {
	text, err := c.answer(a)
	if err == nil {
		err = c.add(text)
	}
	if err != nil && !errors.Is(err, errAbsent) {
		c.fail(a.source, err)
	}
}

func (c *collector) add(text []byte) error {
	if len(bytes.TrimSpace(text)) == 0 {
		return nil
	}
	err := c.log.Add(bytes.NewReader(text))
	if errors.Is(err, ErrUnknown) && bytes.Contains(text, []byte("<")) {
		return nil // an empty list
	}
	return err
}

// note keeps a fact about the host.
func (c *collector) note(origin, format string, args ...any) {
	text := hostlog.RedactText(fmt.Sprintf(format, args...))
	c.log.take(&hostlog.Event{Time: c.until, Origin: origin, Text: clip(text, maxPath)})
}

// words are the fields of a line.
func words(line []byte) []string { return strings.Fields(string(line)) }

// errAbsent says that the host has no such source: nothing is missing.
var errAbsent = errors.New("there is no such log here")
