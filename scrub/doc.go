// Package scrub copies a capture without what is private in it, so that it can
// be attached to a report.
//
// In comes a capture file, out comes a pcapng file with the same frames: their
// numbers, times, lengths, sequence numbers and checksums (right where they
// were right, wrong by as much where they were wrong) stay, and so does the
// verdict. Addresses and names are replaced by pseudonyms of the same length
// (package redact). Payload is zero but for what a verdict can rest on: the
// headers of TLS records, handshakes in clear, HTTP heads, DNS messages.
//
// Nothing passes because nobody thought of it: a frame begins as zeros, and
// what is known to be harmless is copied into it. What is not understood is
// cut off or stays zero.
package scrub
