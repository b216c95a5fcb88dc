// Package twopoint matches two captures of the same traffic, one near the client
// and one near the server, and says what became of packets between them.
//
// In go the two captures, out comes a Result: which packets vanished on the way
// and in which direction, which appeared there (seen at the far point only,
// whatever address they claim), which were changed, and what the two clocks
// differ by.
//
// Segments are matched by byte ranges and not one to one: segmentation offload
// makes several packets at one point of one at the other. Repetitions are told
// apart by their timestamps (RFC 7323) and IP identifications, and without them
// by time. Connections are found by addresses and ports, or through address
// translation by their initial sequence numbers or first payload.
//
// What a capture did not cover is never called vanished or injected: not in
// time, not by its filter, not where it dropped packets or shows by its own
// acknowledgements that it missed some. Such packets are counted apart.
package twopoint
