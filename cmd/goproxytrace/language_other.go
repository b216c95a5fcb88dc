//go:build !windows

package main

// surfaceLanguages are none: the environment says all.
func surfaceLanguages() []string { return nil }
