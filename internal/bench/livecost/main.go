// Command livecost measures what a live capture costs: processor time beside
// tcpdump's for the same packets, and what watching costs while nothing
// happens.
//
// In go a rate and a length, out comes a Markdown table. Everything happens in
// network namespaces that the program makes and that end with it; it needs
// Linux, root, ip and tcpdump.
//
//	go run ./internal/bench/livecost -dir DIRECTORY
//	go run ./internal/bench/livecost -dir DIRECTORY -idle
//
// Processor time is user and system time of the whole process from its start
// to its end, as the kernel counts it (wait4); what the kernel does to bring a
// packet to a socket counts for the sender.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "livecost:", err)
		os.Exit(1)
	}
}

type options struct {
	dir, tool, traffic string
	rate, size, runs   int
	processes          int
	length             time.Duration
	idle, inside       bool
	only               string
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var o options
	f := flag.NewFlagSet("livecost", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&o.dir, "dir", "", "directory for the binary and the case files, which are removed again (needed; at 100,000 packets a second some 20 MB for each second)")
	f.StringVar(&o.tool, "tool", "", "goproxytrace binary to measure (default: build it from this module)")
	f.StringVar(&o.traffic, "traffic", "udp,tcp", "what is sent: udp (datagrams one way), tcp (connections with TLS records one way, their acknowledgements the other), or both one after the other")
	f.IntVar(&o.rate, "rate", 100_000, "packets a second")
	f.IntVar(&o.size, "size", 100, "payload of a packet in bytes")
	f.IntVar(&o.runs, "runs", 3, "runs of each kind")
	f.DurationVar(&o.length, "length", time.Minute, "length of a run")
	f.BoolVar(&o.idle, "idle", false, "measure what watching costs while nothing happens, over -length")
	f.StringVar(&o.only, "only", "", "with -idle, only the ways of watching whose names hold this text")
	f.IntVar(&o.processes, "processes", 150, "sleeping processes beside, with -idle")
	f.BoolVar(&o.inside, "inside", false, "the namespace is made (used internally)")
	if err := f.Parse(args); err != nil {
		return err
	}
	switch {
	case f.NArg() > 0:
		return fmt.Errorf("unexpected argument %q", f.Arg(0))
	case o.dir == "":
		return errors.New("-dir is needed")
	case o.rate <= 0 || o.size < minPayload || o.size > maxPayload || o.runs <= 0 || o.length < time.Second:
		return fmt.Errorf("a rate and a number of runs above zero, a size of %d to %d and a length of a second or more are needed", minPayload, maxPayload)
	}
	return measure(ctx, &o, args, stdout, stderr)
}

// Payload sizes: room for a TLS record's header and more than a keep-alive's
// byte, and what an Ethernet frame holds.
const (
	minPayload = 16
	maxPayload = 1400
)
