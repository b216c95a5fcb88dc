// Package portfilter says which packets a capture takes in.
//
// In come port numbers, or an expression in tcpdump's syntax; out come classic
// BPF programs for Ethernet frames and for bare IP packets, the program that
// a Linux packet socket needs around them, the same condition as an
// expression for libpcap, and a matcher for engines without a kernel filter.
//
// The filter knows ports, never addresses: names resolve differently from
// minute to minute, and a packet that was not captured cannot be asked for
// again. Beside the ports it takes in what explains their silence (ICMP,
// ARP) and what it cannot see the ports of (later fragments, IPv6 extension
// headers).
package portfilter
