// Package recorder is the flight recorder of go commands: it runs for weeks,
// keeps the latest packets in memory, and writes a case only when a download has
// died.
//
// In come a session's packets and records (package live, whose case file a
// Recorder is), out come case files and a log of verdicts in one directory.
//
// # What is kept in memory
//
// Packets are kept by connection, lookups, ICMP and ARP beside them. Of a packet
// are kept its headers, the headers of TLS records, the bodies of records that
// are no application data (handshakes, alerts), HTTP heads in clear, and DNS
// messages; its length stays. What is left out within a packet is written as
// zeros, what is left out at its end is cut off, so that the packets of a case
// are those that a capture with a snapshot length would hold. An analysis finds
// every record and every sequence number in them: of all captures of this
// project the cut copy has the verdicts of the whole one, which a test holds.
//
// Half of Options.MaxMemory, less 64 MiB that the program itself takes, holds
// packets and records. When that is not enough, what nobody owns goes first, then connections of builds under way that
// are over and look healthy (the oldest first), then the middle of those that
// are open. The beginning of an open connection stays. What was given up of a
// build is counted in its case as dropped, is named there as something that
// could not be read, and stands in its line.
//
// # When something is written
//
// An episode is what one go command does, with the git and ssh that work for it:
// from its start to the end of its processes and of their traffic (5 s at most).
// At its end exactly what its case file would hold is given to analyze.Run, with
// the processes, owners, settings and drops that the host told of. It is kept
//
//   - where the go command failed, or how it ended is not known, and the verdict
//     is a death. Where the verdict is none because each death seems to have been
//     made good, but the command failed and a connection of its own died, that
//     counts: the go command asks nothing twice;
//   - where it succeeded, only if the death is sure (strongly-suggested or
//     proven) and one of its own connections or attempts;
//   - where it failed, was on the network, and too much is missing for a verdict
//     (capture.unusable);
//   - where Options.KeepOK draws it.
//
// A failed lookup, of which nobody knows whose it is, counts alone only where it
// was for a host that the go command was told to ask. What nobody owns counts only
// from the start of the go command's processes to their end.
//
// Where a signal ended the go command it is judged as it was just before: if its
// servers were sending, somebody has stopped it, and nothing has died.
//
// One that still runs, has an open connection, and of which nothing was heard for
// 100 s, is judged then: a go command closes what it does not use after 90 s. If
// the death is sure, the case is written at once, and once more, with all that
// came since, when it ends. One that has no connection for an hour (a server that
// go run has started) ends, too, and begins anew with its next packet. All times
// of silence are those for which the machine was awake; that it slept, or that its
// clock was set, stands in the case.
//
// # The directory
//
//	lock                               held (flock, LockFileEx) while a recorder runs
//	cases/TIME-CLASS-ID.pcapng         a case
//	verdicts.ndjson                    the log, one JSON object in each line
//	verdicts-ID-TIME.ndjson            the log, rotated
//	tmp/                               what is being written
//
// TIME is UTC, as in 20260301T120012Z; CLASS is a verdict's; ID has twelve hex
// digits, of which the first six count up while the directory holds cases. All
// files have mode 0600, the directories 0700.
//
// Each line is a report (goproxytrace.report/v1: connections and lookups are the
// foremost 100, the case has all) with one more member, "recorder" (type Line). A
// line is appended in one write once its case is complete, on the disk, and in its
// place: who finds a line finds its case, until that is removed. recorder.case_id
// is another in every line. A line with recorder.completes replaces the line of
// that case_id, and its case that one's, which is removed; both lines stay in the
// log. Who was interrupted in between is completed at the next start: no case
// without its line, no line twice.
//
// A rotated log keeps its name, and is never written again. Names sort in the order
// in which they were rotated.
// Who follows the log keeps the identity of the file that verdicts.ndjson was (its
// inode) and how far that was read. When the name leads to another file, the
// former one, under whatever name it is now, is read to its end before the new one
// from its beginning; when the file is shorter than what was read of it, it was
// cut (copytruncate) and is read from its beginning. Bytes behind the last newline
// are no line yet. Other programs may rotate the log, too: the recorder notices
// before it writes.
//
// # Limits
//
// Cases and logs together stay below Options.MaxDisk: before a case is written the
// oldest are removed, by the numbers in their names (a clock may have been set).
// Rotated logs go, the oldest first, where they take more than a quarter of it.
// Files that no recorder names so are neither counted nor removed. A case may take half of the limit; of a larger one the
// beginning is written, and its line says so (ended_early). On a full disk cases
// wait in memory, as far as that goes, and are tried again every 30 s; the next
// line says how many were lost. Where the directory was removed, or moved away, one
// is begun anew under its name, by the rules of the start.
package recorder
