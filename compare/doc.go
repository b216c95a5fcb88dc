// Package compare says what differs between two sets of runs.
//
// In go the reports of several captures for each of two sides (a side may be a
// machine, a network, a module proxy, a setting), out comes a Comparison: for
// every host and for the runs as a whole, the stages' times, losses, resets,
// outcomes and fingerprints side by side, and which of the differences exceed
// what repeated runs of one side show.
//
// The unit is the run, that is, one capture: connections of one run share its
// moment and its path and are no independent samples. What many connections of
// a run say of a host is first brought to one value of that run. Numbers are
// compared by the Mann-Whitney U test, outcomes by Fisher's exact test as
// Freeman and Halton extended it, both exact for the small numbers of runs that
// people make. The whole table is one family of tests, for which Holm's method
// bounds the chance of a single false alarm (adjust says how).
//
// A Comparison holds identifiers and numbers; WriteText, WriteJSON,
// WriteMarkdown and WriteHTML turn it into something to read.
package compare
