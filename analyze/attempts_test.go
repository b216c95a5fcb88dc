package analyze

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"goproxytrace/analyze/diagnose"
	"goproxytrace/capture/hostlog"
	"goproxytrace/internal/packets"
	"goproxytrace/report/messages"
)

const (
	tryClient  = "192.0.2.10:45000"
	tryServer  = "198.51.100.9:443"
	otherHost  = "198.51.100.1:443"
	localRTTns = 50 * microsecond
)

// tried is an attempt of the go command that begins now.
func (w *wire) tried(local, remote string, lasts int64, err string) *hostlog.Attempt {
	a := &hostlog.Attempt{Time: w.now, PID: goPID, Remote: ap(remote), Error: err, Source: hostlog.KernelEvent}
	if local != "" {
		a.Local = ap(local)
	}
	if lasts > 0 {
		a.Ended = w.now + lasts
	}
	return a
}

// attempting plays a healthy connection of the host first, so that the capture
// is known to hold what it sends to that port.
func attempting() *wire {
	w := newWire()
	w.family()
	w.talk("192.0.2.10:40000", otherHost).connect().tls("other.example", 500).close(0)
	w.now += second
	return w
}

// unanswered plays SYNs without an answer.
func (w *wire) unanswered(client, server string, n int) {
	k := w.talk(client, server)
	for range n {
		w.add(k.syn())
		w.now += 2 * second
	}
}

func TestAttempts(t *testing.T) {
	host := []diagnose.Place{diagnose.Host}
	for _, c := range []struct {
		name   string
		play   func(w *wire)
		class  diagnose.Class
		place  []diagnose.Place
		level  diagnose.Level
		listed int // attempts without a packet
	}{
		{"swallowed without a word", func(w *wire) {
			w.tell(w.tried(tryClient, tryServer, 30*second, "ETIMEDOUT"))
			w.now += 31 * second
		}, diagnose.ConnectNotSent, host, diagnose.Proven, 1},
		{"the same, its local address not known, on all interfaces", func(w *wire) {
			w.info.Interfaces[0].Name = "any"
			w.tell(w.tried("", tryServer, 30*second, "ETIMEDOUT"))
			w.now += 31 * second
		}, diagnose.ConnectNotSent, host, diagnose.Proven, 1},
		{"given up by the program", func(w *wire) {
			w.tell(w.tried(tryClient, tryServer, 30*second, ""))
			w.now += 31 * second
		}, diagnose.ConnectNotSent, host, diagnose.Proven, 1},
		{"its packets are there", func(w *wire) {
			w.tell(w.tried(tryClient, tryServer, 30*second, "ETIMEDOUT"))
			w.unanswered(tryClient, tryServer, 6)
			w.now += 20 * second
		}, diagnose.ConnectNoAnswer, []diagnose.Place{diagnose.Network, diagnose.Remote}, diagnose.Proven, 0},
		{"its packets are there, told of afterwards and without its port", func(w *wire) {
			a := w.tried("", tryServer, 30*second, "ETIMEDOUT")
			w.unanswered(tryClient, tryServer, 6)
			w.now += 20 * second
			w.tell(a)
		}, diagnose.ConnectNoAnswer, []diagnose.Place{diagnose.Network, diagnose.Remote}, diagnose.Proven, 0},
		{"just begun when the capture ended", func(w *wire) {
			w.tell(w.tried(tryClient, tryServer, 0, "EINPROGRESS"))
			w.now += 3 * second
		}, diagnose.OK, nil, diagnose.Proven, 1},
		{"under way for a while when the capture ended", func(w *wire) {
			w.tell(w.tried(tryClient, tryServer, 0, ""))
			w.now += 20 * second
		}, diagnose.ConnectNotSent, host, diagnose.Consistent, 1},
		{"a capture that lost packets", func(w *wire) {
			n := uint64(3)
			w.info.Interfaces[0].OSDropped = &n
			w.tell(w.tried(tryClient, tryServer, 30*second, "ETIMEDOUT"))
			w.now += 31 * second
		}, diagnose.OK, nil, diagnose.Proven, 1},
		{"a port that the filter leaves out", func(w *wire) {
			w.info.Interfaces[0].Filter = "icmp or icmp6 or tcp port 443 or udp port 443"
			w.tell(w.tried(tryClient, "198.51.100.9:8443", 30*second, "ETIMEDOUT"))
			w.now += 31 * second
		}, diagnose.OK, nil, diagnose.Proven, 1},
		{"a port that only the filter tells of", func(w *wire) {
			w.info.Interfaces[0].Filter = "icmp or icmp6 or tcp port 443 or udp port 443 or tcp port 8443 or (vlan and (tcp port 1))"
			w.tell(w.tried(tryClient, "198.51.100.9:8443", 30*second, "ETIMEDOUT"))
			w.now += 31 * second
		}, diagnose.ConnectNotSent, host, diagnose.Proven, 1},
		{"over an interface that is not captured", func(w *wire) {
			w.tell(w.tried("10.8.0.2:45000", tryServer, 30*second, "ETIMEDOUT"))
			w.now += 31 * second
		}, diagnose.OK, nil, diagnose.Proven, 1},
		{"one of several addresses, dropped for another", func(w *wire) {
			w.tell(w.tried(tryClient, tryServer, 300*millisecond, "ECANCELED"))
			w.now += 31 * second
		}, diagnose.OK, nil, diagnose.Proven, 1},
		{"forbidden by a rule", func(w *wire) {
			w.tell(w.tried(tryClient, tryServer, localRTTns, "EPERM"))
			w.now += second
		}, diagnose.ConnectRejectedLocally, host, diagnose.Proven, 1},
		{"forbidden by a rule, in a capture that lost packets", func(w *wire) {
			n := uint64(3)
			w.info.Interfaces[0].OSDropped = &n
			w.tell(w.tried("", tryServer, localRTTns, "EACCES"))
			w.now += second
		}, diagnose.ConnectRejectedLocally, host, diagnose.Proven, 1},
		{"no route, and nothing else worked", func(w *wire) {
			w.tell(w.tried("", tryServer, localRTTns, "ENETUNREACH"))
			w.now += second
		}, diagnose.ConnectRejectedLocally, host, diagnose.Proven, 1},
		{"no route for one family, and the other worked", func(w *wire) {
			w.tell(w.tried("", "[2001:db8::9]:443", localRTTns, "ENETUNREACH"))
			w.tell(w.claim(goPID, tryClient, tryServer))
			w.talk(tryClient, tryServer).connect().tls("proxy.example", 500).close(0)
		}, diagnose.OK, nil, diagnose.Proven, 1},
		{"unreachable after a while: the neighbour is silent", func(w *wire) {
			w.tell(w.tried(tryClient, tryServer, 3*second, "EHOSTUNREACH"))
			w.now += 4 * second
		}, diagnose.LinkGatewaySilent, []diagnose.Place{diagnose.Host, diagnose.Network}, diagnose.Consistent, 1},
		{"unreachable after a while, over another interface", func(w *wire) {
			w.tell(w.tried("10.8.0.2:45000", tryServer, 3*second, "EHOSTUNREACH"))
			w.now += 4 * second
		}, diagnose.OK, nil, diagnose.Proven, 1},
		{"refused without a packet", func(w *wire) {
			w.tell(w.tried(tryClient, tryServer, localRTTns, "ECONNREFUSED"))
			w.now += second
		}, diagnose.ConnectRejectedLocally, host, diagnose.Proven, 1},
		{"refused by a reset on the wire", func(w *wire) {
			w.tell(w.tried(tryClient, tryServer, 20*millisecond, "ECONNREFUSED"))
			k := w.talk(tryClient, tryServer)
			w.add(k.syn())
			w.now += 15 * millisecond
			w.add(k.packet(1).Flags(packets.RST))
		}, diagnose.ConnectRefused, []diagnose.Place{diagnose.Network, diagnose.Remote}, diagnose.Proven, 0},
		{"a local proxy that is not there, loopback not captured", func(w *wire) {
			w.tell(w.tried("127.0.0.1:45000", "127.0.0.1:443", localRTTns, "ECONNREFUSED"))
			w.now += second
		}, diagnose.OK, nil, diagnose.Proven, 1},
		{"another service of this host, loopback not captured", func(w *wire) {
			w.tell(w.tried(tryClient, "192.0.2.10:443", 30*second, "ETIMEDOUT"))
			w.now += 31 * second
		}, diagnose.OK, nil, diagnose.Proven, 1},
		{"a resolver asking for its own address", func(w *wire) {
			w.tell(w.tried(tryClient, "198.51.100.9:9", 30*second, ""), w.tried(tryClient, "198.51.100.9:0", 30*second, ""))
			w.now += 31 * second
		}, diagnose.OK, nil, diagnose.Proven, 0},
		{"another program's, on another port", func(w *wire) {
			a := w.tried(tryClient, "198.51.100.9:5432", 30*second, "EPERM")
			a.PID = makePID
			w.tell(a)
			w.now += 31 * second
		}, diagnose.OK, nil, diagnose.Proven, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := attempting()
			c.play(w)
			w.lossless()
			r := analyse(t, w, Options{})
			v := &r.Verdict
			if v.Class != c.class || v.Level != c.level || !slices.Equal(v.Place, c.place) {
				t.Errorf("%s in %v, %s; want %s in %v, %s (%v)", v.Class, v.Place, v.Level, c.class, c.place, c.level, v.Evidence)
			}
			if len(r.Attempts) != c.listed {
				t.Errorf("%d attempts are listed, want %d: %+v", len(r.Attempts), c.listed, r.Attempts)
			}
			if v.Died() && c.listed > 0 && c.level == diagnose.Proven {
				if s := messages.English.Summary(v); !strings.HasPrefix(s, "go (PID 4120, started by make (PID 4100)): ") {
					t.Errorf("the process is not named: %s", s)
				}
				if len(r.Processes) != 1 || r.Processes[0].Verdict.Class != c.class {
					t.Errorf("processes %+v", r.Processes)
				}
			}
		})
	}
}

// TestAttemptMadeGood holds that an attempt over one family that was swallowed
// does not explain a failure where the other family delivered.
func TestAttemptMadeGood(t *testing.T) {
	for _, worked := range []bool{true, false} {
		w := attempting()
		w.tell(w.tried(tryClient, tryServer, 15*second, "ETIMEDOUT"))
		w.now += 15 * second
		const second4 = "198.51.100.10:443"
		w.tell(w.claim(goPID, "192.0.2.10:45001", second4))
		if worked {
			w.talk("192.0.2.10:45001", second4).connect().tls("proxy.example", 500).close(0)
		} else {
			w.unanswered("192.0.2.10:45001", second4, 3)
			w.now += 10 * second
		}
		r := analyse(t, w.lossless(), Options{})
		if got := r.Verdict.Class == diagnose.OK; got != worked {
			t.Errorf("worked %v: %s", worked, r.Verdict.Class)
		}
	}
}

// TestAttemptAfterLookup holds that a lookup which an attempt followed is not
// said to have been followed by none, wherever the attempt's packets went.
func TestAttemptAfterLookup(t *testing.T) {
	for _, told := range []bool{true, false} {
		w := attempting()
		for _, answer := range []bool{false, true} {
			from, to := "192.0.2.10:41000", "192.0.2.53:53"
			if answer {
				from, to = to, from
			}
			w.add(packets.UDP(from, to).Payload(dnsMessage(7, "proxy.example", answer))) // with the address of tryServer
		}
		if told {
			w.tell(w.tried("10.8.0.2:45000", tryServer, 0, ""))
		}
		w.now += 20 * second
		r := analyse(t, w.lossless(), lookedFor)
		if got := r.Verdict.Class == diagnose.ConnectNotSent; got == told {
			t.Errorf("told of the attempt %v: %s (%v)", told, r.Verdict.Class, r.Verdict.NotAssessed)
		}
	}
}

// TestFilterPasses holds which filters are sure to let a port pass.
func TestFilterPasses(t *testing.T) {
	for filter, want := range map[string]bool{
		"":                                     true,
		"tcp port 443":                         true,
		"port 443":                             true,
		"tcp":                                  true,
		"udp port 53 or tcp port 443":          true,
		"udp port 53 || port 443":              true,
		"udp port 443":                         false,
		"tcp port 4433":                        false,
		"not tcp port 443":                     false,
		"host 192.0.2.1":                       false,
		"tcp port 443 and host 192.0.2.1":      false,
		"host 192.0.2.1 and (tcp port 443)":    false,
		"(tcp port 443 and host 192.0.2.1)":    false,
		"vlan and (tcp port 443)":              false,
		"arp or (vlan and (arp)) or port 443":  true,
		"tcp port 443 or tcp port":             true,
		") or tcp port 443":                    false,
		strings.Repeat("(", 1000) + "port 443": false,
	} {
		if got := filterPasses(filter, 443); got != want {
			t.Errorf("%.40q: %v", filter, got)
		}
	}
}

// TestHostileAttempts holds that a flood of attempts is bounded and counted.
func TestHostileAttempts(t *testing.T) {
	w := attempting()
	for i := range 12_000 {
		a := w.tried(fmt.Sprintf("192.0.2.10:%d", 1024+i), tryServer, 30*second, strings.Repeat("E", 300))
		a.Time -= int64(i) * second // backwards, too
		w.tell(a, a)
	}
	r := analyse(t, w.lossless(), Options{})
	if len(r.Attempts) != maxAttempts || r.AttemptsOmitted != 4_000 {
		t.Errorf("%d attempts, %d omitted", len(r.Attempts), r.AttemptsOmitted)
	}
	if n := len(r.Attempts[0].Error); n > maxProcessName {
		t.Errorf("an error of %d bytes", n)
	}
	if !slices.IsSortedFunc(r.Attempts, func(a, b Attempt) int { return a.Time.Compare(b.Time) }) {
		t.Error("not in order of time")
	}
}
