package main

import (
	"testing"

	"goproxytrace/report/messages"
)

// The language that Windows shows itself in has a name of the form that is
// understood, and counts where the environment says nothing.
func TestSurfaceLanguages(t *testing.T) {
	names := surfaceLanguages()
	if len(names) == 0 {
		t.Fatal("the system names no language")
	}
	want, known := messages.LanguageOfLocale(names[0])
	if !known {
		t.Fatalf("the language %q is not understood", names[0])
	}
	if got := userLanguage(func(string) string { return "" }); got != want {
		t.Errorf("%s, want %s of %q", got, want, names)
	}
	if got := userLanguage(func(string) string { return "C" }); got != messages.English {
		t.Errorf("%s although the environment says C", got)
	}
}
