package etw

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"
)

// raw reads hexadecimal digits with blanks between fields.
func raw(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(text), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Addresses as the events have them: a length, then a SOCKADDR.
const (
	local4  = "10000000 0200 c350 c0a80105 0000000000000000"
	remote4 = "10000000 0200 01bb cb007107 0000000000000000"
	local6  = "1c000000 1700 c351 00000000 20010db8000000000000000000000005 00000000"
	remote6 = "1c000000 1700 01bb 00000000 20010db8000000000000000000000007 00000000"
	// mapped is an IPv4 address of a socket for both families.
	mapped = "1c000000 1700 01bb 00000000 00000000000000000000ffffcb007107 00000000"
	none   = "00000000"
	rest   = "01000000 8000000000000000"                  // Compartment, Tcb
	newer  = "01000000 8000000000000000 2a00000000000000" // and ProcessStartKey
)

var (
	at4, to4 = netip.MustParseAddrPort("192.168.1.5:50000"), netip.MustParseAddrPort("203.0.113.7:443")
	at6, to6 = netip.MustParseAddrPort("[2001:db8::5]:50001"), netip.MustParseAddrPort("[2001:db8::7]:443")
)

func TestParse(t *testing.T) {
	kernel4 := "39050000 00000000 cb007107 c0a80105 01bb c350"
	kernel6 := "39050000 00000000 20010db8000000000000000000000007 20010db8000000000000000000000005 01bb c351"
	for _, test := range []struct {
		name     string
		provider Provider
		id       uint16
		payload  string
		want     Event
		none     bool
	}{
		{"proceeding", TCPIP, 1031, local4 + remote4 + "00000000 39050000" + rest, Event{Kind: Proceeding, PID: 1337, Local: at4, Remote: to4}, false},
		{"complete, IPv6", TCPIP, 1033, local6 + remote6 + "00000000 39050000" + rest, Event{Kind: Connected, PID: 1337, Local: at6, Remote: to6}, false},
		{"complete, a newer version", TCPIP, 1033, local4 + remote4 + "00000000 39050000" + newer, Event{Kind: Connected, PID: 1337, Local: at4, Remote: to4}, false},
		{"complete, nothing behind the process", TCPIP, 1033, local4 + remote4 + "00000000 39050000", Event{Kind: Connected, PID: 1337, Local: at4, Remote: to4}, false},
		{"complete, IPv4 on a socket for both", TCPIP, 1033, local4 + mapped + "00000000 39050000" + rest, Event{Kind: Connected, PID: 1337, Local: at4, Remote: to4}, false},
		{"accepted", TCPIP, 1017, local4 + remote4 + "00000000 39050000" + rest, Event{Kind: Accepted, PID: 1337, Local: at4, Remote: to4}, false},
		{"refused", TCPIP, 1034, local4 + remote4 + "360200c0 39050000" + rest, Event{Kind: Failed, PID: 1337, Local: at4, Remote: to4, Error: "WSAECONNREFUSED", Sent: true}, false},
		{"given up by its process", TCPIP, 1034, local4 + remote4 + "200100c0 39050000" + rest, Event{Kind: Failed, PID: 1337, Local: at4, Remote: to4, Sent: true}, false},
		{"timed out", TCPIP, 1045, local4 + remote4 + "b50000c0 39050000" + rest, Event{Kind: Failed, PID: 1337, Local: at4, Remote: to4, Error: "WSAETIMEDOUT", Sent: true}, false},
		{"forbidden", TCPIP, 1020, local4 + remote4 + "220000c0 39050000" + rest, Event{Kind: Failed, PID: 1337, Local: at4, Remote: to4, Error: "WSAEACCES"}, false},
		{"no route", TCPIP, 1021, none + remote4 + "3c0200c0 39050000" + rest, Event{Kind: Failed, PID: 1337, Remote: to4, Error: "WSAENETUNREACH"}, false},
		{"another failure", TCPIP, 1034, local4 + remote4 + "010000c0 39050000" + rest, Event{Kind: Failed, PID: 1337, Local: at4, Remote: to4, Error: "NTSTATUS 0xc0000001", Sent: true}, false},
		{"complete, but failed", TCPIP, 1033, local4 + remote4 + "360200c0 39050000" + rest, Event{}, true},
		{"no remote address", TCPIP, 1031, local4 + none + "00000000 39050000" + rest, Event{}, true},
		{"an event that was not asked for", TCPIP, 1002, local4 + remote4 + "00000000 39050000" + rest, Event{}, true},
		{"length beyond the payload", TCPIP, 1033, "ffffffff 0200 c350 c0a80105", Event{}, true},
		{"length just beyond the payload", TCPIP, 1033, "11000000 0200 c350 c0a80105 0000000000000000", Event{}, true},
		{"length too small for its family", TCPIP, 1033, "08000000 1700 c351 00000000" + remote4 + "00000000 39050000", Event{}, true},
		{"an unknown family", TCPIP, 1033, "10000000 1100 c350 c0a80105 0000000000000000" + remote4 + "00000000 39050000", Event{}, true},
		{"cut before the process", TCPIP, 1033, local4 + remote4 + "00000000 3905", Event{}, true},
		{"empty", TCPIP, 1033, "", Event{}, true},

		{"connected", KernelNetwork, 12, kernel4 + "b405 0100 0000 0000 00000100 0800 0800 00000000 00000000", Event{Kind: Connected, PID: 1337, Local: at4, Remote: to4}, false},
		{"connected, IPv6", KernelNetwork, 28, kernel6, Event{Kind: Connected, PID: 1337, Local: at6, Remote: to6}, false},
		{"accepted", KernelNetwork, 15, kernel4, Event{Kind: Accepted, PID: 1337, Local: at4, Remote: to4}, false},
		{"accepted, IPv6", KernelNetwork, 31, kernel6 + "00000000 00000000", Event{Kind: Accepted, PID: 1337, Local: at6, Remote: to6}, false},
		{"retransmitted, which was not asked for", KernelNetwork, 30, kernel6 + "00000000 00000000", Event{}, true},
		{"sent, which was not asked for", KernelNetwork, 10, kernel4, Event{}, true},
		{"IPv6 cut off", KernelNetwork, 28, kernel4 + "00000000", Event{}, true},
		{"empty", KernelNetwork, 12, "", Event{}, true},
		{"an unknown provider", 9, 12, kernel4, Event{}, true},
	} {
		got, ok := parse(test.provider, test.id, raw(t, test.payload))
		if ok == test.none || ok && got != test.want {
			t.Errorf("%s: %+v, %v; want %+v", test.name, got, ok, test.want)
		}
	}
}

// No payload makes the reading of it fail, or lead beyond its end.
func FuzzParse(f *testing.F) {
	for _, s := range []string{local4 + remote4 + "00000000 39050000" + rest, local6 + remote6 + "360200c0 39050000" + newer, "ffffffff", none + none} {
		f.Add(uint8(TCPIP), uint16(1033), raw(f, s))
		f.Add(uint8(KernelNetwork), uint16(28), raw(f, s))
	}
	f.Fuzz(func(t *testing.T, provider uint8, id uint16, b []byte) {
		before := bytes.Clone(b)
		e, ok := parse(Provider(provider), id, b)
		if !bytes.Equal(b, before) {
			t.Error("the payload was changed")
		}
		if ok && (e.Kind == 0 || e.Remote.Port() == 0 || !e.Remote.Addr().IsValid() || e.Remote.Addr().Is4In6()) {
			t.Errorf("%+v", e)
		}
	})
}
