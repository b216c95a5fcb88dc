package redact

import (
	"path"
	"strings"
)

// commonUsers are accounts that every system of a kind has.
var commonUsers = set("root admin administrator system nobody guest public default daemon www-data localservice networkservice")

func commonUser(name string) bool { return name == "" || commonUsers[strings.ToLower(name)] }

// User returns the pseudonym of a user's name.
func (r *Redactor) User(name string) string {
	if r.reveal[Users] || commonUser(name) {
		return name
	}
	r.LearnUser(name)
	return r.numbered("user", strings.ToLower(name))
}

// usual are parts of paths that say nothing about whose they are, in lower
// case.
var usual = set(`go gopath pkg mod cache download vcs sumdb bin sbin src lib lib64 libexec usr opt etc var tmp temp run proc dev sys srv mnt share local
	home users root library applications volumes private system windows system32 syswow64 appdata roaming programs programdata
	device harddiskvolume1 harddiskvolume2 harddiskvolume3 harddiskvolume4 sdk toolchain ssl certs git-core git mingw64 cmd
	go.mod go.sum go.work gopkg.in ca-certificates.crt cert.pem ca.pem snap current go-build capture.pcapng .cache .config .local .git node_modules vendor`)

// Path returns the pseudonym of a path: the names of users, and of directories
// and files that not every machine has, are replaced.
func (r *Redactor) Path(p string) string {
	if p == "" {
		return p
	}
	sep := "/"
	if strings.Contains(p, `\`) {
		sep = `\`
		p = strings.ReplaceAll(p, "/", `\`)
	}
	parts := strings.Split(p, sep)
	last := ""
	for i, e := range parts {
		parts[i] = r.element(e, last, i == len(parts)-1, i == 0)
		if e != "" {
			last = strings.ToLower(e)
		}
	}
	return strings.Join(parts, sep)
}

// element returns the pseudonym of a part of a path that stands behind last.
func (r *Redactor) element(e, last string, isLast, isFirst bool) string {
	low := strings.ToLower(e)
	switch {
	case e == "" || e == "." || e == ".." || e == "~" || isFirst && len(e) == 2 && e[1] == ':':
		return e
	case last == "home" || last == "users" || last == "documents and settings":
		return r.User(e)
	case r.reveal[Paths]:
		return e
	case usual[low] || low == "program files" || low == "program files (x86)":
		return e
	case digits(e):
		return e
	}
	if !isLast {
		return r.numbered("dir", e)
	}
	return r.numbered("file", e) + extension(e)
}

// Program returns the pseudonym of an executable's path; its own name stays.
func (r *Redactor) Program(p string) string {
	at := strings.LastIndexAny(p, `/\`) + 1
	return r.Path(p[:at]) + p[at:]
}

// extensions are endings of names of files.
var extensions = set(`mod sum go zip info ziphash lock txt json exe dll so log pem crt pcap pcapng work list yaml yml xml html md sh bat cmd ps1 tmp git h c s a o`)

func extension(name string) string {
	if ext := path.Ext(name); ext != "" && extensions[strings.ToLower(ext[1:])] {
		return ext
	}
	return ""
}

// Module returns the pseudonym of a module path or import path, with what
// follows an "@". What stands behind a public host stays only where nobody but
// that host's owner can give names there.
func (r *Redactor) Module(m string) string {
	if r.reveal[Modules] || m == "" {
		return m
	}
	name, version, at := strings.Cut(m, "@")
	host, rest, below := strings.Cut(name, "/")
	private := matches(r.private, name)
	out := host
	switch {
	case !strings.Contains(host, "."):
		if standard[host] && !private {
			return m
		}
		out = r.numbered("module", host)
	case private || r.publicEnd(strings.ToLower(host)) != strings.ToLower(host):
		out = r.moduleHost(host)
		private = true
	case openHosts[strings.ToLower(host)]:
		private = true
	}
	if below {
		if private {
			rest = r.elements(rest)
		}
		out += "/" + rest
	}
	if at {
		out += "@" + r.version(version)
	}
	return out
}

// moduleHost replaces the host in a module's path, unless it is public.
func (r *Redactor) moduleHost(host string) string {
	low := strings.ToLower(host)
	if r.publicEnd(low) == low {
		return host
	}
	if r.reveal[Hosts] {
		return host
	}
	return r.Host(low)
}

// standard are first elements of import paths without a host.
var standard = set("std cmd net crypto encoding golang internal go vendor main os io")

// openHosts are public hosts where anybody may have modules.
var openHosts = set(`github.com gitlab.com bitbucket.org codeberg.org gitee.com git.sr.ht dev.azure.com launchpad.net gopkg.in`)

// elements replaces the elements of a path below a host. Suffixes of major
// versions stay.
func (r *Redactor) elements(p string) string {
	parts := strings.Split(p, "/")
	for i, e := range parts {
		if e == "" || strings.Trim(e, "*?") == "" || e == "..." || len(e) > 1 && e[0] == 'v' && digits(e[1:]) {
			continue
		}
		e, git := strings.CutSuffix(e, ".git")
		parts[i] = r.numbered("module", strings.ToLower(strings.ReplaceAll(e, "!", "")))
		if git {
			parts[i] += ".git"
		}
	}
	return strings.Join(parts, "/")
}

// version keeps versions; a branch may have any name.
func (r *Redactor) version(v string) string {
	switch {
	case v == "latest", v == "upgrade", v == "patch", v == "none", len(v) > 1 && v[0] == 'v' && v[1] >= '0' && v[1] <= '9':
		if strings.Trim(v, wordBytes+".+/") == "" {
			return v
		}
	}
	return r.numbered("version", v)
}

// Patterns replaces the elements of patterns in the form of GOPRIVATE.
func (r *Redactor) Patterns(list string) string {
	parts := strings.Split(list, ",")
	for i, p := range parts {
		parts[i] = r.pattern(p)
	}
	return strings.Join(parts, ",")
}

func (r *Redactor) pattern(p string) string {
	if r.reveal[Modules] || p == "none" || p == "*" || p == "" {
		return p
	}
	host, rest, below := strings.Cut(p, "/")
	out := host
	if !strings.ContainsAny(host, "[?") {
		out = r.moduleHost(host)
	} else {
		out = r.numbered("module", host)
	}
	if below {
		out += "/" + r.elements(rest)
	}
	return out
}

// matches reports whether a pattern matches the beginning of a module path, by
// whole elements (golang.org/x/mod/module.MatchPrefixPatterns).
func matches(patterns []string, target string) bool {
	for _, p := range patterns {
		n := strings.Count(p, "/")
		prefix := target
		for i := range len(target) {
			if target[i] == '/' {
				if n == 0 {
					prefix = target[:i]
					break
				}
				n--
			}
		}
		if ok, err := path.Match(p, prefix); err == nil && ok && (n == 0 || prefix != target) {
			return true
		}
	}
	return false
}

// plainArguments are words on a go or git command line that name nothing.
var plainArguments = set(`mod download get build test install run list vendor tidy verify vet env version work sync generate fetch clone ls-remote
	remote-https init config tag all -x -v -n -a -m -json -race -mod=mod -mod=readonly -mod=vendor -f -q -u -t ./... ... . std cmd --`)

// programs are what a command line begins with that says nothing.
var programs = set(`go gofmt gopls git git-remote-https git-remote-http ssh hg svn make cmake ninja bazel sh bash dash zsh fish env sudo su
	node npm python python3 docker podman code vim nvim emacs curl wget cmd powershell pwsh java gradle mvn cargo systemd init`)

// Command returns a command line without its arguments, but for those that
// name nothing. What was left out shows as "…".
func (r *Redactor) Command(args []string) []string {
	if r.reveal[Commands] || len(args) == 0 {
		return args
	}
	out := []string{r.Program(args[0])}
	if !strings.ContainsAny(args[0], "/\\") && !programs[strings.TrimSuffix(lower(args[0]), ".exe")] {
		out[0] = hidden // a program may call itself anything
	}
	for _, a := range args[1:] {
		if !plainArguments[a] {
			a = hidden
		}
		if a == hidden && out[len(out)-1] == hidden {
			continue
		}
		out = append(out, a)
	}
	return out
}

// CommandLine is Command for arguments that are joined by spaces.
func (r *Redactor) CommandLine(s string) string {
	if r.reveal[Commands] {
		return s
	}
	return strings.Join(r.Command(strings.Fields(s)), " ")
}

// hidden stands where something was that has no pseudonym.
const hidden = "…"

// Interface returns the pseudonym of a network interface's name. Names that
// the system gives by kind and number stay.
func (r *Redactor) Interface(name string) string {
	stem := strings.TrimRight(name, "0123456789")
	if r.reveal[Hosts] || interfaceStems[stem] && len(name)-len(stem) < 6 || predictable(name) {
		return name
	}
	return r.numbered("interface", name)
}

var interfaceStems = set("lo any eth wlan en em p2p awdl llw utun ppp tun tap wg docker br bond team veth virbr anpi bridge gif stf ap pktap tailscale zt nflog wwan ens eno")

// predictable reports whether a name is one that systemd makes of a card's
// place (systemd.net-naming-scheme), but not of its address.
func predictable(name string) bool {
	if len(name) < 4 || len(name) > 15 || name[0] != 'e' && name[0] != 'w' || name[1] != 'n' && name[1] != 'l' || name[2] != 'p' && name[2] != 's' && name[2] != 'o' {
		return false
	}
	return strings.Trim(name[3:], "0123456789psfdn") == ""
}
