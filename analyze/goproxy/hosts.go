package goproxy

import "strings"

// StorageOfGo is where Go's own module proxy sends the go command for the
// bytes of some modules.
const StorageOfGo = "storage.googleapis.com"

// RedirectHost reports whether host is one that module proxies are known to
// send the go command to for the bytes of a module: object stores and content
// delivery networks.
func RedirectHost(host string) bool {
	host = plainHost(host)
	for _, s := range redirectHosts {
		if underDomain(host, s) {
			return true
		}
	}
	return false
}

var redirectHosts = []string{
	StorageOfGo, "amazonaws.com", "cloudfront.net", "blob.core.windows.net", "r2.cloudflarestorage.com",
	"aliyuncs.com", "myqcloud.com", "qiniucdn.com", "clouddn.com", "qbox.me", "fastly.net", "akamaized.net", "b-cdn.net",
}

// SourceHost reports whether modules are commonly fetched from host without a
// proxy: version control services, and hosts whose name says that they are one.
func SourceHost(host string) bool {
	host = plainHost(host)
	if host == "telemetry.go.dev" {
		return false // usage counters, no modules
	}
	for _, s := range sourceHosts {
		if underDomain(host, s) {
			return true
		}
	}
	first, _, _ := strings.Cut(host, ".")
	switch first {
	case "git", "gitlab", "gitea", "hg", "svn", "bzr", "fossil", "gerrit", "gopkg":
		return true
	}
	return false
}

var sourceHosts = []string{
	"github.com", "gitlab.com", "bitbucket.org", "codeberg.org", "gitee.com", "sr.ht", "googlesource.com", "launchpad.net",
	"go.dev", "golang.org", "dev.azure.com", "visualstudio.com",
}

func underDomain(host, domain string) bool {
	return host == domain || strings.HasSuffix(host, "."+domain)
}

func plainHost(host string) string { return strings.ToLower(strings.TrimSuffix(host, ".")) }

// Child reports whether a program of this name fetches modules on the go
// command's account, for "direct" and private modules
// (cmd/go/internal/modfetch/codehost).
func Child(program string) bool {
	switch strings.TrimSuffix(strings.ToLower(program), ".exe") {
	case "git", "git-remote-https", "git-remote-http", "ssh", "hg", "svn", "fossil", "bzr":
		return true
	}
	return false
}

// Command reports whether a program of this name is the go command, also one
// that golang.org/dl installed under the name of its release.
func Command(program string) bool {
	n := strings.TrimSuffix(strings.ToLower(program), ".exe")
	return n == "go" || strings.HasPrefix(n, "go1.") && strings.Trim(n[3:], ".0123456789abcrt") == ""
}

// Carrier reports whether a program of this name works for the one that started
// it when modules are fetched: version control, its helpers, and the shells that
// these run their commands by.
func Carrier(program string) bool {
	n := strings.TrimSuffix(strings.ToLower(program), ".exe")
	switch n {
	case "sh", "bash", "dash", "zsh", "cmd", "sshpass":
		return true
	}
	return Child(n) || strings.HasPrefix(n, "git-")
}

// PublicEnd returns the part at the end of a host's name that says nothing about
// who asked for it: the whole name of Go's own servers, of well-known public
// module proxies and version control services; the domain alone where others
// have names of their own below it (object stores); otherwise nothing.
func PublicEnd(host string) string {
	host = plainHost(host)
	for _, s := range publicDomains {
		if underDomain(host, s) {
			return host
		}
	}
	for _, list := range [][]string{sourceHosts, redirectHosts} {
		for _, s := range list {
			if underDomain(host, s) {
				return s
			}
		}
	}
	return ""
}

// publicDomains are domains whose owner alone gives the names below them.
var publicDomains = []string{
	"golang.org", "go.dev", sumDBInChina, StorageOfGo,
	"goproxy.cn", "goproxy.io", "mirrors.aliyun.com",
	"github.com", "githubusercontent.com", "gitlab.com", "bitbucket.org", "codeberg.org", "gitee.com", "git.sr.ht",
	"gopkg.in", "google.golang.org", "go.googlesource.com", "go.uber.org", "k8s.io", "launchpad.net", "dev.azure.com",
}
