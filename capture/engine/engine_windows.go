package engine

import (
	"errors"
	"net"
	"slices"

	"goproxytrace/capture"
	"goproxytrace/capture/engine/hint"
	"goproxytrace/capture/nic"
	"goproxytrace/capture/npcap"
	"goproxytrace/capture/pktmon"
)

const name = "Npcap"

var choices = []string{Auto, Npcap, Pktmon}

func open(o *Options) (capture.Live, error) {
	if o.Engine == Pktmon {
		return openPktmon(o)
	}
	c, err := openNpcap(o)
	if err != nil && o.Engine == Auto && o.Expression == "" {
		return nil, recommend(err)
	}
	return c, err
}

// recommend adds to the advice of an error of Npcap's that Windows has a way
// to capture of its own.
func recommend(err error) error {
	var advised *hint.Error
	if !errors.As(err, &advised) || errors.Is(err, nic.ErrNotFound) || errors.Is(pktmon.Examine(pktmon.Options{}), pktmon.ErrAbsent) {
		return err
	}
	return hint.New(err, advised.Advice+" Or use what is part of Windows, as administrator: --engine pktmon (its packets come when the capture ends).")
}

func openNpcap(o *Options) (capture.Live, error) {
	var found []nic.Interface
	var err error
	if o.any() {
		found, err = everything()
	} else {
		found, _, err = o.resolve(false)
	}
	if err != nil {
		return nil, err
	}
	options := npcap.Options{Filter: o.filter(), Buffer: o.Buffer}
	for _, i := range found {
		label := i.FriendlyName
		if label == "" {
			label = i.Name
		}
		options.Adapters = append(options.Adapters, npcap.Adapter{Name: i.Name, Label: label, Hardware: i.Hardware, Loopback: i.Loopback})
	}
	c, err := npcap.Open(options)
	if err != nil {
		return nil, err
	}
	return c, nil
}

func openPktmon(o *Options) (capture.Live, error) {
	if len(o.Interfaces) > 0 && !slices.Equal(o.Interfaces, []string{nic.Any}) {
		return nil, hint.New(errors.New("pktmon captures on all network adapters, not on chosen ones"), "Leave -i out.")
	}
	c, err := pktmon.Open(pktmon.Options{Filter: o.filter(), Hardware: hardware()})
	if err != nil {
		return nil, err
	}
	return c, nil
}

// hardware lists the adapters' addresses; none where they cannot be read,
// which leaves directions unknown.
func hardware() (out []net.HardwareAddr) {
	list, _ := nic.List()
	for _, i := range list {
		if len(i.Hardware) == 6 {
			out = append(out, i.Hardware)
		}
	}
	return out
}

func alternatives() []Alternative {
	err := pktmon.Examine(pktmon.Options{})
	return []Alternative{{Choice: Pktmon, Err: err, Left: errors.Is(err, pktmon.ErrLeft), Kept: pktmon.Kept()}}
}

// everything returns the adapters that can be captured on and are up.
func everything() (out []nic.Interface, err error) {
	list, err := nic.List()
	for _, i := range list {
		if i.Unreadable == "" && i.Up {
			out = append(out, i)
		}
	}
	return out, err
}
