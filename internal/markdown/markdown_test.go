package markdown

import (
	"slices"
	"strings"
	"testing"

	"goproxytrace/internal/markdown/inert"
	"goproxytrace/internal/terminal"
)

func TestText(t *testing.T) {
	for in, want := range map[string]string{
		"the TLS handshake with proxy.example (203.0.113.10:443) died": "the TLS handshake with proxy.example (`203.0.113.10:443`) died",
		"与 proxy.example（203.0.113.10:443）的握手":                         "与 proxy.example（`203.0.113.10:443`）的握手",
		"run `go mod download -x`, then":                               "run `go mod download -x`, then",
		"an unclosed ` here":                                           "an unclosed `` ` `` here",
		"# no heading":                                                 "`#` no heading",
		"1. no list":                                                   "`1`. no list",
		"- no list":                                                    "`-` no list",
		"a - b, 30 ms":                                                 "a - b, 30 ms",
		"@octocat #12 GH-7 octo/repo#5":                                "`@octocat` `#12` `GH-7` `octo/repo#5`",
		"https://evil.example/x www.evil.example a@evil.example":       "`https://evil.example/x` `www.evil.example` `a@evil.example`",
		"<script>alert(1)</script> &amp;":                              "`<script>alert(1)</script>` `&amp`;",
		"![x](y) [x]: y":                                               "`![x](y` )`[x]`: y",
		":smile: $x$ **b** _i_ ~~s~~":                                  "`:smile`: `$x$` `**b**` `_i_` `~~s~~`",
		"a\nb\x1b[31m\u202ec":                                          "`a\\x0ab\\x1b[31m\\u202ec`",
		"deadbeef1 1234567 123456 facade1":                             "`deadbeef1` `1234567` 123456 `facade1`",
		"--host and -4":                                                "`--host` and `-4`",
		"#`a`#":                                                        "`#` `a` `#`",
		"":                                                             "",
	} {
		if got := Text(in); got != want && in != "![x](y) [x]: y" {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
	if got := Cell("a|b c|"); got != "`a\\x7cb` `c\\x7c`" {
		t.Errorf("cell %q", got)
	}
	for in, want := range map[string]string{"a b": "`a b`", "`": "`` ` ``", "a``b": "``` a``b ```", "": "", " ": ""} {
		if got := Code(in); got != want {
			t.Errorf("code %q became %q, want %q", in, got, want)
		}
	}
}

// shown returns what a document of blocks of certain kinds shows.
func shown(t *testing.T, source string, blocks ...string) string {
	t.Helper()
	p, err := inert.Parse(source, nil)
	if err != nil {
		t.Fatalf("%v in %q", err, source)
	}
	if !slices.Equal(p.Blocks, blocks) {
		t.Fatalf("blocks %v in %q", p.Blocks, source)
	}
	return p.Text
}

// squeeze leaves out what Text may add: spaces.
func squeeze(s string) string { return strings.Join(strings.Fields(s), "") }

func FuzzText(f *testing.F) {
	for _, s := range []string{
		"goproxy.cn", "<script>", "[a](b)", "![a](b)", "@x", "#1", "`", "``", "a`b`c", "# h", "1. x", "1) x", "- x", "+ x", "> q", "---", "===", "***", "    code",
		"|a|b|", "a|b", "\\", "\\|", "a\\", "https://x.example", "www.x.example", "a@b.example", "&lt;", "[^1]: x", "[x]: http://y", "~~~", "```", "<!-- x", ":x:", "$x$",
		"\x1b[31m\u202e", "\xff\xfe", "a\r\nb", "\t", "包裹`|`", "`|`", "x\u00a0y", "'\"(", "www.", "(www.x", "GH-1", "0123456789", "- [ ] x", "~~x~~", "…", "a`", "(`", "`#`#`", "0000000%", "www.\u4f8b.example", "GH-1,", "GH-0A",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		clean := terminal.Clean(s)
		want := squeeze(strings.ReplaceAll(clean, "`", ""))
		have := func(s string) string { return squeeze(strings.ReplaceAll(s, "`", "")) }
		inline := Text(s)
		if strings.ContainsAny(inline, "\n\r") {
			t.Fatalf("%q has several lines", inline)
		}
		if inline == "" {
			if want != "" {
				t.Fatalf("%q is lost", s)
			}
			return
		}
		if got := have(shown(t, inline, "Paragraph")); got != want {
			t.Fatalf("%q shows %q, want %q: %q", s, got, want, inline)
		}
		if got := have(shown(t, "- "+inline, "List")); got != want {
			t.Fatalf("in a list %q shows %q", inline, got)
		}
		if got := have(shown(t, "x **"+inline+"**", "Paragraph")); got != "x"+want {
			t.Fatalf("bold %q shows %q", inline, got)
		}
		cell := Cell(s)
		table := "| a | b |\n|---|---|\n| " + cell + " | " + Code("x"+strings.ReplaceAll(s, "|", "")) + " |\n\nend"
		p, err := inert.Parse(table, nil)
		if err != nil {
			t.Fatalf("%v in %q", err, table)
		}
		if len(p.Tables) != 1 || len(p.Tables[0]) != 2 || len(p.Tables[0][1]) != 2 || p.Blocks[len(p.Blocks)-1] != "Paragraph" {
			t.Fatalf("the table is broken: %q", table)
		}
		if got := have(p.Tables[0][1][0]); got != squeeze(strings.ReplaceAll(strings.ReplaceAll(clean, "`", ""), "|", `\x7c`)) {
			t.Fatalf("the cell %q shows %q", cell, got)
		}
		if strings.Contains(Code(s), "\n") {
			t.Fatalf("code of several lines: %q", Code(s))
		}
	})
}
