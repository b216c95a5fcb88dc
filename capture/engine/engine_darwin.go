package engine

import (
	"goproxytrace/capture"
	"goproxytrace/capture/nic"
	"goproxytrace/capture/pktap"
)

const name = "pktap"

var choices = []string{Auto}

func alternatives() []Alternative { return nil }

func open(o *Options) (capture.Live, error) {
	options := pktap.Options{Filter: o.filter()}
	if o.any() {
		options.Interfaces = []string{nic.Any}
	} else {
		found, _, err := o.resolve(false)
		if err != nil {
			return nil, err
		}
		for _, i := range found {
			options.Interfaces = append(options.Interfaces, i.Name)
		}
	}
	c, err := pktap.Open(options)
	if err != nil {
		return nil, err
	}
	return c, nil
}
