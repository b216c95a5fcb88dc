//go:build linux

package lab

import "testing"

func TestScore(t *testing.T) {
	fault := truth("tls.reset|tls.closed", "network", "network|remote")
	open := truth("ok|http.error", "", "network|remote")
	for _, c := range []struct {
		name   string
		truth  Truth
		class  string
		places []string
		want   Score
	}{
		{"class and culprit", fault, "tls.reset", []string{"network"}, Right},
		{"the other class, widest place", fault, "tls.closed", []string{"network", "remote"}, Right},
		{"beyond the widest", fault, "tls.reset", []string{"network", "client"}, TooWide},
		{"another class", fault, "tls.not-tls", []string{"network"}, WrongClass},
		{"within widest but another did it", fault, "tls.reset", []string{"remote"}, Blamed},
		{"blamed comes before the class", fault, "tls.not-tls", []string{"host"}, Blamed},
		{"fine, it says", fault, "ok", nil, Missed},
		{"healthy", healthy, "ok", nil, Right},
		{"healthy, and an alarm", healthy, "tls.reset", []string{"network"}, FalseAlarm},
		{"undecided, ok", open, "ok", nil, Right},
		{"undecided, in widest", open, "http.error", []string{"remote"}, Right},
		{"undecided, beyond widest", open, "http.error", []string{"host"}, Blamed},
	} {
		if got := c.truth.Score(c.class, c.places); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}
