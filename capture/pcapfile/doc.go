// Package pcapfile reads and writes capture files: pcap and pcapng, plain or
// compressed with gzip or zstd.
//
// In come the bytes of a file or a pipe, out come capture.Packets that borrow
// the batch's memory, and a capture.Info that holds what the container says
// beside its packets: interfaces and their drop counters, resolved names,
// processes, journal entries. The writers turn the same packets and facts
// back into files.
//
// Which records take a frame number, which lengths are accepted and where
// reading stops is decided as Wireshark 4.0 decides it, so that frame numbers
// agree. Input is untrusted: no length is believed before its bytes were
// read, every table is bounded, and a damaged file yields everything before
// the damage and then a *capture.DamageError.
package pcapfile
