// Package engine picks the way to capture that fits the system.
//
// In come interfaces as a user names them, ports or an expression, out comes
// a capture.Live: capture/afpacket on Linux, capture/npcap or capture/pktmon on
// Windows, capture/pktap on macOS. An error that the user can do something
// about says what, by a method Hint() string.
package engine

import (
	"errors"
	"fmt"
	"slices"

	"goproxytrace/capture"
	"goproxytrace/capture/engine/hint"
	"goproxytrace/capture/nic"
	"goproxytrace/capture/portfilter"
)

// Choices of an engine.
const (
	Auto   = "auto" // the best of those that are for the system
	Npcap  = "npcap"
	Pktmon = "pktmon"
)

// Options say what is captured.
type Options struct {
	// Engine is one of Choices; empty means Auto.
	Engine string
	// Interfaces are names, numbers as nic.List gives them, friendly names
	// or GUIDs; nic.Any alone means all. None means those of the default
	// routes and loopback (nic.Default).
	Interfaces []string
	// Ports are taken in beside portfilter.Always.
	Ports []uint16
	// Expression, in tcpdump's syntax, stands in place of the ports; empty
	// for none.
	Expression string
	// Await waits for interfaces that do not exist, where the engine takes
	// later ones in (Linux); without it at least one must exist.
	Await bool
	// Buffer is the kernel's memory for packets in bytes; zero leaves it to
	// the engine.
	Buffer int
}

// ErrUnsupported says that this system cannot be captured on.
var ErrUnsupported = errors.New("no live capture on this system")

// Open begins to capture: what crosses the interfaces from its return on is
// delivered.
func Open(o Options) (capture.Live, error) {
	for _, p := range o.Ports {
		if p == 0 {
			return nil, errors.New("port 0 cannot be captured on")
		}
	}
	if o.Engine == "" {
		o.Engine = Auto
	}
	if !slices.Contains(choices, o.Engine) {
		return nil, fmt.Errorf("%w: %s is for another one", ErrUnsupported, o.Engine)
	}
	return open(&o)
}

// Choices lists what Options.Engine may be on this system.
func Choices() []string { return slices.Clone(choices) }

// Name says which engine Open uses for a choice; empty where there is none.
func Name(choice string) string {
	if choice == Pktmon {
		return Pktmon
	}
	return name
}

// Late reports whether the packets of a choice come when the capture has
// ended, rather than while it runs.
func Late(choice string) bool { return choice == Pktmon }

// Alternative is an engine beside the one that Auto takes.
type Alternative struct {
	Choice string
	// Err says, with a hint, why it cannot be used; nil where it can.
	Err error
	// Left is true where it runs a session that an earlier process has left.
	Left bool
	// Kept are directories with what it has captured and nobody has read.
	Kept []string
}

// Alternatives looks at the engines that only Options.Engine chooses.
func Alternatives() []Alternative { return alternatives() }

func (o *Options) filter() portfilter.Options {
	return portfilter.Options{Ports: o.Ports, Filter: o.Expression}
}

func (o *Options) any() bool { return slices.Contains(o.Interfaces, nic.Any) }

// resolve turns what the user gave into interfaces. missing are names that no
// interface has; later says that one of that name may come.
func (o *Options) resolve(later bool) (found []nic.Interface, missing []string, err error) {
	if len(o.Interfaces) == 0 {
		if found, err = nic.Default(); err == nil && len(found) == 0 {
			err = hint.New(errors.New("no network interface is up"), "Name one with -i.")
		}
		return found, nil, err
	}
	list, err := nic.List()
	if err != nil {
		return nil, nil, err
	}
	return match(list, o.Interfaces, later, o.Await)
}

// match finds each of the given interfaces. Where later is true it is enough
// that one exists, and with await as well not even that: another's name may
// still come up.
func match(list []nic.Interface, given []string, later, await bool) (found []nic.Interface, missing []string, err error) {
	var errs []error
	for _, spec := range given {
		i, err := nic.Match(list, spec)
		switch {
		case errors.Is(err, nic.ErrNotFound) && later && couldBeName(spec):
			missing = append(missing, spec)
			errs = append(errs, err)
		case err != nil:
			return nil, nil, err
		case i.Unreadable != "":
			return nil, nil, fmt.Errorf("interface %s cannot be captured on: %s", i.Name, i.Unreadable)
		case !slices.ContainsFunc(found, func(f nic.Interface) bool { return f.Name == i.Name }):
			found = append(found, i)
		}
	}
	if len(found) == 0 && len(errs) > 0 && !await {
		return nil, nil, errs[0]
	}
	return found, missing, nil
}

// couldBeName tells the name of an interface that is not there yet from a
// number out of range.
func couldBeName(spec string) bool {
	const longest = 15 // IFNAMSIZ with its zero byte is 16
	return len(spec) > 0 && len(spec) <= longest && slices.ContainsFunc([]byte(spec), func(b byte) bool { return b < '0' || b > '9' })
}
