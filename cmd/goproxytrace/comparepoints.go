package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"goproxytrace/compare/twopoint"
	"goproxytrace/internal/terminal"
)

// comparePoints compares two captures of the same traffic.
func comparePoints(ctx context.Context, std streams, o *compareOptions) error {
	var points [2]*twopoint.Point
	code := exitDone
	for i, side := range o.sides {
		path := side[0]
		src, err := openSource(ctx, std, side)
		if err != nil {
			return err
		}
		p, err := twopoint.Read(ctx, src, path)
		_ = src.Close()
		if err != nil {
			return err
		}
		if p.Damage != nil {
			code = worse(code, exitDamaged)
			complain(std, fmt.Errorf("%s: %w", path, p.Damage))
		}
		points[i] = p
	}
	language, screen := o.speech.on(terminal.Detect(std.out, o.colorMode, os.Getenv))
	r, err := twopoint.Compare(points[0], points[1], twopoint.Options{Behind: o.behind, Version: readBuildInfo().Version, Language: language})
	if err != nil {
		return err
	}
	err = o.write(std, rendering{
		text:     func(w io.Writer) error { return twopoint.WriteText(w, r, screen) },
		json:     func(w io.Writer) error { return twopoint.WriteJSON(w, r) },
		markdown: func(w io.Writer) error { return twopoint.WriteMarkdown(w, r) },
		html:     func(w io.Writer) error { return twopoint.WriteHTML(w, r) },
	})
	if err != nil {
		return err
	}
	if code != exitDone {
		return exitCode(code)
	}
	return nil
}
