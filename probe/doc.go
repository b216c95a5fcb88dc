// Package probe makes control tests: the same attempt with one thing changed.
//
// In come hosts (those of GOPROXY and GOSUMDB), the configured resolvers and
// an HTTP proxy; out come attempts, told apart by their arm (what was changed)
// and their lane (host, address and way there), and a Verdict: which difference
// goes with which end. Only GET requests are made, no credentials go anywhere
// but to the configured proxy, and redirects are shown, not followed.
//
// What is run next is decided by Next, a pure function of what has happened:
// so a plan's extent in attempts and time is known before anything is sent
// (Extent). A failure may leave a block behind on the path that outlasts it
// (60 to 180 s); a failure in its shadow is not counted, and no attempt is made
// in a burst.
//
// Outcomes are what sockets tell; Join replaces them by what packets say where
// they were captured meanwhile. The package captures nothing itself.
package probe
