// Package afpacket captures on Linux, through the kernel's packet sockets.
//
// In come interface names and a filter, out come the packets that cross those
// interfaces, in the order of the kernel's timestamps, with the direction
// each went. It needs neither cgo nor libpcap.
//
// The socket is bound to no interface: the filter says which ones count. So an
// interface that goes away ends nothing, and one that comes later is taken in.
package afpacket
