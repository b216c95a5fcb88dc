//go:build !linux

package main

// fetchMain is a client of tests that run on Linux alone.
func fetchMain() {}
