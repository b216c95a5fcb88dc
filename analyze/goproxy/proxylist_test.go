package goproxy

import (
	"slices"
	"testing"
)

func TestProxies(t *testing.T) {
	for _, tt := range []struct {
		list string
		want []Entry
	}{
		{"", nil}, {" , |", nil},
		{"https://a.example,direct", []Entry{{"https://a.example", Endpoint{"a.example", 443}, false}, {"direct", Endpoint{}, false}}},
		{"https://a.example|https://b.example:8443,off,https://c.example", []Entry{
			{"https://a.example", Endpoint{"a.example", 443}, true}, {"https://b.example:8443", Endpoint{"b.example", 8443}, false}, {"off", Endpoint{}, false}}},
		{"direct|https://a.example", []Entry{{"direct", Endpoint{}, false}}},
		{"https://u:p@a.example/x|a.example", []Entry{{"https://…@a.example/x", Endpoint{"a.example", 443}, true}, {"a.example", Endpoint{"a.example", 443}, false}}},
		{"u:p@a.example", []Entry{{"…@a.example", Endpoint{"a.example", 443}, false}}},
		{"file:///srv|direct", []Entry{{"file:///srv", Endpoint{}, true}, {"direct", Endpoint{}, false}}},
	} {
		if got := (Settings{GOPROXY: tt.list}).Proxies(); !slices.Equal(got, tt.want) {
			t.Errorf("GOPROXY=%q:\n got %+v\nwant %+v", tt.list, got, tt.want)
		}
	}
}

func TestMovesOn(t *testing.T) {
	comma, bar := Entry{}, Entry{OnAnyError: true}
	for status, want := range map[int]bool{404: true, 410: true, 403: false, 500: false, 0: false} {
		if comma.MovesOn(status) != want || !bar.MovesOn(status) {
			t.Errorf("status %d: comma %v, bar %v", status, comma.MovesOn(status), bar.MovesOn(status))
		}
	}
}

func TestPrivate(t *testing.T) {
	for _, tt := range []struct {
		patterns, path string
		want           bool
	}{
		{"", "a.example/x", false}, {"a.example", "a.example/x", true}, {"a.example/y", "a.example/x", false}, {"a.example/x/z", "a.example/x", false},
		{"*.corp.example", "git.corp.example/x", true}, {"*.corp.example", "corp.example/x", false}, {"b.example,a.example/*", "a.example/x/y", true},
		{"a.example/", "a.example", true}, {"[", "a.example", false}, {"a.exam", "a.example", false}, {",,", "", false},
	} {
		s := Settings{GOPRIVATE: tt.patterns, GOSUMDB: "sum.example+1+k"}
		if s.NoProxy(tt.path) != tt.want || s.NoSumDB(tt.path) != tt.want {
			t.Errorf("%q, %q: proxy %v, database %v, want %v", tt.patterns, tt.path, s.NoProxy(tt.path), s.NoSumDB(tt.path), tt.want)
		}
	}
	s := Settings{GOPRIVATE: "a.example", GONOPROXY: "none", GOSUMDB: "off"}
	if s.NoProxy("a.example/x") || !s.NoSumDB("b.example/x") {
		t.Error("GONOPROXY does not stand in for GOPRIVATE, or GOSUMDB=off is not obeyed")
	}
}

func TestSumDB(t *testing.T) {
	for _, tt := range []struct {
		value    string
		host     string
		explicit bool
		path     string
	}{
		{"off", "", false, ""}, {"", "", false, ""}, {"a b c", "", false, ""},
		{sumDBOfGo, sumDBOfGo, false, "/sumdb/" + sumDBOfGo + "/supported"},
		{sumDBInChina, sumDBInChina, true, "/sumdb/" + sumDBOfGo + "/supported"},
		{"sums.example+033de0ae+Ac", "sums.example", false, "/sumdb/sums.example/supported"},
		{"sums.example https://mirror.example/s", "mirror.example", true, "/sumdb/sums.example/supported"},
	} {
		db, ok := Settings{GOSUMDB: tt.value}.SumDB()
		if ok != (tt.host != "") || ok && (db.Endpoint.Host != tt.host || db.Explicit != tt.explicit || db.SupportedPath() != tt.path) {
			t.Errorf("GOSUMDB=%q: %+v, %v", tt.value, db, ok)
		}
	}
}

func TestHostKinds(t *testing.T) {
	for host, want := range map[string][2]bool{ // source, redirect
		"github.com": {true, false}, "Gist.GitHub.com.": {true, false}, "git.corp.example": {true, false}, "notgithub.com": {false, false},
		"storage.googleapis.com": {false, true}, "b.s3.amazonaws.com": {false, true}, "telemetry.go.dev": {false, false}, "": {false, false},
	} {
		if got := [2]bool{SourceHost(host), RedirectHost(host)}; got != want {
			t.Errorf("%q: %v, want %v", host, got, want)
		}
	}
	for name, want := range map[string]bool{"git": true, "GIT-REMOTE-HTTPS.EXE": true, "go": false, "firefox": false} {
		if Child(name) != want {
			t.Errorf("Child(%q) = %v", name, !want)
		}
	}
}

// The timers leave a request without an answer to wait for ever, so that what
// stands here is all that ends a download by itself.
func TestTimers(t *testing.T) {
	if dead := KeepAliveIdle + KeepAliveCount*KeepAliveInterval; dead.Seconds() != 165 {
		t.Errorf("a dead path is noticed after %v; measured were 167.9 s, the last probe's wait included", dead)
	}
	if DialLeast >= DialTimeout || LookupAttempts*LookupTimeout.Seconds() != 10 {
		t.Error("timers contradict each other")
	}
}
