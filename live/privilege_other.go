//go:build !linux

package live

// DropPrivileges does nothing: there are no capabilities to give up.
func DropPrivileges(_, _ bool) error { return nil }

// Capabilities is empty: there are none.
func Capabilities() []string { return nil }
