package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

func newRootCommand(std streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "goproxytrace",
		Short: "Say where a go module download died",
		Long: `Goproxytrace reads network captures of go commands that hang or fail while they
download modules, or captures while they do, and says how far each connection
came, where it died and what in the capture shows that.`,
		Example:       "  goproxytrace live -- go mod download\n  goproxytrace analyze stalled.pcapng",
		Args:          rootArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	cobra.MousetrapHelpText = "" // keepWindow shows the help itself
	cmd.SetIn(std.in)
	cmd.SetOut(std.out)
	cmd.SetErr(std.err)
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	cmd.AddCommand(newAnalyzeCommand(std), newCompareCommand(std), newLiveCommand(std), newProbeCommand(std), newScrubCommand(std), newBundleCommand(std),
		newInterfacesCommand(std), newDoctorCommand(std), newExplainCommand(std), newVersionCommand(std))
	cmd.InitDefaultCompletionCmd("completion")
	cmd.InitDefaultHelpCmd()
	for _, c := range cmd.Commands() {
		if c.Name() == "completion" {
			for _, shell := range c.Commands() {
				shell.Args = noArgs
			}
			c.Args, c.RunE = knownShell, func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
		}
	}
	return cmd
}

// rootArgs catches what is no command.
func rootArgs(_ *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	err := usagef("unknown command %q", args[0])
	if _, statErr := os.Stat(args[0]); statErr == nil {
		return withHint(err, "to analyse a capture: goproxytrace analyze "+args[0])
	}
	return err
}

func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("%s takes no argument, got %q", cmd.CommandPath(), args[0])
	}
	return nil
}

func knownShell(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var names []string
	for _, c := range cmd.Commands() {
		names = append(names, c.Name())
	}
	return withHint(usagef("unknown shell %q", args[0]), fmt.Sprintf("%s knows %s", cmd.CommandPath(), strings.Join(names, ", ")))
}
