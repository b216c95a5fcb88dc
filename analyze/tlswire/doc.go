// Package tlswire reads TLS out of byte streams.
//
// In come the bytes of the two directions of one connection, in stream order,
// with the frame and time that carried them, and a count for bytes that the
// capture does not hold. Out come the facts of the conversation (hellos,
// versions, certificates, alerts, record sizes) and a call for each message as
// it is completed. SSL 3.0 to TLS 1.3 are read, and ClientHellos in SSL 2.0
// framing. Nothing is decrypted.
//
// The package knows no TCP: which bytes belong to a stream, and in which
// order, is its caller's business. Input is hostile: every buffer and list is
// bounded, nothing panics, and what is malformed becomes a fact with its
// stream offset. Strings are kept as they came from the wire; whoever prints
// them escapes them.
package tlswire
