package page

import (
	"path/filepath"
	"strings"
	"testing"

	"goproxytrace/report"
	"goproxytrace/report/charts"
)

// A stage has passed where the capture shows it, and what a forged answer led to
// was tried.
func TestStages(t *testing.T) {
	for name, want := range map[string]string{
		"dns-forged-refused": "died tried ahead ahead ahead", // a connection was refused
		"dns-nxdomain":       "died ahead ahead ahead ahead",
		"tunnel-407":         "unseen passed died ahead ahead ahead", // the proxy was asked for by its address
		"connect-refused":    "passed died ahead ahead ahead",
		"reset-body":         "passed passed passed passed died",
	} {
		docs := documents(t, filepath.Join(pcaps, name+".pcapng"))
		b := &book{docs: docs[:1], tags: []string{"en"}}
		list, err := b.stages(&docs[0].Verdict)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, s := range list {
			got = append(got, s.State)
		}
		if s := strings.Join(got, " "); s != want {
			t.Errorf("%s: %s, want %s", name, s, want)
		}
	}
}

// There is no round trip of a handshake where a reset answered the SYN.
func TestRoundTripOfHandshake(t *testing.T) {
	const label = "round trip of the handshake"
	for name, want := range map[string]bool{"connect-refused": false, "syn-reset-forged": false, "hello-reset": true} {
		p := checkPage(t, write(t, documents(t, filepath.Join(pcaps, name+".pcapng"))))
		if got := strings.Contains(p.text, label) || strings.Contains(p.text, "a round trip takes"); got != want {
			t.Errorf("%s: a round trip is named: %t", name, got)
		}
	}
}

// Silence is drawn to where it was counted to: the connection's last packet, or
// the end of the capture.
func TestQuiet(t *testing.T) {
	for name, c := range map[string]struct{ start, connected, last, length, span, from, to float64 }{
		"closed after it":                      {0, 0.1, 10_000, 9999, 20_700, 1, 10_000},
		"until the end of the capture":         {10_000, 10_001, 16_400, 10_690, 20_700, 10_010, 20_700},
		"until the end, right after the start": {0, 5, 45_200, 48_693, 48_700, 7, 48_700},
		"short, at the end":                    {0, 1, 100, 20, 5000, 80, 100},
		"longer than all":                      {0, 1, 100, 9000, 5000, 1, 100},
	} {
		parts, to := quiet([]charts.Part{{Kind: charts.PartConnect, From: c.start, To: c.connected}}, c.start, c.last, c.length, c.span)
		p := parts[len(parts)-1]
		if p.Kind != charts.PartQuiet || p.From != c.from || p.To != c.to || to != c.to {
			t.Errorf("%s: silence from %g to %g, the bar to %g", name, p.From, p.To, to)
		}
	}
}

// Only what is proven of one place is said without a doubt.
func TestWhere(t *testing.T) {
	for _, c := range []struct {
		level  string
		places []string
		want   string
	}{
		{"proven", []string{"remote"}, "page.died"},
		{"strongly-suggested", []string{"network"}, "page.died-likely"},
		{"consistent", []string{"remote"}, "page.died-maybe"},
		{"proven", []string{"network", "remote"}, "page.at"},
		{"consistent", []string{"host", "network", "remote"}, "page.at-one"},
	} {
		if got := whereLabel(&report.Verdict{Level: c.level, Place: c.places}); got != c.want {
			t.Errorf("%s, %v: %s, want %s", c.level, c.places, got, c.want)
		}
	}
	for name, marks := range map[string][3]int{"icmp-prohibited": {1, 0, 0}, "stalled-body": {1, 1, 0}, "reset-body": {2, 2, 1}} {
		page := write(t, documents(t, filepath.Join(pcaps, name+".pcapng")))
		got := [3]int{1: strings.Count(page, "here unsure"), 2: strings.Count(page, "That is about what happened.")}
		for _, n := range parsePage(t, page).nodes {
			if n.name == "li" && strings.HasPrefix(n.attrs["class"], "here") {
				got[0]++
			}
		}
		if got != marks {
			t.Errorf("%s: %v places marked, unsure, and said so; want %v", name, got, marks)
		}
	}
}

// What was sent in clear is named, redacted or not, and the far end of a tunnel
// is the proxy; what is encrypted stays data.
func TestInClear(t *testing.T) {
	for name, wants := range map[string][]string{
		"tunnel-407":      {"CONNECT proxy.example:443, 95 bytes", "HTTP 407 Proxy Authentication Required", "203.0.113.80:3128 (CONNECT proxy.example:443)"},
		"tunnel-silent":   {"CONNECT proxy.example:443, "},
		"plain-http":      {"HTTP answer in clear, 105 bytes", "明文 HTTP 应答"},
		"icmp-prohibited": {"TTL 64"},
	} {
		p := checkPage(t, write(t, documents(t, filepath.Join(pcaps, name+".pcapng"))))
		for _, want := range wants {
			if !strings.Contains(squeeze(p.text), want) {
				t.Errorf("%s: %q is not on the page", name, want)
			}
		}
	}
	p := checkPage(t, write(t, documents(t, filepath.Join(pcaps, "healthy-h2.pcapng"))))
	if strings.Contains(p.text, "CONNECT") || strings.Contains(p.text, "in clear,") {
		t.Error("an encrypted connection is drawn as HTTP in clear")
	}
}
