package nic

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
)

var listed = []Interface{
	{Name: `\Device\NPF_{11111111-AAAA-0000-0000-000000000001}`, Number: 1, Index: 12, FriendlyName: "Wi-Fi", Description: "Intel(R) Wi-Fi 6 AX201", GUID: "{11111111-AAAA-0000-0000-000000000001}"},
	{Name: LoopbackDevice, Number: 2, Index: 1, FriendlyName: "Loopback Pseudo-Interface 1", Loopback: true},
	{Name: "eth0", Number: 3, Index: 4},
	{Name: "ETH0", Number: 4, Index: 5},
	{Name: "1", Number: 5, Index: 6},
	{Name: "en5", Number: 6, Description: "USB adapter"},
	{Name: "en6", Number: 7, Description: "USB adapter"},
}

func TestMatch(t *testing.T) {
	for spec, want := range map[string]int{
		"Wi-Fi": 1, "wi-fi": 1, "11111111-aaaa-0000-0000-000000000001": 1, "{11111111-AAAA-0000-0000-000000000001}": 1,
		`\device\npf_loopback`: 2, "2": 2, "eth0": 3, "ETH0": 4, " eth0 ": 3,
		"1": 5, // the name goes before the number
		"6": 6,
	} {
		if i, err := Match(listed, spec); err != nil || i.Number != want {
			t.Errorf("%q: number %d, %v; want %d", spec, i.Number, err, want)
		}
	}
	for spec, want := range map[string]string{"usb adapter": "fits several", "Eth0": "fits several", "8": "no such interface", "": "no such interface", "wlan0": "no such interface"} {
		_, err := Match(listed, spec)
		var advised interface{ Hint() string }
		if err == nil || !strings.Contains(err.Error(), want) || !errors.As(err, &advised) {
			t.Errorf("%q: %v, want %q", spec, err, want)
		}
		if want == "no such interface" && (!errors.Is(err, ErrNotFound) || !strings.Contains(advised.Hint(), "Wi-Fi, ")) {
			t.Errorf("%q: %v, %q", spec, err, advised.Hint())
		}
	}
}

func TestJoinDevices(t *testing.T) {
	system := []Interface{
		{GUID: "{A}", FriendlyName: "Wi-Fi", Up: true},
		{GUID: "{B}", FriendlyName: "Teredo"},
		{GUID: "{L}", FriendlyName: "Loopback Pseudo-Interface 1", Loopback: true},
	}
	joined := joinDevices(system, []device{{`\Device\NPF_{a}`, "Intel"}, {LoopbackDevice, "Adapter for loopback traffic capture"}, {`\Device\NPF_{C}`, "WAN Miniport"}})
	want := []struct{ name, friendly string }{
		{`\Device\NPF_{A}`, "Wi-Fi"}, {`\Device\NPF_{B}`, "Teredo"}, {LoopbackDevice, "Loopback Pseudo-Interface 1"}, {`\Device\NPF_{C}`, ""},
	}
	if len(joined) != len(want) {
		t.Fatalf("%d interfaces, want %d", len(joined), len(want))
	}
	for i, w := range want {
		if g := joined[i]; g.Name != w.name || g.FriendlyName != w.friendly || (g.Unreadable != "") != (w.friendly == "Teredo") {
			t.Errorf("interface %d: %+v, want %+v", i, g, w)
		}
	}
	// Without the driver the listed are known all the same.
	if without := joinDevices(system, nil); len(without) != 3 || without[1].Unreadable != "" {
		t.Errorf("without the driver: %+v", without)
	}
}

// The list agrees with what the standard library says.
func TestList(t *testing.T) {
	system, err := net.Interfaces()
	if err != nil {
		t.Skipf("this system does not list its interfaces: %v", err)
	}
	list, err := List()
	if err != nil {
		t.Fatal(err)
	}
	byIndex := make(map[int]Interface)
	for i, l := range list {
		if l.Number != i+1 {
			t.Errorf("interface %d has number %d", i+1, l.Number)
		}
		byIndex[l.Index] = l
	}
	for _, s := range system {
		l, ok := byIndex[s.Index]
		if !ok || l.Loopback != (s.Flags&net.FlagLoopback != 0) || l.Up != (s.Flags&net.FlagUp != 0) {
			t.Errorf("interface %s: %+v", s.Name, l)
			continue
		}
		addresses, _ := s.Addrs()
		if len(l.Addresses) != len(addresses) {
			t.Errorf("interface %s has %d addresses, want %d", s.Name, len(l.Addresses), len(addresses))
		}
		if found, err := Find(l.Name); err != nil || found.Index != l.Index {
			t.Errorf("Find(%q): index %d, %v", l.Name, found.Index, err)
		}
	}
}

func TestRouteToLoopback(t *testing.T) {
	got, err := RouteTo([]netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.0.2")})
	if err != nil || len(got) != 1 || !got[0].Loopback {
		t.Errorf("route to 127.0.0.1 and .2: %+v, %v", got, err)
	}
}
