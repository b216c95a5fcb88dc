package terminal

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestClean(t *testing.T) {
	tests := []struct{ in, want string }{
		{"goproxy.cn", "goproxy.cn"},
		{"包裹.example · ü → 1 ms", "包裹.example · ü → 1 ms"},
		{"\x1b[31mred\x1b]0;title\x07", `\x1b[31mred\x1b]0;title\x07`},
		{"a\rb\nc\td\x00", `a\x0db\x0ac\x09d\x00`},
		{"\x7f", `\x7f`},
		{"\u0085\u009b31m", `\x85\x9b31m`},
		{"\u061c\u200e\u200f\u202a\u202e\u2066\u2069", `\u061c\u200e\u200f\u202a\u202e\u2066\u2069`},
		{"\u2028\u2029\u200b\u200d\ufeff\u00ad\u00a0", `\u2028\u2029\u200b\u200d\ufeff\xad\xa0`},
		{"\xff\xc3(", `\xff\xc3(`},
		{"\ufffd", "\ufffd"},
		{"\U000e0041\U000e0100", `\U000e0041\U000e0100`},
		{"a\u3164b\u2800\ufe0f", `a\u3164b\u2800\ufe0f`},
		{"=1+1<script>&", "=1+1<script>&"},
	}
	for _, tt := range tests {
		if got := Clean(tt.in); got != tt.want {
			t.Errorf("Clean(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}

func TestASCII(t *testing.T) {
	for in, want := range map[string]string{
		"plain": "plain", "ü → …": `\u00fc -> ...`, "\x1b[1m": `\x1b[1m`, "包": `\u5305`, "\U0001f600": `\U0001f600`,
	} {
		if got := ASCII(in); got != want {
			t.Errorf("ASCII(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzClean(f *testing.F) {
	for _, s := range []string{"", "goproxy.cn", "\x1b[31m", "\u202e", "\xff", "\u0300\u0300", "a\U000e0001b", "\u009b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := Clean(s)
		if !utf8.ValidString(got) {
			t.Fatalf("Clean(%q) = %q is not UTF-8", s, got)
		}
		for _, r := range got {
			if !Harmless(r) {
				t.Fatalf("Clean(%q) = %q holds %U", s, got, r)
			}
		}
		if again := Clean(got); again != got {
			t.Fatalf("Clean of clean text %q = %q", got, again)
		}
		for _, r := range ASCII(s) {
			if r < ' ' || r > '~' {
				t.Fatalf("ASCII(%q) holds %U", s, r)
			}
		}
		for line := range strings.SplitSeq(Wrap(got, 40, "- ", "  "), "\n") {
			if Width(line) > 40 && strings.Contains(strings.TrimLeft(line, "- "), " ") {
				t.Fatalf("Wrap(%q): line %q could be broken", got, line)
			}
		}
		if n := Width(Shorten(got, 10)); n > 10 {
			t.Fatalf("Shorten(%q, 10) takes %d cells", got, n)
		}
	})
}

func TestCleanOfCleanTextAllocatesNothing(t *testing.T) {
	if n := testing.AllocsPerRun(100, func() { Clean("goproxy.cn.some.example") }); n != 0 {
		t.Errorf("Clean allocates %v times", n)
	}
}
