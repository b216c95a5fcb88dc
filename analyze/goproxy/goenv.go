package goproxy

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"time"
)

// goEnvLimit bounds how long go env may take: it reads two files, and anything
// longer means that it hangs.
const goEnvLimit = 2 * time.Second

// maxGoEnv bounds what is read of go env's output, in bytes.
const maxGoEnv = 1 << 20

// Source says where settings come from.
type Source string

// Sources. What go's own output says goes before all others.
const (
	FromEnvironment Source = "environment"
	FromGoEnv       Source = "go env"
	FromDefaults    Source = "defaults"
	FromOutput      Source = "go's output"
	FromCapture     Source = "capture file" // recorded on the host that captured
)

// Load finds the settings that a go command started here would use: the
// environment's, else (if askGo) go env's, else Go's defaults. The Source is
// GOPROXY's. It cannot fail.
func Load(ctx context.Context, askGo bool, getenv func(string) string) (Settings, Source) {
	s := Settings{
		GOPROXY:   getenv("GOPROXY"),
		GOSUMDB:   getenv("GOSUMDB"),
		GOPRIVATE: getenv("GOPRIVATE"),
		GONOPROXY: getenv("GONOPROXY"),
		GONOSUMDB: getenv("GONOSUMDB"),
	}
	if s.GOPROXY != "" && s.GOSUMDB != "" {
		return s, FromEnvironment
	}
	if askGo {
		if g, ok := goEnv(ctx, "go"); ok {
			return g, FromGoEnv
		}
	}
	from := FromEnvironment
	if s.GOPROXY == "" {
		s.GOPROXY, from = defaultGOPROXY, FromDefaults
	}
	if s.GOSUMDB == "" {
		s.GOSUMDB = defaultGOSUMDB
	}
	return s, from
}

// goEnv runs go env outside any module: a go.mod or go.work could ask for
// another toolchain, and fetching that is the very thing that hangs.
func goEnv(ctx context.Context, program string) (Settings, bool) {
	path, err := exec.LookPath(program)
	if err != nil {
		return Settings{}, false
	}
	dir, err := os.MkdirTemp("", "goproxytrace-")
	if err != nil {
		return Settings{}, false
	}
	defer os.RemoveAll(dir)
	ctx, cancel := context.WithTimeout(ctx, goEnvLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "env", "-json", "GOPROXY", "GOSUMDB", "GOPRIVATE", "GONOPROXY", "GONOSUMDB")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PWD="+dir, "GOTOOLCHAIN=local", "GOFLAGS=", "GOWORK=off", "GO111MODULE=")
	out := &limitedBuffer{limit: maxGoEnv}
	cmd.Stdout = out
	// A grandchild that keeps the pipe open must not keep us waiting.
	cmd.WaitDelay = 100 * time.Millisecond
	ownGroup(cmd)
	if cmd.Run() != nil {
		return Settings{}, false
	}
	var s Settings
	if json.Unmarshal(out.Bytes(), &s) != nil || s.GOPROXY == "" {
		return Settings{}, false
	}
	return s, true
}

// limitedBuffer keeps the first limit bytes and swallows the rest.
type limitedBuffer struct {
	bytes.Buffer
	limit int
}

func (b *limitedBuffer) Write(p []byte) (int, error) {
	if room := b.limit - b.Len(); room > 0 {
		b.Buffer.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}
