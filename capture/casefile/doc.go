// Package casefile writes the case file of a live capture: one pcapng file
// with the packets, their owners, what the host said meanwhile, and the
// interfaces' counters.
//
// In go packets, hostlog records, interfaces and counters, in the order in
// which they are to stand; out comes a file that any reader of pcapng opens,
// records being systemd journal export blocks. What was given is in the
// kernel's hands within a second, in writes that end where a block ends, so
// that a killed process or a full disk leaves a file that is readable as far
// as it goes. Trouble with the file is reported once and the Writer then
// swallows what it is given: a capture goes on without its file.
//
// With a ring, the newest files of a number are kept; each can be read alone.
package casefile
