package owner

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestCountersMoved holds what counts as a connection's beginning or end, and that
// a file that tells nothing never says that nothing happened.
func TestCountersMoved(t *testing.T) {
	const names = "Ip: Forwarding DefaultTTL\nIp: 1 64\n" +
		"Tcp: RtoAlgorithm RtoMin RtoMax MaxConn ActiveOpens PassiveOpens AttemptFails EstabResets CurrEstab InSegs OutSegs\n"
	path := filepath.Join(t.TempDir(), "snmp")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	c := &counters{f: f, buf: make([]byte, 16<<10)}
	for i, step := range []struct {
		text  string
		moved bool
	}{
		{names + "Tcp: 1 200 120000 -1 5 6 7 8 9 100 200\nUdp: 1 2\n", true},
		{names + "Tcp: 1 200 120000 -1 5 6 7 8 9 100 200\nUdp: 1 3\n", false},
		{names + "Tcp: 1 200 120000 -1 5 6 7 8 9 101 201\n", false}, // segments alone
		{names + "Tcp: 1 200 120000 -1 5 6 7 8 10 101 201\n", true},
		{names + "Tcp: 1 200 120000 -1 5 6 7 81 0 101 201\n", true}, // the same digits
		{names + "Tcp: 1 200 120000 -1 56 7 81 0 101 201 7\n", true},
		{names + "Tcp: 1 200 120000 -1 5\n", true},
		{names + "Tcp: 1 200 120000 -1 5\n", true},
		{"", true},
		{"Udp: 1 2\n", true},
		{"Udp: 1 2\n", true},
		{names + "Tcp: 1 200 120000 -1 5 6 7 8 10 101 201", true},
		{names + "Tcp: 1 200 120000 -1 5 6 7 8 10 101 202", false},
		{strings.Repeat("x", 20<<10), true},
	} {
		if err := os.WriteFile(path, []byte(step.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := c.moved(); got != step.moved {
			t.Errorf("step %d: moved is %t, want %t", i, got, step.moved)
		}
	}
}
