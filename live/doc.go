// Package live is a capture under way: one session of goproxytrace live.
//
// In come packets of an engine (capture/engine), records of those who watch
// the host (capture/owner) and of the session's own making (the command that
// runs, its output, the settings it runs with, the sockets of a process that
// was found running). Out comes one numbered sequence of both in time order,
// which is written to the case file and analysed by analyze.Run while it
// grows; at the end its result, and counts that say whether anything is
// missing.
//
// The case file and the analysis get the same sequence with the same numbers:
// what a session says at its end is what an analysis of its file says.
package live
