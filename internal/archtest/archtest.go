// Package archtest holds the project's import rules as a test.
//
// In goes the module's directory, out come the imports that break a rule. All
// files count, whatever their build constraints; test files do not, since a
// fixture may come from anywhere.
package archtest

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Module is the module path.
const Module = "goproxytrace"

// Rule says what some packages never import directly.
type Rule struct {
	// From are package paths below the module; a path ending in "/..." means
	// it and everything below.
	From []string
	// Except are paths in the same form that the rule does not hold for.
	Except []string
	// Deny are import paths in the same form, in full.
	Deny []string
	// Why is the reason, for the message.
	Why string
}

// Rules are the project's: imports run one way, cmd -> compare -> report ->
// analyze -> capture.
var Rules = []Rule{
	{From: []string{"capture/..."}, Deny: own("analyze/...", "live/...", "recorder/...", "report/...", "compare/...", "cmd/..."), Why: "capture knows no analysis"},
	{From: []string{"capture/pcapfile/..."}, Deny: gopacket, Why: "the containers are our own"},
	{From: []string{"analyze/..."}, Deny: own("live/...", "recorder/...", "report/...", "compare/...", "cmd/..."), Why: "imports run one way"},
	{From: []string{"live/..."}, Deny: append(own("recorder/...", "report/...", "compare/...", "cmd/..."), gopacket...), Why: "a session feeds the analysis; who prints its result is cmd's choice"},
	{From: []string{"recorder/..."}, Deny: append(own("live/...", "report/...", "compare/...", "scrub/...", "probe/...", "cmd/..."), gopacket...), Why: "a recorder takes packets and writes cases; who captures, and what a line says of a result, is cmd's choice"},
	{From: []string{"analyze/..."}, Except: []string{"analyze/decode/..."}, Deny: gopacket, Why: "only analyze/decode imports gopacket"},
	{From: []string{"analyze/tlswire/...", "analyze/dnswire/...", "analyze/httpwire/..."}, Deny: []string{Module + "/..."}, Why: "a wire parser takes bytes and knows no flows"},
	{From: []string{"probe/..."}, Deny: append(own("capture/...", "live/...", "report/...", "compare/...", "cmd/..."), gopacket...), Why: "control tests speak through sockets and take an analysis' result; who captures meanwhile is cmd's choice"},
	{From: []string{"capture/...", "analyze/...", "live/...", "compare/..."}, Deny: own("probe/..."), Why: "an analysis sends nothing"},
	{From: []string{"report/charts"}, Deny: []string{Module + "/...", "github.com/...", "golang.org/..."}, Why: "charts draw what they are given"},
	{From: []string{"report/..."}, Deny: append(own("capture/...", "live/...", "recorder/...", "compare/...", "cmd/..."), gopacket...), Why: "a report is made from a Result"},
	{From: []string{"compare/..."}, Deny: append(own("live/...", "recorder/...", "cmd/..."), gopacket...), Why: "imports run one way"},
	{From: []string{"compare"}, Deny: own("capture/..."), Why: "runs are compared by their reports"},
	{From: []string{"redact"}, Deny: []string{Module + "/...", "github.com/...", "golang.org/..."}, Why: "what is replaced, and how, depends on no package and no library"},
	{From: []string{"scrub"}, Deny: append(own("report/...", "live/...", "cmd/..."), gopacket...), Why: "a copy is made of packets and of what an analysis found"},
	{From: []string{"capture/...", "analyze/...", "report/...", "live/..."}, Deny: own("scrub/..."), Why: "who asks for a copy is cmd's choice"},
	{From: []string{"internal/..."}, Deny: own("cmd/..."), Why: "imports run one way"},
	{From: []string{"internal/packets"}, Deny: []string{Module + "/...", "github.com/...", "golang.org/..."}, Why: "fixtures for every package depend on none"},
	{From: []string{"..."}, Except: []string{"internal/..."},
		Deny: own("internal/archtest/...", "internal/bench/...", "internal/corpus/...", "internal/htmltest/...", "internal/lab/...", "internal/markdown/inert/...", "internal/packets/...", "capture/pktmon/pktmontest"), Why: "fixtures are for tests only"},
	{From: []string{"..."}, Deny: []string{"github.com/google/gopacket/..."}, Why: "unmaintained; gopacket/gopacket is the maintained home"},
}

var gopacket = []string{"github.com/gopacket/...", "github.com/google/gopacket/..."}

func own(paths ...string) []string {
	for i := range paths {
		paths[i] = Module + "/" + paths[i]
	}
	return paths
}

// Imports returns the direct imports of every package of the module, by
// package path below the module ("." for its root), without test files.
func Imports(fsys fs.FS) (map[string][]string, error) {
	out := map[string][]string{}
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			base := d.Name()
			if name != "." && (strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") || base == "testdata") {
				return fs.SkipDir
			}
			// A directory with a go.mod is another module.
			if _, err := fs.Stat(fsys, path.Join(name, "go.mod")); err == nil && name != "." {
				return fs.SkipDir
			}
			return nil
		case !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		src, err := fs.ReadFile(fsys, name)
		if err != nil {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, src, parser.ImportsOnly)
		if err != nil {
			return err
		}
		pkg := path.Dir(name)
		if out[pkg] == nil {
			out[pkg] = []string{}
		}
		for _, i := range f.Imports {
			p, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				return fmt.Errorf("%s: import %s: %w", name, i.Path.Value, err)
			}
			if !slices.Contains(out[pkg], p) {
				out[pkg] = append(out[pkg], p)
			}
		}
		return nil
	})
	return out, err
}

// Check returns one line for each import that breaks a rule, sorted.
func Check(imports map[string][]string, rules []Rule) []string {
	var out []string
	for pkg, list := range imports {
		for _, r := range rules {
			if !matchAny(r.From, pkg) || matchAny(r.Except, pkg) {
				continue
			}
			for _, p := range list {
				// A package may use the others below its own directory.
				if matchAny(r.Deny, p) && !strings.HasPrefix(p, Module+"/"+pkg+"/") {
					out = append(out, fmt.Sprintf("%s imports %s: %s", pkg, p, r.Why))
				}
			}
		}
	}
	slices.Sort(out)
	return out
}

func matchAny(patterns []string, p string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		if pattern == "..." {
			return true
		}
		if prefix, ok := strings.CutSuffix(pattern, "/..."); ok {
			return p == prefix || strings.HasPrefix(p, prefix+"/")
		}
		return p == pattern
	})
}
