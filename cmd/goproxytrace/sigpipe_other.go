//go:build !unix

package main

// keepBrokenPipes does nothing where such a write is an error anyway.
func keepBrokenPipes() {}
