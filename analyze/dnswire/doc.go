// Package dnswire reads DNS messages and joins them to lookups.
//
// In come the payloads of UDP datagrams and the bytes of TCP streams to and
// from port 53, and ICMP errors that quote them. Out come lookups: what was
// asked, how often, and every answer, error or silence that followed.
// Multicast DNS and NetBIOS are no lookups here.
//
// Input is hostile: lists and open lookups are bounded, and of a malformed
// message what could be read is reported with the error. Names are as on the
// wire, unescaped and without the last dot; whoever prints them escapes them.
package dnswire
