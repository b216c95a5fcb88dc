package engine

import (
	"goproxytrace/capture"
	"goproxytrace/capture/afpacket"
	"goproxytrace/capture/nic"
)

const name = "AF_PACKET"

var choices = []string{Auto}

func alternatives() []Alternative { return nil }

func open(o *Options) (capture.Live, error) {
	options := afpacket.Options{Filter: o.filter(), Buffer: o.Buffer}
	if o.any() {
		options.Interfaces = []string{nic.Any}
	} else {
		found, missing, err := o.resolve(true)
		if err != nil {
			return nil, err
		}
		for _, i := range found {
			options.Interfaces = append(options.Interfaces, i.Name)
		}
		options.Interfaces = append(options.Interfaces, missing...)
	}
	c, err := afpacket.Open(options)
	if err != nil {
		return nil, err
	}
	return c, nil
}
