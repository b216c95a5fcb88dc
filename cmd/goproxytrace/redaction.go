package main

import (
	"fmt"
	"os"
	"os/user"
	"strings"

	"github.com/spf13/cobra"

	"goproxytrace/analyze/goproxy"
	"goproxytrace/redact"
)

// redaction are the flags that say what private things are replaced by
// pseudonyms, and where.
type redaction struct {
	on, off bool
	reveal  []string
	keyFile string // "" for none

	// What the flags mean once they are checked.
	kinds []redact.Kind
	made  *redact.Redactor
}

// addFlags adds the flags of a command that shows what it reads to its user, who
// turns redaction on.
func (o *redaction) addFlags(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&o.on, "redact", false, "replace private addresses, names and paths in the report by pseudonyms")
	o.addDetails(cmd)
}

// addDetails adds the flags of a command that writes for others.
func (o *redaction) addDetails(cmd *cobra.Command) {
	f := cmd.Flags()
	f.BoolVar(&o.off, "no-redact", false, "keep private addresses, names and paths in what is made to be given away")
	f.StringSliceVar(&o.reveal, "reveal", nil, "do not replace this `KIND`: "+strings.Join(redact.KindNames(), ", ")+" (repeatable)")
	f.StringVar(&o.keyFile, "redact-key", "", "derive pseudonyms from the secret in `FILE`, so that they are the same in all documents")
	_ = cmd.RegisterFlagCompletionFunc("reveal", cobra.FixedCompletions(redact.KindNames(), cobra.ShellCompDirectiveNoFileComp))
}

// check finds what is wrong with the flags.
func (o *redaction) check() error {
	if o.on && o.off {
		return usagef("--redact and --no-redact contradict each other")
	}
	o.kinds = o.kinds[:0]
	for _, name := range o.reveal {
		k, err := redact.ParseKind(strings.TrimSpace(name))
		if err != nil {
			return withHint(usagef("--reveal: %w", err), "it is one of "+strings.Join(redact.KindNames(), ", "))
		}
		o.kinds = append(o.kinds, k)
	}
	return nil
}

// leastKey is the least length of a key in bytes: pseudonyms made with one that
// can be guessed can be undone.
const leastKey = 16

// redactor returns the one Redactor of the command, so that all that it writes
// has the same pseudonyms; nil with --no-redact.
func (o *redaction) redactor() (*redact.Redactor, error) {
	if o.off || o.made != nil {
		return o.made, nil
	}
	var err error
	o.made, err = o.make(o.kinds)
	return o.made, err
}

// revealing returns a Redactor for what is changed in any case (a capture that is
// scrubbed of its payload): with --no-redact it replaces nothing.
func (o *redaction) revealing() (*redact.Redactor, error) {
	if !o.off {
		return o.redactor()
	}
	var all []redact.Kind
	for _, name := range redact.KindNames() {
		k, err := redact.ParseKind(name)
		if err != nil {
			return nil, err
		}
		all = append(all, k)
	}
	return o.make(all)
}

func (o *redaction) make(reveal []redact.Kind) (*redact.Redactor, error) {
	var key []byte
	if o.keyFile != "" {
		b, err := os.ReadFile(o.keyFile)
		if err != nil {
			return nil, fmt.Errorf("redaction key: %w", err)
		}
		if key = []byte(strings.TrimSpace(string(b))); len(key) < leastKey {
			return nil, withHint(fmt.Errorf("redaction key: %s holds %d bytes, fewer than %d", o.keyFile, len(key), leastKey),
				"to make one: openssl rand -hex 32 > "+o.keyFile)
		}
	}
	r := redact.New(redact.Options{Public: goproxy.PublicEnd, Reveal: reveal, Key: key})
	// A capture is mostly looked at where it was made.
	if name, err := os.Hostname(); err == nil {
		r.LearnHost(name)
		first, _, _ := strings.Cut(name, ".")
		r.LearnHost(first)
	}
	if u, err := user.Current(); err == nil {
		r.LearnUser(u.Username[strings.LastIndexByte(u.Username, '\\')+1:])
	}
	return r, nil
}
