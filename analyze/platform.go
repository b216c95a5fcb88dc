package analyze

import (
	"goproxytrace/analyze/diagnose"
	"goproxytrace/capture"
)

// learnSender remembers how a connection's client begins its times to live.
func (p *pipeline) learnSender(f *diagnose.Flow) {
	client := f.Conn.Client()
	if client == nil || client.Packets == 0 || f.Conn.Loopback {
		return
	}
	switch {
	case f.Target:
		p.named.Add(client.MinTTL)
	case f.TLS != nil || f.Conn.ServerEnd().Port == 443:
		p.others.Add(client.MinTTL)
	}
}

// platform says which system the go command ran on: its own words before the
// packets, and these before what the file says of the machine that captured.
func (p *pipeline) platform(info *capture.Info) diagnose.Platform {
	if said := diagnose.PlatformOfText(p.goView.output(&p.opts)); said != diagnose.AnyPlatform {
		return said
	}
	senders := p.named
	if senders == (diagnose.Senders{}) {
		senders = p.others
	}
	return senders.Platform(recorded(info))
}

// recorded returns the platform that the file's interfaces name, else the one
// that wrote the file, which may have been elsewhere; none where several are
// named.
func recorded(info *capture.Info) (found diagnose.Platform) {
	for i := range info.Interfaces {
		named := diagnose.PlatformOfSystem(info.Interfaces[i].OS)
		switch {
		case named == diagnose.AnyPlatform || named == found:
		case found != diagnose.AnyPlatform:
			return diagnose.AnyPlatform
		default:
			found = named
		}
	}
	if found == diagnose.AnyPlatform {
		found = diagnose.PlatformOfSystem(info.OS)
	}
	return found
}
