package main

import (
	"errors"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"goproxytrace/internal/terminal"
	"goproxytrace/report"
	"goproxytrace/report/messages"
)

func newExplainCommand(std streams) *cobra.Command {
	markdown, color, lang := false, "", ""
	mode, language := terminal.Auto, speech{}
	cmd := &cobra.Command{
		Use:   "explain [CLASS]",
		Short: "Say what a verdict rests on and what it cannot say",
		Long: `Explain says for a class of verdicts what is seen, what looks like it and is
told apart by what, how far its verdicts go, which numbers decide, what to do
next and what would refute it. CLASS is a class (tls.reset), a prefix of
several (tls.), a note (fallback) or a fact about a capture (K4.offload).
Without CLASS all of them are listed.`,
		Example: `  goproxytrace explain tls.reset
  goproxytrace explain transfer.
  goproxytrace explain --markdown > verdicts.md`,
		Args: func(cmd *cobra.Command, args []string) (err error) {
			if len(args) > 1 {
				return usagef("%s takes one class, got %d", cmd.CommandPath(), len(args))
			}
			if mode, err = terminal.ParseColorMode(color); err != nil {
				return usagef("--color: %w", err)
			}
			language, err = parseLanguage(lang, os.Getenv)
			return err
		},
		RunE: func(_ *cobra.Command, args []string) error {
			all := len(args) == 0
			l, o := language.on(terminal.Detect(std.out, mode, os.Getenv))
			if markdown {
				l = language.Language // it is UTF-8 everywhere
			}
			topics := report.Topics(l)
			if !all {
				var err error
				if topics, err = findTopics(args[0], l); err != nil {
					return err
				}
			}
			switch {
			case markdown && all:
				return report.WriteVerdictsMarkdown(std.out, l)
			case markdown:
				return report.WriteTopicsMarkdown(std.out, topics)
			case all:
				return report.WriteTopics(std.out, topics, o)
			}
			return report.WriteExplanations(std.out, topics, o)
		},
		ValidArgsFunction: completeTopics,
	}
	f := cmd.Flags()
	f.BoolVar(&markdown, "markdown", false, "print Markdown; without CLASS the whole of docs/verdicts.md")
	addColorFlag(cmd, &color)
	addLanguageFlag(cmd, &lang)
	return cmd
}

// findTopics finds what a name stands for; the error says what may be meant.
func findTopics(name string, l messages.Language) ([]report.Topic, error) {
	topics, err := report.FindTopics(name, l)
	var unknown *report.UnknownTopicError
	if !errors.As(err, &unknown) {
		return topics, err
	}
	hints := []string{"goproxytrace explain lists all classes"}
	if len(unknown.Near) > 0 {
		hints = append([]string{"did you mean " + strings.Join(unknown.Near, " or ") + "?"}, hints...)
	}
	return nil, withHint(usageError{err}, hints...)
}

func completeTopics(_ *cobra.Command, args []string, start string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var out []string
	for _, t := range report.Topics(messages.English) {
		if strings.HasPrefix(t.ID, start) {
			out = append(out, cobra.CompletionWithDesc(t.ID, t.Title))
		}
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}
