package main

// Windows shows a program's name, version and manifest from resources, which
// the linker takes from rsrc_windows_*.syso. A release makes them (see
// .goreleaser.yaml); they are no part of the source.
//
//go:generate go run github.com/tc-hib/go-winres@v0.3.3 make --arch amd64,arm64
