//go:build !windows

package main

// asService is for the service manager of Windows; others send signals.
func asService() (stop <-chan struct{}, ended func()) { return nil, func() {} }
