package hostevents

import "testing"

// TestKmsg holds that only what the kernel itself logged counts: any program that
// may write to /dev/kmsg can write what looks like a firewall's line.
func TestKmsg(t *testing.T) {
	const packet = "[UFW BLOCK] " + packetText
	for record, want := range map[string]bool{
		"4,339,5140900,-;" + packet + "\n":                 true,
		"4,339,5140900,-,caller=T1;" + packet + "\n":       true,
		"4,339,5140900,-;" + packet + "\n SUBSYSTEM=net\n": true,
		"12,339,5140900,-;" + packet + "\n":                false, // LOG_USER
		"28,339,5140900,-;" + packet + "\n":                false, // LOG_DAEMON
		"4,339,5140900;" + packet:                          false,
		"4,339,x,-;" + packet:                              false,
		"4,339,-1,-;" + packet:                             false,
		"4,339,99999999999999999999,-;" + packet:           false,
		"4,339,5140900,-" + packet:                         false,
		"":                                                 false,
	} {
		text, since, ok := parseKmsg([]byte(record))
		if ok != want || ok && (text != packet || since != 5140900000) {
			t.Errorf("%.40q: %q, %d, %v", record, text, since, ok)
		}
	}
}
