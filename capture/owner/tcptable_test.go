package owner

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// rowBytes writes a row as <tcpmib.h> lays it out.
func rowBytes(local, remote netip.AddrPort, state, pid uint32, filetime uint64) []byte {
	var b []byte
	number := func(v uint32) { b = binary.LittleEndian.AppendUint32(b, v) }
	port := func(p uint16) { b = append(binary.BigEndian.AppendUint16(b, p), 0, 0) }
	if local.Addr().Is4() {
		number(state)
		b = append(b, local.Addr().AsSlice()...)
		port(local.Port())
		b = append(b, remote.Addr().AsSlice()...)
		port(remote.Port())
	} else {
		for _, end := range []netip.AddrPort{local, remote} {
			b = append(b, end.Addr().AsSlice()...)
			number(7) // scope
			port(end.Port())
		}
		number(state)
	}
	number(pid)
	b = binary.LittleEndian.AppendUint64(b, filetime)
	return append(b, make([]byte, 128)...) // OwningModuleInfo
}

func tableBytes(rows ...[]byte) []byte {
	b := binary.LittleEndian.AppendUint32(nil, uint32(len(rows)))
	b = append(b, 0, 0, 0, 0)
	for _, r := range rows {
		b = append(b, r...)
	}
	return b
}

func TestTableRows(t *testing.T) {
	const filetime = 133444736000000000 // 2023-11-12 23:06:40 UTC
	const created = int64(1700000000) * second
	six, peer := netip.MustParseAddrPort("[fe80::7]:50000"), netip.MustParseAddrPort("[2001:db8::1]:443")
	for _, c := range []struct {
		table []byte
		l     *rowLayout
		want  []tableRow
	}{
		{tableBytes(rowBytes(here, there, mibSynSent, 4120, filetime), rowBytes(here, there, mibTimeWait, 0, 0)), &layout4, []tableRow{
			{here, there, mibSynSent, 4120, created}, {here, there, mibTimeWait, 0, 0},
		}},
		{tableBytes(rowBytes(six, peer, mibEstablished, 8, filetime)), &layout6, []tableRow{{six, peer, mibEstablished, 8, created}}},
		{tableBytes(), &layout4, []tableRow{}},
	} {
		rows, err := tableRows(c.table, c.l)
		if err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(c.want, rows, cmp.AllowUnexported(tableRow{}), cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

// TestTableRowsCutOff has tables of every length, and one that claims more
// rows than memory could hold.
func TestTableRowsCutOff(t *testing.T) {
	whole := tableBytes(rowBytes(here, there, mibEstablished, 7, 1), rowBytes(there, here, mibEstablished, 8, 1))
	for n := range len(whole) {
		rows, err := tableRows(whole[:n], &layout4)
		if err == nil {
			t.Fatalf("%d of %d bytes are no error", n, len(whole))
		}
		if want := max(n-rowsAt, 0) / layout4.size; len(rows) != want {
			t.Errorf("%d bytes: %d rows, want %d", n, len(rows), want)
		}
	}
	copy(whole, "\xff\xff\xff\xff")
	rows, err := tableRows(whole, &layout4)
	if err == nil || !strings.Contains(err.Error(), "4294967295 rows") || len(rows) != 2 {
		t.Errorf("%d rows, %v", len(rows), err)
	}
}

func TestRowStates(t *testing.T) {
	held := map[string]bool{}
	for state := range uint32(14) {
		r := tableRow{state: state}
		held[r.stateName()] = r.held()
	}
	want := map[string]bool{
		"CLOSED": false, "LISTEN": false, "SYN-SENT": true, "SYN-RECEIVED": true, "ESTABLISHED": true, "FIN-WAIT-1": true, "FIN-WAIT-2": true,
		"CLOSE-WAIT": true, "CLOSING": true, "LAST-ACK": true, "TIME-WAIT": false, "state 0": true, "state 13": true,
	}
	if diff := cmp.Diff(want, held); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestFiletime(t *testing.T) {
	for in, want := range map[uint64]int64{0: 0, 1: 0, 116444736000000000: 0, 116444736000000001: 100, 1<<64 - 1: 0, 1 << 63: 0} {
		if got := unixNanoseconds(in); got != want {
			t.Errorf("%d: %d, want %d", in, got, want)
		}
	}
}

func TestListeningEnds(t *testing.T) {
	rows := []tableRow{
		{local: netip.MustParseAddrPort("0.0.0.0:8080"), state: mibListen},
		{local: netip.MustParseAddrPort("127.0.0.1:9090"), state: mibListen},
		{local: netip.MustParseAddrPort("192.0.2.7:50000"), state: mibEstablished},
	}
	e := listeningEnds(rows)
	for end, want := range map[string]bool{
		"192.0.2.7:8080": true, "[2001:db8::7]:8080": true, "127.0.0.1:9090": true, "192.0.2.7:9090": false, "192.0.2.7:50000": false,
	} {
		if got := e.has(netip.MustParseAddrPort(end)); got != want {
			t.Errorf("%s: %t, want %t", end, got, want)
		}
	}
}
