package storage

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
)

// mostDepth is how many directories ** stands for at most in object stores whose
// listing knows no **.
const mostDepth = 8

// List returns the files that a pattern matches, sorted: * and ? within a name,
// [a-z] one of a range, ** any number of directories, {a,b} one of several (on
// local disks only). A local path that is there is taken as it is, whatever
// letters it has. Directories are left out, and ** does not follow links to them.
func List(ctx context.Context, pattern string) ([]string, error) {
	var list []string
	var err error
	if IsLocal(pattern) {
		list, err = listLocal(pattern)
	} else {
		list, err = listRemote(ctx, pattern)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", pattern, err)
	}
	slices.Sort(list)
	return slices.Compact(list), nil
}

func listLocal(pattern string) ([]string, error) {
	if st, err := os.Stat(pattern); err == nil {
		if st.IsDir() {
			return nil, nil
		}
		return []string{filepath.Clean(pattern)}, nil
	}
	pattern = filepath.ToSlash(filepath.Clean(pattern))
	if !doublestar.ValidatePattern(pattern) {
		return nil, doublestar.ErrBadPattern
	}
	base, rest := doublestar.SplitPattern(pattern)
	var list []string
	err := doublestar.GlobWalk(os.DirFS(base), rest, func(name string, d fs.DirEntry) error {
		path := filepath.Join(base, filepath.FromSlash(name))
		if d.Type()&fs.ModeSymlink != 0 {
			if st, err := os.Stat(path); err == nil && st.IsDir() {
				return nil
			}
		}
		list = append(list, path)
		return nil
	}, doublestar.WithNoFollow(), doublestar.WithFilesOnly(), doublestar.WithFailOnIOErrors())
	return list, err
}

func listRemote(ctx context.Context, pattern string) ([]string, error) {
	f, err := open(ctx, pattern)
	if err != nil {
		return nil, err
	}
	patterns := []string{pattern}
	if scheme(pattern) != "gs" { // which knows **
		patterns = depths(pattern)
	}
	var list []string
	for _, p := range patterns {
		names, err := f.List(ctx, p)
		if err != nil {
			return nil, err
		}
		for _, n := range names {
			// Object stores show directories as empty objects.
			if !strings.HasSuffix(n, "/") {
				list = append(list, n)
			}
		}
	}
	return list, nil
}

// depths returns patterns without ** that together match what one with it does.
func depths(pattern string) []string {
	before, after, ok := strings.Cut(pattern, "**")
	if !ok {
		return []string{pattern}
	}
	after = strings.TrimPrefix(after, "/")
	if after == "" {
		after = "*"
	}
	var out []string
	for n := range mostDepth + 1 {
		out = append(out, depths(before+strings.Repeat("*/", n)+after)...)
	}
	return out
}
