package main

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"

	"goproxytrace/analyze/goproxy"
	"goproxytrace/capture/hostlog"
)

// smallHelloOff are GODEBUG's settings that leave post-quantum groups out of the
// ClientHello (crypto/tls: 1.23, 1.24 and 1.26).
var smallHelloOff = []string{"tlskyber=0", "tlsmlkem=0", "tlssecpmlkem=0"}

// remarks say what settings mean for a download. They are no problems in
// themselves: somebody has chosen them.
func remarks(ctx context.Context, records []*hostlog.Setting, getenv func(string) string) (out []string) {
	say := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	v := map[string]string{}
	for _, r := range records {
		v[r.Name] = r.Value
	}
	debug := strings.Split(v["GODEBUG"], ",")
	if slices.ContainsFunc(debug, func(s string) bool { return slices.Contains(smallHelloOff, strings.TrimSpace(s)) }) {
		say("GODEBUG leaves post-quantum groups out: the go command's ClientHello is smaller than usual (how small goproxytrace probe shows)")
	}
	if slices.Contains(debug, "http2client=0") {
		say("GODEBUG keeps the go command from HTTP/2")
	}
	for _, s := range debug {
		if mode, ok := strings.CutPrefix(strings.TrimSpace(s), "netdns="); ok {
			say("GODEBUG chooses the resolver: %s", mode)
		}
	}
	for _, e := range (goproxy.Settings{GOPROXY: v["GOPROXY"]}).Proxies() {
		if strings.Count(e.Name, "://") > 1 {
			say("GOPROXY has two addresses without a comma or bar between them: %s", e.Name)
		}
	}
	if strings.Contains(v["GOPROXY"], "|") {
		say("GOPROXY has a bar: what stands behind it is asked after any error, and learns the names of modules then")
	}
	if v["GOSUMDB"] == goproxy.Off {
		say("GOSUMDB=off: no module is checked against the checksum database")
	}
	if v["GOINSECURE"] != "" {
		say("GOINSECURE=%s: for modules of these patterns certificates are not checked and plain HTTP is allowed; the checksum database still counts", v["GOINSECURE"])
	}
	for _, name := range []string{"GOPRIVATE", "GONOPROXY", "GONOSUMDB"} {
		if slices.Contains(strings.Split(v[name], ","), "*") {
			say("%s=%s takes in every module, public ones too", name, v[name])
		}
	}
	if strings.Contains(v["GOFLAGS"], "-mod=vendor") {
		say("GOFLAGS has -mod=vendor: nothing is downloaded to build")
	}
	if p := systemProxy(ctx); p != "" {
		if env := firstSet(getenv, "HTTPS_PROXY", "https_proxy"); env == "" {
			say("the system uses a proxy (%s) and HTTPS_PROXY is not set: the go command goes without one", hostlog.RedactText(p))
		} else {
			say("the system's proxy is %s, HTTPS_PROXY is %s", hostlog.RedactText(p), hostlog.RedactSetting("HTTPS_PROXY", env))
		}
	}
	return out
}

func firstSet(getenv func(string) string, names ...string) string {
	for _, n := range names {
		if v := getenv(n); v != "" {
			return v
		}
	}
	return ""
}

// resolverMode says who looks names up for the go command here (package net,
// "Name Resolution").
func resolverMode() string {
	switch runtime.GOOS {
	case "windows":
		return "by the system's own interface"
	case "darwin":
		return "by the system's library"
	}
	return "by Go's own resolver as /etc/resolv.conf says, or by the C library where /etc/nsswitch.conf or GODEBUG=netdns asks for it"
}
