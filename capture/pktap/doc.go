// Package pktap captures on macOS, through the system's own tcpdump.
//
// In come interface names and a filter, out come the packets of the pktap
// pseudo-interface, with their owners as the kernel records them. The
// system's tcpdump writes them to a pipe as a capture file, which
// capture/pcapfile reads: so the program needs no cgo and installs nothing.
// Kernel filters do not work on pktap; the filter runs here.
package pktap
