package afpacket

import (
	"slices"
	"time"

	"goproxytrace/capture/nic"
	"goproxytrace/capture/portfilter"
)

// Options say what is captured.
type Options struct {
	// Interfaces are names as the kernel has them; one that does not exist
	// is taken in when it appears. None, or nic.Any, means all.
	Interfaces []string
	Filter     portfilter.Options
	// Buffer is the kernel memory of the ring in bytes, rounded to blocks;
	// zero means DefaultBuffer.
	Buffer int
	// BlockSize is the size in bytes of the pieces in which the kernel hands
	// packets over, a power of two of at least one page; a frame longer than
	// a block is cut. Zero means DefaultBlockSize.
	BlockSize int
	// BlockTimeout is how long a packet may wait in a block that is not
	// full, in whole milliseconds; zero means DefaultBlockTimeout.
	BlockTimeout time.Duration
}

// Defaults. Blocks hold the longest frames that segmentation offload makes
// (64 KiB, some 180 KB with IPv6 jumbo packets); at low rates each wait ends
// one block, so that there must be many.
const (
	DefaultBuffer       = 64 << 20
	DefaultBlockSize    = 256 << 10
	DefaultBlockTimeout = 20 * time.Millisecond
)

func (o Options) withDefaults() Options {
	if o.Buffer <= 0 {
		o.Buffer = DefaultBuffer
	}
	if o.BlockSize <= 0 {
		o.BlockSize = DefaultBlockSize
	}
	if o.BlockTimeout < time.Millisecond {
		o.BlockTimeout = DefaultBlockTimeout
	}
	o.Buffer = max(o.Buffer, 2*o.BlockSize)
	return o
}

// any reports whether all interfaces are captured.
func (o *Options) any() bool {
	return len(o.Interfaces) == 0 || slices.Contains(o.Interfaces, nic.Any)
}
