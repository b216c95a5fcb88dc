package winetest

import (
	"slices"
	"strings"
	"testing"
)

// A package is run again where Wine did not start a program, and for no other
// failure.
func TestBrokenByWine(t *testing.T) {
	line := func(action, pkg, test, output string) string {
		return `{"Action":"` + action + `","Package":"` + pkg + `","Test":"` + test + `","Output":"` + output + `"}` + "\n"
	}
	first := read(t, strings.NewReader(line("pass", "a", "TestA", "")+
		line("output", "b", "TestB/one", "panic: Failed to load ws2_32.dll: "+wineFault+". [recovered]")+
		line("fail", "b", "TestB/one", "")+line("fail", "b", "TestB", "")+line("pass", "b", "TestOther", "")+line("fail", "b", "", "")+
		line("output", "c", "TestC", "a wrong answer")+line("fail", "c", "TestC", "")+line("fail", "c", "", "")))
	if got := first.brokenByWine(); !slices.Equal(got, []string{"b"}) {
		t.Fatalf("to be run again: %q, want b alone", got)
	}
	first.replace([]string{"b"}, read(t, strings.NewReader(line("pass", "b", "TestB", "")+line("pass", "b", "TestOther", ""))))
	if first.passed["b"] != 2 || len(first.failed["b"]) != 0 || len(first.failed["c"]) != 2 {
		t.Errorf("after the second run: passed %v, failed %q", first.passed, first.failed)
	}
	first.replace([]string{"b"}, read(t, strings.NewReader(line("output", "b", "TestB", wineFault)+line("fail", "b", "TestB", ""))))
	if len(first.failed["b"]) != 1 {
		t.Errorf("a second failure is not reported: %q", first.failed)
	}
}

// A case is tried again where Wine did not start a program, once, and for no other
// failure.
func TestAgain(t *testing.T) {
	fault := result{code: 2, errors: "panic: Failed to load ws2_32.dll: " + wineFault + "."}
	for _, c := range []struct {
		results []result
		tries   int
	}{
		{[]result{{}}, 1}, {[]result{{code: 1, errors: "a wrong answer"}}, 1},
		{[]result{fault, {}}, 2}, {[]result{fault, fault, {}}, 2},
	} {
		tries := 0
		got := (&machine{t: t}).again(func() result {
			tries++
			return c.results[tries-1]
		})
		if tries != c.tries || got != c.results[tries-1] {
			t.Errorf("%v: after %d tries %v", c.results, tries, got)
		}
	}
}
