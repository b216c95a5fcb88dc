// Package pipeline is the Apache Beam pipeline over a fleet's files.
//
// In goes a list of paths, out comes a directory of Parquet tables, summary.json
// and, last of all, the file _SUCCESS.
//
//	list ─▶ sniff ─▶ same bytes together ─▶ shards of captures ─▶ analysed, rows written ─┐
//	                          │                                          │ cases          ├▶ counted, published
//	                          └──────────▶ reports ─▶ their cases ─▶ new ones in shards ─▶ rows written ─┘
//
// # Memory
//
// A runner may keep every element of every collection in memory; Prism does. So
// rows are no elements: the DoFn that analyses a shard's files one after another
// writes the rows itself, as Parquet parts in the run's own directory (_run).
// Elements are paths, hashes and names of shards. What is held at once is what one
// file needs, times the number of shards worked on side by side.
//
// # Failure
//
// The name of a part follows from what is in the shard and how it is read, and so
// do its bytes. A shard is done when its result stands beside its parts; a shard
// that is done is not worked on again, whoever asks: a bundle that is retried, one
// that a runner starts twice, or a run that is begun again because a worker died
// (Prism gives a job up then). Parts leave _run for their tables when all files are
// accounted for, and _SUCCESS is written after that: what a run left that did not
// come so far is in nobody's way. One process at a time runs in an output directory
// (Hold).
//
// A file that kills the processes that read it is found by the notes that they leave
// in _run (attempt.go), and set aside: it is accounted for as not analysed. That is
// part of what the name and bytes of its shard's parts follow from.
//
// # Each case once
//
// Files with the same bytes are one; a report on a capture that is in the run too,
// and a second report on the same case, are left out. The table files names them.
package pipeline
