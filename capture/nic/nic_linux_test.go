package nic_test

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"goproxytrace/capture/engine/spacetest"
	"goproxytrace/capture/nic"
)

func names(list []nic.Interface) (out []string) {
	for _, i := range list {
		out = append(out, i.Name)
	}
	return out
}

func TestRoutes(t *testing.T) {
	near, _ := spacetest.Pair(t)
	near.Run(`ip link add other type veth peer name end
		ip addr add 10.7.0.1/24 dev other
		ip link set other up
		ip link set end up`)
	route := func(addresses ...string) (got []string, failed error) {
		near.Do(func() error {
			var to []netip.Addr
			for _, a := range addresses {
				to = append(to, netip.MustParseAddr(a))
			}
			list, err := nic.RouteTo(to)
			got, failed = names(list), err
			return nil
		})
		return got, failed
	}
	for _, test := range []struct {
		to   []string
		want []string
		lost bool
	}{
		{[]string{"10.9.0.2"}, []string{"eth0"}, false},
		{[]string{"fd09::2"}, []string{"eth0"}, false},
		{[]string{"::ffff:10.9.0.2"}, []string{"eth0"}, false},
		{[]string{"10.7.0.9", "10.9.0.2", "fd09::9", "127.0.0.1"}, []string{"lo", "eth0", "other"}, false},
		{[]string{"10.9.0.1"}, []string{"lo"}, false}, // this host's own address
		{[]string{"198.51.100.1"}, nil, true},
		{[]string{"198.51.100.1", "10.9.0.2"}, []string{"eth0"}, true},
	} {
		got, err := route(test.to...)
		slices.Sort(got)
		slices.Sort(test.want)
		if !slices.Equal(got, test.want) || (err != nil) != test.lost {
			t.Errorf("to %v: %v, %v; want %v", test.to, got, err, test.want)
		}
	}

	standard := func() (got []string) {
		near.Do(func() error {
			list, err := nic.Default()
			got = names(list)
			slices.Sort(got)
			return err
		})
		return got
	}
	if got := standard(); !slices.Contains(got, "other") || !slices.Contains(got, "eth0") {
		t.Errorf("without a default route: %v", got)
	}
	near.Run("ip route add default via 10.9.0.2")
	if got := standard(); !slices.Equal(got, []string{"eth0", "lo"}) {
		t.Errorf("with a default route: %v", got)
	}
	near.Run("ip -6 route add default via fe80::1 dev other")
	if got := standard(); !slices.Equal(got, []string{"eth0", "lo", "other"}) {
		t.Errorf("with one of each family: %v", got)
	}
}

func TestWatchLinks(t *testing.T) {
	s := spacetest.New(t)
	var w *nic.LinkWatch
	s.Do(func() (err error) {
		w, err = nic.WatchLinks()
		return err
	})
	defer w.Close()
	poll := func() (words []string) {
		// The kernel writes to the socket before the command returns.
		links, err := w.Poll(nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range links {
			link, ok := l.LinkType()
			words = append(words, fmt.Sprintf("%s %q %d known=%v loopback=%v gone=%v", l.Name, l.Kind, link, ok, l.Loopback(), l.Gone))
		}
		slices.Sort(words)
		return slices.Compact(words)
	}
	if got := poll(); !slices.Equal(got, []string{`lo "" 1 known=true loopback=true gone=false`}) {
		t.Errorf("at first: %q", got)
	}
	if got := poll(); len(got) != 0 {
		t.Errorf("without a change: %q", got)
	}
	s.Run("ip link add name a type veth peer name b")
	if got := poll(); !slices.Equal(got, []string{`a "veth" 1 known=true loopback=false gone=false`, `b "veth" 1 known=true loopback=false gone=false`}) {
		t.Errorf("after adding: %q", got)
	}
	s.Run("ip link del dev a")
	gone := 0
	for _, word := range poll() {
		if word == `a "veth" 1 known=true loopback=false gone=true` || word == `b "veth" 1 known=true loopback=false gone=true` {
			gone++
		}
	}
	if gone != 2 {
		t.Errorf("after deleting: %d of 2 gone", gone)
	}
	// More changes than the socket holds leave the table as it is.
	var batch strings.Builder
	const changes = 1000
	for i := range changes {
		fmt.Fprintf(&batch, "link set dev lo mtu %d\n", 60000+i%2)
	}
	batch.WriteString("link add name last type veth peer name most\n")
	file := filepath.Join(t.TempDir(), "batch")
	if err := os.WriteFile(file, []byte(batch.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	s.Run("ip -batch " + file)
	links, err := w.Poll(nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(links) >= changes {
		t.Errorf("%d messages: the socket held them all", len(links))
	}
	if !slices.ContainsFunc(links, func(l nic.Link) bool { return l.Name == "last" && !l.Gone }) {
		t.Error("an interface is missing after many changes")
	}
}
