package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"strconv"

	"github.com/spf13/cobra"

	"goproxytrace/fleet/pipeline"
)

// serverOptions are the flags of commands that wait for others.
type serverOptions struct {
	listen  string
	until   bool
	verbose bool
}

func (o *serverOptions) addFlags(cmd *cobra.Command, listen string) {
	f := cmd.Flags()
	f.StringVar(&o.listen, "listen", listen, "listen at this `PORT` (0 is any; the first line of the output says which)")
	f.BoolVar(&o.until, "until-stdin-ends", false, "end when standard input does, as that of a process whose parent has ended")
	f.BoolVar(&o.verbose, "verbose", false, "write Beam's log to standard error")
}

func (o *serverOptions) port() (int, error) {
	p, err := strconv.ParseUint(o.listen, 10, 16)
	if err != nil {
		return 0, usagef("--listen: %q is no port", o.listen)
	}
	return int(p), nil
}

// wait waits for the end that was asked for.
func (o *serverOptions) wait(ctx context.Context, in io.Reader) error {
	if !o.until {
		<-ctx.Done()
		return nil
	}
	ended := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, in)
		close(ended)
	}()
	select {
	case <-ended:
	case <-ctx.Done():
	}
	return nil
}

func newWorkerCommand() *cobra.Command {
	o := &serverOptions{}
	cmd := &cobra.Command{
		Use:   "worker",
		Short: "Work for an analyze that runs elsewhere on this machine",
		Long: `Worker is a Beam worker pool (environment type EXTERNAL) of one worker, which is
this process. It listens on the loopback interface, on Linux for the same user and
root alone. analyze --worker-at names it.`,
		Example: "  goproxytrace-fleet worker --listen 50001",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			port, err := o.port()
			if err != nil {
				return err
			}
			beginBeam(o.verbose, cmd.ErrOrStderr())
			ctx, cancel := context.WithCancel(cmd.Context())
			defer pipeline.Withdraw()
			defer cancel()
			at, err := pipeline.ServeWorker(ctx, port)
			if err != nil {
				return fmt.Errorf("worker: %w", err)
			}
			fmt.Fprintln(cmd.OutOrStdout(), at)
			return o.wait(ctx, cmd.InOrStdin())
		},
	}
	o.addFlags(cmd, "50000")
	return cmd
}

func newPrismCommand() *cobra.Command {
	o := &serverOptions{}
	cmd := &cobra.Command{
		Use:   "prism",
		Short: "Serve jobs with Beam's Prism runner",
		Long: `Prism is Beam's job server of that name in a process of its own, for analyze
--endpoint. Whoever can give it jobs can have it start programs: it closes
connections from other machines, and on Linux those of other users but root.`,
		Example: "  goproxytrace-fleet prism --listen 8073",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			port, err := o.port()
			if err != nil {
				return err
			}
			beginBeam(o.verbose, cmd.ErrOrStderr())
			at := net.JoinHostPort("localhost", strconv.Itoa(port))
			if port == 0 {
				at, err = pipeline.InsidePrism(cmd.Context())
			} else {
				err = pipeline.ServePrism(cmd.Context(), port)
			}
			if err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), at)
			return o.wait(cmd.Context(), cmd.InOrStdin())
		},
	}
	o.addFlags(cmd, "8073")
	return cmd
}
