package goproxy

import "testing"

func TestPublicEnd(t *testing.T) {
	for host, want := range map[string]string{
		// Whose owner alone gives names.
		"goproxy.cn": "goproxy.cn", "api.github.com": "api.github.com", "GOPROXY.cn.": "goproxy.cn", "pkg.go.dev": "pkg.go.dev", sumDBInChina: sumDBInChina, StorageOfGo: StorageOfGo,
		// Where others have names of their own.
		"acme.s3.amazonaws.com": "amazonaws.com", "acme.visualstudio.com": "visualstudio.com", "d1.cloudfront.net": "cloudfront.net", "acme.googlesource.com": "googlesource.com",
		// Look-alikes, and everybody else.
		"goproxy.cn.acme.example": "", "notgithub.com": "", "github.com.acme.example": "", "proxy.acme.example": "", "git.acme.example": "", "": "", "com": "", "10.0.0.1": "",
	} {
		if got := PublicEnd(host); got != want {
			t.Errorf("PublicEnd(%q) = %q, want %q", host, got, want)
		}
	}
	for _, e := range (Settings{GOPROXY: defaultGOPROXY, GOSUMDB: defaultGOSUMDB}).Endpoints() {
		if PublicEnd(e.Host) != e.Host {
			t.Errorf("Go's own %s is not public", e.Host)
		}
	}
}
