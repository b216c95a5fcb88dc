package main

import (
	"errors"
	"testing"

	"goproxytrace/internal/terminal"
	"goproxytrace/report/messages"
)

func TestUserLanguage(t *testing.T) {
	for _, tt := range []struct {
		all, messages, lang string
		want                messages.Language
	}{
		{lang: "zh_CN.UTF-8", want: messages.Chinese},
		{lang: "zh_SG.utf8", want: messages.Chinese},
		{lang: "zh_CN", want: messages.Chinese},
		{lang: "zh_TW.UTF-8", want: messages.Chinese},
		{lang: "zh_CN.GB18030"},
		{lang: "zh_TW.Big5"},
		{lang: "de_DE.UTF-8"},
		{lang: "en_US.UTF-8"},
		{messages: "zh_CN.UTF-8", lang: "en_US.UTF-8", want: messages.Chinese},
		{messages: "en_US.UTF-8", lang: "zh_CN.UTF-8"},
		{all: "C", messages: "zh_CN.UTF-8", lang: "zh_CN.UTF-8"},
		{all: "zh_CN.UTF-8", messages: "C", lang: "C", want: messages.Chinese},
	} {
		env := map[string]string{"LC_ALL": tt.all, "LC_MESSAGES": tt.messages, "LANG": tt.lang}
		if got := userLanguage(func(name string) string { return env[name] }); got != tt.want {
			t.Errorf("%v: %s, want %s", env, got, tt.want)
		}
	}
}

// What the command line asks for is written, whatever the reader; what only the
// locale says has to be readable.
func TestLanguageOnStream(t *testing.T) {
	pipe, utf8 := terminal.Output{ASCII: true}, terminal.Output{}
	for _, tt := range []struct {
		s     speech
		o     terminal.Output
		want  messages.Language
		ascii bool
	}{
		{speech{messages.Chinese, false}, utf8, messages.Chinese, false},
		{speech{messages.Chinese, true}, utf8, messages.Chinese, false},
		{speech{messages.Chinese, false}, pipe, messages.English, true},
		{speech{messages.Chinese, true}, pipe, messages.Chinese, false},
		{speech{messages.English, true}, pipe, messages.English, true},
		{speech{messages.English, false}, pipe, messages.English, true},
	} {
		if l, o := tt.s.on(tt.o); l != tt.want || o.ASCII != tt.ascii {
			t.Errorf("%v on %v: %s, ASCII %v", tt.s, tt.o, l, o.ASCII)
		}
	}
}

func TestLanguageFlag(t *testing.T) {
	none := func(string) string { return "" }
	for _, name := range []string{"en", "zh"} {
		if s, err := parseLanguage(name, none); err != nil || s.String() != name || !s.asked {
			t.Errorf("--lang %s: %v, %v", name, s, err)
		}
	}
	for _, name := range []string{"EN", "zh_CN", "de", "\x1b[31m"} {
		var usage usageError
		if _, err := parseLanguage(name, none); !errors.As(err, &usage) {
			t.Errorf("--lang %q: %v, want a usage error", name, err)
		}
	}
}
