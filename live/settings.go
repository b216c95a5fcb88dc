package live

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"goproxytrace/capture/hostlog"
	"goproxytrace/live/command"
)

// goVariables are the go command's settings that bear on downloads.
var goVariables = []string{
	"GOPROXY", "GONOPROXY", "GOSUMDB", "GONOSUMDB", "GOPRIVATE", "GOFLAGS", "GOVERSION", "GOTOOLCHAIN", "GODEBUG", "GOINSECURE", "GOVCS",
}

// Where settings come from.
const (
	fromGoEnv       = "go env"
	fromEnvironment = "environment"
)

// settingsLimit bounds how long go env may take: it reads files, and anything
// longer means that it hangs.
const settingsLimit = 2 * time.Second

// maxSettings bounds go env's output in bytes.
const maxSettings = 1 << 20

// Settings finds out how a command that is run with o is set up: what go env
// says in its place, if askGo, and what of the environment bears on downloads.
// Variables without a value are left out.
func Settings(ctx context.Context, o command.Options, askGo bool, now time.Time) []*hostlog.Setting {
	var out []*hostlog.Setting
	add := func(name, value, from string) {
		if value != "" {
			out = append(out, &hostlog.Setting{Time: now.UnixNano(), Name: name, Value: hidden(name, value), From: from})
		}
	}
	getenv := command.Lookup(o.Env)
	var values map[string]string
	if askGo {
		values = goEnv(ctx, o)
	}
	for _, name := range goVariables {
		if v, ok := values[name]; ok {
			add(name, v, fromGoEnv)
		} else {
			add(name, getenv(name), fromEnvironment)
		}
	}
	env := o.Env
	if env == nil {
		env = os.Environ()
	}
	env = slices.Clone(env)
	slices.Sort(env)
	for _, kv := range env {
		if name, value, ok := strings.Cut(kv, "="); ok && bears(name) && !slices.Contains(goVariables, name) {
			add(name, value, fromEnvironment)
		}
	}
	return out
}

// bears reports whether a variable of the environment bears on downloads.
func bears(name string) bool {
	upper := strings.ToUpper(name)
	return slices.Contains(proxyVariables, name) || upper == "NO_PROXY" || strings.HasPrefix(upper, "SSL_CERT_") || strings.HasPrefix(upper, "GIT_")
}

// hidden leaves out values of git's that hold any setting, headers with
// credentials among them. What else may be secret is cut out when a record is
// written (hostlog.Fields): addresses may not be readable without.
func hidden(name, value string) string {
	if strings.HasPrefix(name, "GIT_CONFIG_VALUE_") || name == "GIT_CONFIG_PARAMETERS" {
		return "(set)"
	}
	return value
}

// goEnv asks the go command that is run, else the one in the path.
func goEnv(ctx context.Context, o command.Options) map[string]string {
	program := "go"
	if len(o.Args) > 0 && strings.TrimSuffix(filepath.Base(o.Args[0]), ".exe") == "go" {
		program = o.Args[0]
	}
	names := append([]string{"GOENV", "GOROOT"}, goVariables...)
	getenv := command.Lookup(o.Env)
	q := command.Options{Args: append([]string{program, "env", "-json"}, names...), Dir: o.Dir, User: o.User}
	if q.Env = o.Env; q.Env == nil {
		q.Env = os.Environ()
	}
	// A go.mod that wants another toolchain would make go env fetch it, and
	// that is the very thing that hangs.
	q.Env = append(slices.Clone(q.Env), "GOTOOLCHAIN=local")
	ctx, cancel := context.WithTimeout(ctx, settingsLimit)
	defer cancel()
	b, err := command.Output(ctx, q, maxSettings)
	values := map[string]string{}
	if err != nil || json.Unmarshal(b, &values) != nil {
		return nil
	}
	values["GOTOOLCHAIN"] = toolchain(getenv, values["GOENV"], values["GOROOT"])
	delete(values, "GOENV")
	delete(values, "GOROOT")
	return values
}

// toolchain finds GOTOOLCHAIN where the go command does: in the environment,
// in the user's file, in the toolchain's own.
func toolchain(getenv func(string) string, files ...string) string {
	if v := getenv("GOTOOLCHAIN"); v != "" {
		return v
	}
	for i, f := range files {
		if i == len(files)-1 {
			f = filepath.Join(f, "go.env")
		}
		b, err := os.ReadFile(f)
		if err != nil {
			continue
		}
		lines := bufio.NewScanner(bytes.NewReader(b))
		for lines.Scan() {
			if v, ok := strings.CutPrefix(strings.TrimSpace(lines.Text()), "GOTOOLCHAIN="); ok && v != "" {
				return v
			}
		}
	}
	return ""
}
