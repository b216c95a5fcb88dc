package etw

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// Kind says what an event tells.
type Kind uint8

const (
	// Proceeding: a socket has its addresses and is about to send a SYN.
	Proceeding Kind = iota + 1
	// Connected: a connection was made.
	Connected
	// Accepted: a connection was taken in.
	Accepted
	// Failed: a connection was not made.
	Failed
)

// Event is what one event tells of a connection.
type Event struct {
	Kind Kind
	// Time is in Unix nanoseconds, by the clock of the trace.
	Time int64
	// PID is the process that the payload names, zero where it names none.
	// The process in whose context an event was written may be any.
	PID           uint32
	Local, Remote netip.AddrPort
	// Error is why it failed, by Winsock's name; empty where it was given up.
	Error string
	// Sent is true for a failure after which packets may have been sent.
	Sent bool
}

// Provider is one of the two providers.
type Provider uint8

const (
	TCPIP         Provider = iota + 1 // Microsoft-Windows-TCPIP
	KernelNetwork                     // Microsoft-Windows-Kernel-Network
)

// Identifiers of events.
const (
	acceptListenerComplete  = 1017
	connectTCBFailedInspect = 1020
	connectTCBFailedRoute   = 1021
	connectTCBProceeding    = 1031
	connectTCBComplete      = 1033
	connectTCBFailure       = 1034
	connectTCBTimeout       = 1045

	connected4, accepted4 = 12, 15
	connected6, accepted6 = 28, 31
)

// identifiers are the events that are asked for.
var identifiers = map[Provider][]uint16{
	TCPIP:         {acceptListenerComplete, connectTCBFailedInspect, connectTCBFailedRoute, connectTCBProceeding, connectTCBComplete, connectTCBFailure, connectTCBTimeout},
	KernelNetwork: {connected4, accepted4, connected6, accepted6},
}

// parse reads a payload; false where it is none of the events that are asked
// for, or makes no sense.
func parse(provider Provider, id uint16, b []byte) (e Event, ok bool) {
	switch provider {
	case TCPIP:
		return parseTCPIP(id, b)
	case KernelNetwork:
		return parseKernelNetwork(id, b)
	}
	return e, false
}

// parseTCPIP reads the template that the events of a TCB's life have in
// common: LocalAddressLength, LocalAddress, RemoteAddressLength,
// RemoteAddress, Status, ProcessId, Compartment, Tcb; newer versions have more
// behind.
func parseTCPIP(id uint16, b []byte) (e Event, ok bool) {
	failed := false
	switch id {
	case connectTCBProceeding:
		e.Kind = Proceeding
	case connectTCBComplete:
		e.Kind = Connected
	case acceptListenerComplete:
		e.Kind = Accepted
	case connectTCBFailure, connectTCBTimeout:
		e.Kind, e.Sent, failed = Failed, true, true
	case connectTCBFailedInspect, connectTCBFailedRoute:
		e.Kind, failed = Failed, true
	default:
		return e, false
	}
	if e.Local, b, ok = socketAddress(b); !ok {
		return e, false
	}
	if e.Remote, b, ok = socketAddress(b); !ok || len(b) < 8 {
		return e, false
	}
	status := binary.LittleEndian.Uint32(b)
	e.PID = binary.LittleEndian.Uint32(b[4:])
	switch {
	case failed:
		e.Error = statusName(status)
	case status != 0:
		return e, false // not complete, or not accepted
	}
	return e, e.Remote.Port() != 0 && e.Remote.Addr().IsValid()
}

// maxSocketAddress is the size of SOCKADDR_STORAGE.
const maxSocketAddress = 128

// socketAddress reads a length and a SOCKADDR_IN or SOCKADDR_IN6. An address
// that was not chosen yet is the zero AddrPort.
func socketAddress(b []byte) (a netip.AddrPort, rest []byte, ok bool) {
	const (
		inet4, inet6 = 2, 23
		size4, size6 = 8, 24 // up to the address's end
	)
	if len(b) < 4 {
		return a, nil, false
	}
	n := binary.LittleEndian.Uint32(b)
	if n > maxSocketAddress || int(n) > len(b)-4 {
		return a, nil, false
	}
	s, rest := b[4:4+n], b[4+n:]
	if len(s) < 2 {
		return a, rest, len(s) == 0
	}
	switch family := binary.LittleEndian.Uint16(s); {
	case family == inet4 && len(s) >= size4:
		a = netip.AddrPortFrom(netip.AddrFrom4([4]byte(s[4:])), binary.BigEndian.Uint16(s[2:]))
	case family == inet6 && len(s) >= size6:
		a = netip.AddrPortFrom(netip.AddrFrom16([16]byte(s[8:])).Unmap(), binary.BigEndian.Uint16(s[2:]))
	default:
		return a, nil, false
	}
	return a, rest, true
}

// parseKernelNetwork reads PID, size, daddr, saddr, dport, sport, which begin
// all of the provider's events of connections; the source is this host, and
// addresses and ports are in the network's order.
func parseKernelNetwork(id uint16, b []byte) (e Event, ok bool) {
	n := 4
	switch id {
	case connected6, accepted6:
		n = 16
	}
	switch id {
	case connected4, connected6:
		e.Kind = Connected
	case accepted4, accepted6:
		e.Kind = Accepted
	default:
		return e, false
	}
	if len(b) < 8+2*n+4 {
		return e, false
	}
	e.PID = binary.LittleEndian.Uint32(b)
	remote, _ := netip.AddrFromSlice(b[8 : 8+n]) // 4 or 16 bytes
	local, _ := netip.AddrFromSlice(b[8+n : 8+2*n])
	ports := b[8+2*n:]
	e.Remote = netip.AddrPortFrom(remote.Unmap(), binary.BigEndian.Uint16(ports))
	e.Local = netip.AddrPortFrom(local.Unmap(), binary.BigEndian.Uint16(ports[2:]))
	return e, e.Remote.Port() != 0 && e.Local.Port() != 0
}

// statusNames are the NTSTATUS values of ntstatus.h that connecting ends with,
// by the names of the errors that Winsock makes of them (winsock2.h).
var statusNames = map[uint32]string{
	0x00000000: "",
	0xc0000120: "", // STATUS_CANCELLED: the process has closed the socket
	0xc0000022: "WSAEACCES",
	0xc00000b5: "WSAETIMEDOUT",
	0xc0000207: "WSAEADDRNOTAVAIL",
	0xc000020a: "WSAEADDRINUSE",
	0xc000020d: "WSAECONNRESET",
	0xc0000236: "WSAECONNREFUSED",
	0xc000023c: "WSAENETUNREACH",
	0xc000023d: "WSAEHOSTUNREACH",
	0xc0000241: "WSAECONNABORTED",
}

func statusName(status uint32) string {
	if name, ok := statusNames[status]; ok {
		return name
	}
	return fmt.Sprintf("NTSTATUS 0x%08x", status)
}
