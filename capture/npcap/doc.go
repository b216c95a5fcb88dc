// Package npcap captures on Windows, through Npcap.
//
// In come adapters and a filter, out come the packets that cross those
// adapters in the order of their timestamps. wpcap.dll is loaded when the
// program runs: without Npcap everything but the capture works, and the
// capture says what to install.
//
// What needs the driver stands behind Handle, so that the rest runs, and is
// tested, on every system.
package npcap
