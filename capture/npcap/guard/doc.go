// Package guard ends the program with advice where wpcap.dll is too old.
//
// In comes the library that gopacket's package pcap is about to load, out
// comes nothing, or a message and exit code 4: that package panics when it is
// initialized and a function is missing, which no later code can prevent.
//
// Packages are initialized in the order of their import paths as soon as those
// that they import are (Go specification, Program initialization). This one
// imports nothing but syscall and unsafe, pcap imports packages behind it in
// that order (os, time), so that this one's turn comes first.
package guard
