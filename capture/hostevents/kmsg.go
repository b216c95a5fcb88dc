package hostevents

import (
	"bytes"
	"strconv"
)

// parseKmsg reads a record of /dev/kmsg: priority, number, microseconds since the
// system started and flags, then the message; lines behind are fields of it. ok
// is false for what a program wrote there, which the kernel marks by another
// facility than its own.
func parseKmsg(b []byte) (text string, since int64, ok bool) {
	head, message, found := bytes.Cut(b, []byte(";"))
	if !found {
		return "", 0, false
	}
	fields := bytes.Split(head, []byte(","))
	if len(fields) < 4 {
		return "", 0, false
	}
	priority, err := strconv.ParseUint(string(fields[0]), 10, 32)
	if err != nil || priority>>3 != 0 {
		return "", 0, false
	}
	us, err := strconv.ParseInt(string(fields[2]), 10, 64)
	if err != nil || us < 0 || us > 1<<53 {
		return "", 0, false
	}
	message, _, _ = bytes.Cut(message, []byte("\n"))
	return string(message), us * 1000, true
}
