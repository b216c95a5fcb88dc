// Package lab is a fault laboratory: it makes real captures of a real
// go mod download with one fault injected.
//
// In goes a Scenario, out comes a Result: a pcapng file captured at the
// client, what the go command printed, and the truth about the fault. A run
// makes four network namespaces in a row: a client, a router (kernel
// forwarding), a middlebox (a bridge between two virtual links that this
// package forwards itself, packet by packet) and a server with module proxies,
// a checksum database, a git host, a CONNECT proxy and a resolver, all under a
// private certificate authority. All of it is removed at the end, after a
// failure too; what a run that crashed left behind is removed by the next
// (RemoveStale). Nothing leaves the namespaces. It needs Linux, root, ip, nft,
// dumpcap, git and go; Missing says what is not there. On other systems the
// package is empty.
//
// A seed other than zero draws all of a scenario that its fault does not rest on
// (Vary), and makes up further scenarios (Stress), so that each seed gives really
// different runs; the same seed gives the same ones, up to timing.
//
// A fault is a value of the Scenario (a rule of the client's packet filter, an
// element of the middlebox, a hook of a server, a program between the go command
// and the wire, a deed to the go command) and
// not a case in the runner, so a new scenario is one more entry of a
// catalogue and needs no code elsewhere.
package lab
