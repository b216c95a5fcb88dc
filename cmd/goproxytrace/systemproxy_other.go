//go:build !darwin

package main

import "context"

// systemProxy is empty: Linux has no such setting, and what Windows has stands
// among this machine's records (capture/hostevents).
func systemProxy(context.Context) string { return "" }
