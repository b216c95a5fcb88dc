package main

import (
	"strings"

	"github.com/spf13/cobra"

	"goproxytrace/internal/terminal"
	"goproxytrace/report/messages"
)

// speech is the language that reports are written in.
type speech struct {
	messages.Language
	// asked is true where the command line names it.
	asked bool
}

// addLanguageFlag adds --lang.
func addLanguageFlag(cmd *cobra.Command, name *string) {
	cmd.Flags().StringVar(name, "lang", "", "write the report in this `LANGUAGE`: en or zh (default: as the system is set)")
	_ = cmd.RegisterFlagCompletionFunc("lang", cobra.FixedCompletions(languages(), cobra.ShellCompDirectiveNoFileComp))
}

// parseLanguage reads --lang; without it the user's own language counts.
func parseLanguage(name string, getenv func(string) string) (speech, error) {
	if name == "" {
		return speech{Language: userLanguage(getenv)}, nil
	}
	l, err := messages.ParseLanguage(name)
	if err != nil {
		return speech{}, withHint(usagef("--lang: %w", err), "it is one of "+strings.Join(languages(), ", "))
	}
	return speech{l, true}, nil
}

// languages are what --lang takes.
func languages() (names []string) {
	for _, l := range messages.Languages {
		names = append(names, l.String())
	}
	return names
}

// userLanguage is the language of the locale: LC_ALL, LC_MESSAGES or LANG, the
// first that is set (POSIX, section 8.2), else that of the system's surface
// where it has one. A locale in another encoding than UTF-8 gets English, which
// shows in all of them.
func userLanguage(getenv func(string) string) messages.Language {
	for _, name := range []string{"LC_ALL", "LC_MESSAGES", "LANG"} {
		locale := getenv(name)
		if locale == "" {
			continue
		}
		l, _ := messages.LanguageOfLocale(locale)
		if !unicodeLocale(locale) {
			return messages.English
		}
		return l
	}
	for _, name := range surfaceLanguages() {
		if l, known := messages.LanguageOfLocale(name); known {
			return l
		}
	}
	return messages.English
}

// unicodeLocale reports whether a locale names no encoding, or UTF-8.
func unicodeLocale(name string) bool {
	_, encoding, named := strings.Cut(name, ".")
	encoding, _, _ = strings.Cut(encoding, "@")
	return !named || strings.EqualFold(strings.ReplaceAll(encoding, "-", ""), "utf8")
}

// on returns the language for a stream, and the stream as it is then written
// to. Only English fits into ASCII: another language is written there, as
// UTF-8, where the command line asks for it.
func (s speech) on(o terminal.Output) (messages.Language, terminal.Output) {
	switch {
	case !o.ASCII || s.Language == messages.English:
		return s.Language, o
	case s.asked:
		o.ASCII = false
		return s.Language, o
	}
	return messages.English, o
}
