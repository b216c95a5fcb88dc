package lab

import (
	"context"
	"fmt"
	"net/http"
	"net/http/cgi"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// gitHost serves modules as git repositories over HTTPS.
type gitHost struct {
	backend cgi.Handler
}

// newGitHost makes a repository for each module of the git host; nil where
// there is none.
func newGitHost(ctx context.Context, modules []Module, home string) (*gitHost, error) {
	root := filepath.Join(home, "git")
	found := false
	for i, m := range modules {
		if !m.onGit() {
			continue
		}
		found = true
		dir := filepath.Join(root, strings.TrimPrefix(m.Path, GitName+"/")+".git")
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, err
		}
		for _, f := range m.files(byte(i)) {
			if err := os.WriteFile(filepath.Join(dir, f.name), f.data, 0o644); err != nil {
				return nil, err
			}
		}
		for _, args := range [][]string{
			{"init", "-q"}, {"add", "."},
			{"-c", "user.name=lab", "-c", "user.email=lab@" + GitName, "commit", "-q", "-m", "Begin"},
			{"tag", m.version()},
		} {
			cmd := exec.CommandContext(ctx, "git", args...)
			cmd.Dir, cmd.Env = dir, []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "GIT_CONFIG_NOSYSTEM=1"}
			if out, err := cmd.CombinedOutput(); err != nil {
				return nil, fmt.Errorf("git %s: %w: %s", args[0], err, out)
			}
		}
	}
	if !found {
		return nil, nil
	}
	git, err := exec.LookPath("git")
	if err != nil {
		return nil, err
	}
	return &gitHost{cgi.Handler{
		Path: git, Args: []string{"http-backend"}, Dir: home,
		Env: []string{"GIT_PROJECT_ROOT=" + root, "GIT_HTTP_EXPORT_ALL=1", "HOME=" + home, "GIT_CONFIG_NOSYSTEM=1",
			"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*"},
	}}, nil
}

func (g *gitHost) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Get("go-get") == "1" {
		path := GitName + strings.TrimSuffix(r.URL.Path, "/")
		fmt.Fprintf(w, `<html><head><meta name="go-import" content="%[1]s git https://%[1]s.git"></head></html>`, path)
		return
	}
	g.backend.ServeHTTP(w, r)
}
