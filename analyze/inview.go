package analyze

import (
	"net/netip"
	"slices"
	"strings"

	"goproxytrace/analyze/decode"
	"goproxytrace/analyze/tcpflow"
)

// inView applies Hosts and Ports to a connection with a server of that name.
func (o *Options) inView(c *tcpflow.Conn, name string) bool {
	client, server := c.ClientEnd(), c.ServerEnd()
	if len(o.Ports) > 0 && !slices.Contains(o.Ports, client.Port) && !slices.Contains(o.Ports, server.Port) {
		return false
	}
	return o.hostInView(name, client.Addr, server.Addr)
}

func (o *Options) hostInView(name string, addrs ...decode.Addr) bool {
	if len(o.Hosts) == 0 {
		return true
	}
	for _, h := range o.Hosts {
		if name != "" && strings.EqualFold(strings.TrimSuffix(h, "."), strings.TrimSuffix(name, ".")) {
			return true
		}
		if ip, err := netip.ParseAddr(h); err == nil {
			for _, a := range addrs {
				if address(a) == ip.Unmap() {
					return true
				}
			}
		}
	}
	return false
}

func (o *Options) attemptInView(a *attempt, name string) bool {
	return (len(o.Ports) == 0 || slices.Contains(o.Ports, a.remote.Port)) && o.hostInView(name, a.local.Addr, a.remote.Addr)
}
