package main

import (
	"fmt"
	"io"
	"os"
	"runtime"

	"github.com/spf13/cobra"

	"goproxytrace/fleet/pipeline"
	"goproxytrace/fleet/storage"
	"goproxytrace/internal/terminal"
)

func newKeyCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "key",
		Short: "Print a new key for pseudonyms",
		Long: `Key prints a new secret for analyze --key and push --key. Runs with the same key give the same
pseudonym to the same name or address, on whatever machine. Whoever has the key
can find out which name a pseudonym stands for, by trying names: keep it as a
password is kept.`,
		Example: "  (umask 077; goproxytrace-fleet key > fleet.key)",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := cmd.OutOrStdout().Write(pipeline.NewKey())
			return err
		},
	}
}

// checkKey warns of a key that others can read.
func checkKey(path string, errs io.Writer) error {
	if path == "" || !storage.IsLocal(path) {
		return nil
	}
	st, err := os.Stat(path)
	if err != nil {
		return withHint(fmt.Errorf("key: %w", err), "to make one: goproxytrace-fleet key > "+path)
	}
	if runtime.GOOS != "windows" && st.Mode().Perm()&0o077 != 0 {
		fmt.Fprintf(errs, "goproxytrace-fleet: %s can be read by others than its owner (chmod 600)\n", terminal.Clean(path))
	}
	return nil
}
