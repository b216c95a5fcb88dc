package messages

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"goproxytrace/analyze/diagnose"
)

// composed reads from the source of readers the formats of what they say in
// English about a capture, and where they stand.
func composed(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	dirs, err := os.ReadDir(filepath.Join("..", "..", "capture"))
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range dirs {
		dir := entry.Name()
		if dir == "owner" {
			continue // what it says is recorded among the events
		}
		files, err := filepath.Glob(filepath.Join("..", "..", "capture", dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			fset := token.NewFileSet()
			f, err := parser.ParseFile(fset, name, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			add := func(e ast.Expr) {
				if c, ok := e.(*ast.CallExpr); ok && len(c.Args) > 0 { // fmt.Sprintf
					e = c.Args[0]
				}
				if s, ok := literal(e); ok && strings.Contains(s, " ") {
					out[s] = fset.Position(e.Pos()).String()
				}
			}
			ast.Inspect(f, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.CallExpr:
					if len(n.Args) < 1 {
						break
					}
					switch s := n.Fun.(type) {
					case *ast.SelectorExpr:
						switch s.Sel.Name {
						case "note":
							add(n.Args[0])
						case "damage", "damageError":
							if len(n.Args) > 1 {
								add(n.Args[1])
							}
						}
					case *ast.Ident:
						if to, ok := n.Args[0].(*ast.SelectorExpr); ok && s.Name == "append" && to.Sel.Name == "Notes" {
							add(n.Args[1])
						}
					}
				case *ast.AssignStmt:
					for i, to := range n.Lhs {
						if s, ok := to.(*ast.SelectorExpr); ok && len(n.Rhs) == len(n.Lhs) && slices.Contains([]string{"fault", "partial"}, s.Sel.Name) {
							add(n.Rhs[i])
						}
					}
				}
				return true
			})
			// What is wrong with a block is what its reader returns.
			for _, d := range f.Decls {
				fn, ok := d.(*ast.FuncDecl)
				if !ok || dir != "pcapfile" || filepath.Base(name) == "input.go" || fn.Name.Name == "blockKind" || fn.Body == nil {
					continue
				}
				ast.Inspect(fn.Body, func(n ast.Node) bool {
					if r, ok := n.(*ast.ReturnStmt); ok {
						for _, e := range r.Results {
							if c, ok := e.(*ast.CallExpr); ok {
								if s, ok := c.Fun.(*ast.SelectorExpr); !ok || s.Sel.Name != "Sprintf" {
									continue
								}
							}
							add(e)
						}
					}
					return true
				})
			}
		}
	}
	if len(out) < 40 {
		t.Fatalf("only %d formats found", len(out))
	}
	return out
}

// Everything that readers compose has its phrase.
func TestEveryPhrase(t *testing.T) {
	known := map[string]bool{}
	for _, p := range phrasesChinese {
		if known[p.english] {
			t.Errorf("%q is there twice", p.english)
		}
		known[p.english] = true
	}
	for s, where := range composed(t) {
		switch {
		case known[s], s == "%s", s == "a block of type ", s == "%s at file offset %d: %w":
		default:
			t.Errorf("%s: no phrase for %q", where, s)
		}
	}
	// What other packages say stands in their source word by word.
	for file, list := range map[string][]string{
		"analyze/processes.go":               {"%s (PID %d, started by %s (PID %d))", "%s (PID %d)", "a process"},
		"analyze/attribution.go":             {", by "},
		"analyze/diagnose/gotext_verdict.go": {"an HTTP/2 stream error "},
		"capture/hostevents/wfp.go":          {"filter %d %q", "filter %d"},
		"capture/pcapfile/reader.go":         {" (the offset counts bytes after ", " decompression)"},
		"capture/pcapfile/pcap.go":           {"pcap records in Nokia's layout", "pcap as AIX writes it (interface types for link types, nanoseconds)"},
		"capture/nic/link_linux.go":          {"frames of hardware type %d are not Ethernet and not IP"},
		"analyze/decode/unread.go":           {"malformed frame", "other protocols", "IP fragments not reassembled", "IP fragments dropped for want of room", "Ethernet type 0x%04x", "cooked capture of hardware type"},
		"analyze/diagnose/dns_rules.go":      {`"no address"`, `"another error"`},
		"analyze/diagnose/tls_message.go":    {`Text("alert", "encrypted")`},
		"analyze/diagnose/fallback.go":       {`"comma"`, `"bar"`},
		"analyze/diagnose/attempt.go":        {`id = "none"`},
		"analyze/goproxy/goenv.go":           {`"environment"`, `"defaults"`, `"go's output"`, `"capture file"`},
		"analyze/dropped.go":                 {`"the capture file"`},
		"capture/hostevents/netfilter.go":    {`"kernel log"`},
		"capture/hostevents/winevents.go":    {`"Microsoft Defender network protection"`},
	} {
		b, err := os.ReadFile(filepath.Join("..", "..", filepath.FromSlash(file)))
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range list {
			if !strings.Contains(string(b), s) {
				t.Errorf("%s no longer says %q", file, s)
			}
		}
	}
}

func TestPhrases(t *testing.T) {
	for english, want := range map[string]string{
		"go (PID 20)":                           "go（PID 20）",
		"go (PID 20, started by make (PID 18))": "go（PID 20，由 make（PID 18）启动）",
		"go (PID 20, started by make (PID 18)), by git-remote-https (PID 22)": "go（PID 20，由 make（PID 18）启动），经由 git-remote-https（PID 22）",
		"a process (PID 4)":                       "某个进程（PID 4）",
		"PID 7":                                   "PID 7",
		"proxy.example":                           "proxy.example",
		"an HTTP/2 stream error REFUSED_STREAM":   "HTTP/2 流错误 REFUSED_STREAM",
		"filter 71234 \"Block Outbound\"":         "过滤器 71234 \"Block Outbound\"",
		"the file ends in the middle of a packet": "文件在数据包的中途结束",
		"the file ends in the middle of a block of type interface statistics":                     "文件在类型为 interface statistics 的块的中途结束",
		"the block lengths 32 at the beginning and 0 at the end of a block of type packet differ": "类型为 packet 的块开头的块长度 32 与结尾的 0 不同",
		"the gzip stream is cut (the offset counts bytes after gzip decompression)":               "gzip 流被截断（偏移按 gzip 解压后的字节计）",
		"comment: a packet":                    "注释：数据包",
		"IPv4 protocol 89 (OSPF)":              "IPv4 协议 89 (OSPF)",
		"":                                     "",
		"%s%d%!x":                              "%s%d%!x",
		strings.Repeat("a (PID 1), by ", 1000): strings.Repeat("a (PID 1), by ", 1000),
	} {
		if got := Chinese.Phrase(english); got != want {
			t.Errorf("%q became %q, want %q", english, got, want)
		}
		if got := English.Phrase(english); got != english {
			t.Errorf("%q became %q in English", english, got)
		}
	}
}

// Each phrase takes its own arguments: filled in English it is found again,
// with every argument in its place.
func TestPhraseArguments(t *testing.T) {
	for i, p := range phrasesChinese {
		n := 0
		english := verb.ReplaceAllStringFunc(p.english, func(v string) string {
			n++
			if strings.HasSuffix(v, "d") {
				return strings.Repeat("7", n)
			}
			return "arg" + strings.Repeat("x", n)
		})
		got := Chinese.Phrase(english)
		if got == english || strings.Contains(got, "%!") {
			t.Errorf("%q became %q", english, got)
		}
		for _, arg := range strings.FieldsFunc(english, func(r rune) bool { return !strings.ContainsRune("arg7x", r) }) {
			if strings.HasPrefix(arg, "argx") && !strings.Contains(got, arg) {
				t.Errorf("%q lost %s: %q", english, arg, got)
			}
		}
		for j, other := range phrasesChinese[:i] {
			if matcherOf(other).whole.MatchString(english) {
				t.Errorf("%q is taken for %q (%d before %d)", english, other.english, j, i)
			}
		}
	}
}

// The words that rules choose from are put into the language where they are
// values, and nothing else is.
func TestWords(t *testing.T) {
	e := diagnose.Evidence{ID: "fallback.none", Values: []diagnose.Value{diagnose.Text("host", "environment"), diagnose.Text("source", "environment")}}
	if got, want := Chinese.Evidence(&e), "GOPROXY（环境变量）在 environment 之后没有列出别的项，因此没有别的可以尝试"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	names := map[string]bool{}
	for _, s := range entries(&english) {
		for _, p := range placeholders(s) {
			names[p] = true
		}
	}
	for key := range wordsChinese {
		if name, _, _ := strings.Cut(key, "."); !names[name] {
			t.Errorf("no sentence has the value %q", name)
		}
	}
}
