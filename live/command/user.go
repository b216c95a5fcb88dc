package command

import (
	"os"
	"slices"
	"strings"
)

// User is the user a command runs as.
type User struct {
	UID, GID uint32
	Groups   []uint32
	// Name and Home are empty where unknown.
	Name, Home string
}

// Environment returns env (nil means the caller's) as the user's own would be
// in what names the user.
func Environment(env []string, u *User) []string {
	if env == nil {
		env = os.Environ()
	}
	set := map[string]string{"HOME": u.Home, "USER": u.Name, "LOGNAME": u.Name}
	var out []string
	for _, kv := range env {
		name, _, _ := strings.Cut(kv, "=")
		switch {
		case set[name] != "":
		case strings.HasPrefix(name, "SUDO_"), name == "MAIL":
		default:
			out = append(out, kv)
		}
	}
	for _, name := range []string{"HOME", "USER", "LOGNAME"} {
		if set[name] != "" {
			out = append(out, name+"="+set[name])
		}
	}
	return out
}

// Lookup reads variables from env; nil means the process's own.
func Lookup(env []string) func(string) string {
	if env == nil {
		return os.Getenv
	}
	return func(name string) string {
		for _, kv := range slices.Backward(env) { // the last one counts
			if v, ok := strings.CutPrefix(kv, name+"="); ok {
				return v
			}
		}
		return ""
	}
}
