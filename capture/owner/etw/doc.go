// Package etw tells of TCP connections as Windows' own network stack does, by
// Event Tracing for Windows.
//
// In come the events of Microsoft-Windows-TCPIP and
// Microsoft-Windows-Kernel-Network, out comes which process connects whence
// and whither, and why that failed. The events are read by the providers'
// manifests, as they are registered with the system and published at
// github.com/OTRF/OSSEM (data_dictionaries/windows/etw) and, for the addresses,
// as ws2def.h and ws2ipdef.h have them; a payload is not trusted to be whole.
package etw
