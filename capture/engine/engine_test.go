package engine

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"goproxytrace/capture/nic"
)

var list = []nic.Interface{
	{Name: "lo", Number: 1, Loopback: true, Up: true},
	{Name: "eth0", Number: 2, Up: true},
	{Name: "ib0", Number: 3, Unreadable: "frames of hardware type 32 are not Ethernet and not IP"},
}

func TestMatch(t *testing.T) {
	for _, test := range []struct {
		given          []string
		later, await   bool
		found, missing string
		err            string
	}{
		{given: []string{"eth0"}, found: "eth0"},
		{given: []string{"2", "eth0", "lo"}, found: "eth0 lo"},
		{given: []string{"eth0", "wg0"}, later: true, found: "eth0", missing: "wg0"},
		{given: []string{"eth0", "wg0"}, err: `"wg0": no such interface`},
		{given: []string{"wg0"}, later: true, err: `"wg0": no such interface`},
		{given: []string{"wg0", "tun0"}, later: true, await: true, missing: "wg0 tun0"},
		{given: []string{"wg0", "9"}, later: true, await: true, err: `"9": no such interface`},
		{given: []string{"wg0"}, await: true, err: `"wg0": no such interface`},
		{given: []string{"eth0", "9"}, later: true, err: `"9": no such interface`},
		{given: []string{"eth0", "much-too-long-for-a-name"}, later: true, err: "no such interface"},
		{given: []string{"ib0"}, later: true, err: "hardware type 32"},
	} {
		found, missing, err := match(list, test.given, test.later, test.await)
		var names []string
		for _, f := range found {
			names = append(names, f.Name)
		}
		if got := strings.Join(names, " "); got != test.found || strings.Join(missing, " ") != test.missing || (err != nil) != (test.err != "") || err != nil && !strings.Contains(err.Error(), test.err) {
			t.Errorf("%v, later %v: found %q, missing %q, %v", test.given, test.later, got, missing, err)
		}
	}
}

func TestWrongOptions(t *testing.T) {
	if _, err := Open(Options{Ports: []uint16{8080, 0}}); err == nil || !strings.Contains(err.Error(), "port 0") {
		t.Errorf("port 0: %v", err)
	}
	if _, err := Open(Options{Engine: "other"}); !errors.Is(err, ErrUnsupported) {
		t.Errorf("an engine that is none: %v", err)
	}
	if Name(Auto) == "" {
		if _, err := Open(Options{}); !errors.Is(err, ErrUnsupported) {
			t.Errorf("without an engine: %v", err)
		}
		return
	}
	_, err := Open(Options{Interfaces: []string{"no-such-nic"}})
	var advised interface{ Hint() string }
	if !errors.Is(err, nic.ErrNotFound) || !errors.As(err, &advised) {
		t.Errorf("an interface that is not there: %v", err)
	}
	if !slices.Contains([]string{"AF_PACKET", "Npcap", "pktap"}, Name(Auto)) {
		t.Errorf("engine %q", Name(Auto))
	}
}
