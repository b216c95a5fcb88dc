package farm

import (
	"hash/fnv"
	"slices"
	"strconv"
	"time"
)

// run is a run of the go command: what the lab captured, and what is changed.
type run struct {
	machine string
	at      time.Time
	capture string // without its ending
	// instead is the capture of another proxy that made the death good, empty
	// for none.
	instead   string
	host      string // in place of proxy.example
	resolver  string // in place of the lab's
	net       string // third byte of the client's address
	goVersion string
	hello     int // bytes of the ClientHello, zero for as it is
	pid       int
}

// addresses are the servers of the farm's hosts.
var addresses = map[string]struct{ v4, v6 string }{
	"proxy.example":  {"203.0.113.10", "2001:db8:113::10"},
	"mirror.example": {"198.51.100.20", "2001:db8:120::20"},
	"second.example": {"203.0.113.12", "2001:db8:113::12"},
}

// Days is how many days the farm is watched, from First on.
const Days = 14

// First is a Monday.
var First = time.Date(2026, 11, 9, 0, 0, 0, 0, time.UTC)

// machines are those of the farm with what usually happens there.
var machines = []struct{ name, usual, resolver, goVersion string }{
	{"build-1", "healthy-h2", "203.0.113.53", "go1.26.8"},
	{"build-2", "healthy-http1", "203.0.113.53", "go1.26.8"},
	{"build-3", "healthy-http1-distant", "203.0.113.54", "go1.26.8"},
	{"build-4", "healthy-near", "203.0.113.53", "go1.26.8"},
	{"build-5", "healthy-ipv6", "203.0.113.53", "go1.26.8"},
	{"build-6", "healthy-first-hello-lost", "203.0.113.53", "go1.26.8"},
}

// calendar returns the runs: each machine's at four hours of a day. Every capture
// of the lab is in one of them at least.
func calendar(captures []string) (out []run) {
	for day := range Days {
		for m, machine := range machines {
			for _, hour := range []int{8, 11, 14, 17} {
				r := run{
					machine: machine.name, capture: machine.usual, host: "proxy.example", resolver: machine.resolver, net: strconv.Itoa(51 + m),
					goVersion: machine.goVersion, pid: 1000 + 10*day + hour,
				}
				if hour == 11 || hour == 17 {
					r.host = "mirror.example"
				}
				r.at = First.AddDate(0, 0, day).Add(time.Duration(hour)*time.Hour + time.Duration(5*m+draw(r.machine, day, hour)%5)*time.Minute)
				r.troubles(m+1, day, hour)
				out = append(out, r)
			}
		}
	}
	var rest []string
	for _, c := range captures {
		if !slices.ContainsFunc(out, func(r run) bool { return r.capture == c || r.instead == c }) {
			rest = append(rest, c)
		}
	}
	// They are single events, here and there.
	for i, c := range rest {
		k := (i*len(out) + len(out)/2) / len(rest)
		for out[k].host != "proxy.example" || out[k].hello > 0 || !usual(&out[k]) {
			k++
		}
		out[k].capture = c
	}
	return out
}

// usual reports whether nothing is wrong with a run.
func usual(r *run) bool {
	for _, m := range machines {
		if m.name == r.machine {
			return m.usual == r.capture
		}
	}
	return false
}

// draw returns what looks like chance and is always the same.
func draw(machine string, day, hour int) int {
	h := fnv.New32a()
	h.Write([]byte(machine + strconv.Itoa(100*day+hour)))
	return int((h.Sum32() >> 8) % 100)
}

// troubles changes what happens where something is wrong.
func (r *run) troubles(machine, day, hour int) {
	chance := draw(r.machine, day, hour)
	mirror := r.host == "mirror.example"
	if machine == 4 && day%2 == 0 { // before the large ClientHello
		r.goVersion, r.hello = "go1.23.12", 291
	}
	switch {
	case mirror && (day > 9 || day == 9 && hour >= 11) && machine <= 4 && chance < 65:
		// A box on the way has learnt the mirror's name.
		r.capture = "sni-reset-inline"
		if machine == 2 && chance < 40 {
			r.instead = "fallback-comma-404"
		}
	case mirror && day == 2 && hour == 11:
		r.capture = "connect-refused" // the mirror is down for an hour
	case !mirror && machine == 4 && day >= 5 && chance < 60 && r.hello == 0:
		r.capture = "large-dropped"
	case !mirror && machine == 6 && hour == 14 && day%3 == 0:
		r.capture = "certificate-untrusted-tls12"
	case machine == 6 && chance < 20:
		r.capture = "healthy-tls12"
	case machine == 5 && day >= 8 && chance < 75:
		r.capture = "ipv6-hello-dropped"
	case machine == 5 && chance < 20:
		r.capture = "ipv6-dead-ipv4-fine"
	case machine == 3 && chance < 12:
		r.capture = "dns-servfail"
	case machine == 3 && chance < 18:
		r.capture = "dns-silent"
	case machine == 3 && chance < 30:
		r.capture = "healthy-dns-retry"
	case !mirror && machine == 1 && day == 12:
		r.capture = "redirect-reset"
	case !mirror && machine == 2 && day == 4:
		r.capture = "sums-reset"
	case !mirror && machine == 1 && chance < 5:
		r.capture = "stalled-body"
	}
}
