package diagnose

import (
	"slices"

	"goproxytrace/analyze/decode"
)

// Health is what the capture shows about its own completeness (the K rows).
type Health struct {
	// Segments counts TCP segments, Connections the connections they make.
	Segments, Connections int64
	// OneDirection counts connections of which one direction only was
	// captured, LateStart those that had begun before the capture.
	OneDirection, LateStart int64
	// Undrained counts packets that passed the filter and are not in the
	// file.
	Undrained uint64
	// ClockSteps counts jumps of the capture's clock.
	ClockSteps int64
	// Unfiltered is true where the file's own words say that no capture
	// filter was in force.
	Unfiltered bool
	// Sliced counts segments that the snapshot length cut.
	Sliced int64
	// Hidden counts connections and lookups that the user's choice of hosts
	// and ports leaves out.
	Hidden int64
	// Silent lists neighbours that were asked for and never answered.
	Silent []SilentNeighbour
}

// SilentNeighbour is an address on the local link that ARP or neighbour
// discovery asked for at least three times without an answer.
type SilentNeighbour struct {
	Addr        decode.Addr
	Count       int
	Frames      []int64
	First, Last int64 // Unix nanoseconds
}

// silent reports whether a never answered.
func (h *Health) silent(a decode.Addr) bool {
	return slices.ContainsFunc(h.Silent, func(n SilentNeighbour) bool { return n.Addr == a })
}
