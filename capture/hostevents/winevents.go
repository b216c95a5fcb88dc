package hostevents

import (
	"net/netip"
	"net/url"
	"strings"

	"goproxytrace/capture/hostlog"
)

// Providers of the events that are looked at.
const (
	securityProvider = "Microsoft-Windows-Security-Auditing"
	defenderProvider = "Microsoft-Windows-Windows Defender"
	sysmonProvider   = "Microsoft-Windows-Sysmon"
	linuxSysmon      = "Linux-Sysmon"
)

// systemPID is the number of the process that stands for the kernel; zero is the
// idle process.
const systemPID = 4

// event takes what an event log says.
func (l *Log) event(e *event) {
	if e.provider == "" && e.id == 0 {
		return
	}
	l.seen = true
	switch e.provider {
	case securityProvider:
		l.security(e)
	case defenderProvider:
		l.defender(e)
	case sysmonProvider, linuxSysmon:
		l.sysmon(e)
	}
}

// security takes what the Windows Filtering Platform wrote into the security
// log: 5156 permitted a connection, 5157 blocked one, 5152 blocked a packet.
func (l *Log) security(e *event) {
	if e.id != 5156 && e.id != 5157 && e.id != 5152 || e.number("Protocol") != protocolTCP {
		return
	}
	layer := e.number("LayerRTID")
	inbound := inbound(layer, e.get("Direction") == "%%14592")
	local, remote := endpoint(e.get("SourceAddress"), e.get("SourcePort")), endpoint(e.get("DestAddress"), e.get("DestPort"))
	if inbound && e.id == 5152 {
		local, remote = remote, local // of a packet the source is who sent it
	}
	pid, path := uint32(e.number("ProcessID")), executable(e.get("Application"))
	if e.id == 5152 && pid <= systemPID {
		pid, path = 0, "" // dropped before it was known whose it is
	}
	l.process(e.time, pid, path)
	if e.id == 5156 {
		l.claim(&hostlog.Claim{Local: local, Remote: remote, Time: e.time, PID: pid, Server: inbound, Source: hostlog.EventLog})
		return
	}
	if !remote.IsValid() {
		return
	}
	origin := "Security 5157"
	if e.id == 5152 {
		origin = "Security 5152"
	}
	l.block(&hostlog.Block{
		Time: e.time, Action: hostlog.Blocked, PID: pid, Path: path, Local: local, Remote: remote, Inbound: inbound,
		Origin: origin, Rule: ruleText("", e.number("FilterRTID"), e.get("FilterOrigin")), Layer: layerText(layer, e.get("LayerName")),
	}, e.number("FilterRTID"))
}

// claim keeps a claim that names both ends.
func (l *Log) claim(c *hostlog.Claim) {
	if c.PID != 0 && c.Local.Port() != 0 && c.Remote.Port() != 0 {
		l.take(c)
	}
}

// process keeps that there was a process. The same again says nothing new: in
// these logs every connection repeats it.
func (l *Log) process(at int64, pid uint32, path string) {
	if pid == 0 || path == "" {
		return
	}
	if n := len(l.records); n > 0 {
		for _, r := range l.records[max(n-32, 0):] {
			if p, ok := r.(*hostlog.Process); ok && p.PID == pid && p.Path == path {
				return
			}
		}
	}
	l.take(&hostlog.Process{Time: at, PID: pid, Path: path, Source: hostlog.EventLog})
}

// sysmon takes Sysmon's network connections (3) and process creations (1).
func (l *Log) sysmon(e *event) {
	at := parseTime(e.get("UtcTime"))
	if at == 0 {
		at = e.time
	}
	pid, path := uint32(e.number("ProcessId")), executable(e.get("Image"))
	switch e.id {
	case 1:
		if pid != 0 {
			l.take(&hostlog.Process{
				Time: at, PID: pid, Parent: uint32(e.number("ParentProcessId")), Start: at, Path: path,
				Args: hostlog.RedactArgs(strings.Fields(clip(e.get("CommandLine"), 2*maxPath))), Source: hostlog.EventLog,
			})
		}
	case 3:
		if !strings.EqualFold(e.get("Protocol"), "tcp") {
			return
		}
		local, remote := endpoint(e.get("SourceIp"), e.get("SourcePort")), endpoint(e.get("DestinationIp"), e.get("DestinationPort"))
		server := strings.EqualFold(e.get("Initiated"), "false")
		if server {
			local, remote = remote, local
		}
		l.process(at, pid, path)
		l.claim(&hostlog.Claim{Local: local, Remote: remote, Time: at, PID: pid, Server: server, Source: hostlog.EventLog})
	}
}

// defender takes what Microsoft Defender wrote: 1126, network protection
// blocked a connection; 1125, it would have in another mode than audit; 5007, a
// setting was changed; 1116 and 1117, malware found and acted on, where that is
// in a module cache.
func (l *Log) defender(e *event) {
	switch e.id {
	case 1125, 1126:
		b := &hostlog.Block{Time: e.time, Action: hostlog.Blocked, Origin: "Defender 1126", Path: executable(e.get("Process Name")), Provider: "Microsoft Defender network protection"}
		if e.id == 1125 {
			b.Action, b.Origin = hostlog.Audited, "Defender 1125"
		}
		if at := parseTime(e.get("Detection Time")); at != 0 {
			b.Time = at
		}
		b.Host, b.Remote = destination(e.get("Destination"))
		if b.Host != "" || b.Remote.IsValid() {
			l.block(b, 0)
		}
	case 5007:
		was, is := e.get("Old Value"), e.get("New Value")
		l.take(&hostlog.Event{Time: e.time, Origin: "Defender 5007", Text: clip(hostlog.RedactText("a setting was changed from "+quoted(was)+" to "+quoted(is)), maxPath)})
	case 1116, 1117:
		path := e.get("Path")
		if !inModuleCache(path) {
			return
		}
		origin, what := "Defender 1116", "malware found"
		if e.id == 1117 {
			origin, what = "Defender 1117", "malware acted on"
		}
		text := what + ": " + e.get("Threat Name") + " in " + path
		if action := e.get("Action Name"); action != "" {
			text += ", " + action
		}
		l.take(&hostlog.Event{Time: e.time, Origin: origin, Text: clip(hostlog.RedactText(text), maxPath)})
	}
}

func quoted(s string) string {
	if s == "" {
		return "nothing"
	}
	return `"` + s + `"`
}

// inModuleCache reports whether a path, or a list of them, has one in GOMODCACHE
// where it usually is (GOPATH/pkg/mod).
func inModuleCache(path string) bool {
	return strings.Contains(strings.ToLower(strings.ReplaceAll(path, `\`, "/")), "/pkg/mod/")
}

// destination reads what a record calls the far end: a URL, a host name, or an
// address, with or without a port.
func destination(s string) (host string, remote netip.AddrPort) {
	if len(s) > maxPath {
		return "", remote
	}
	if !strings.Contains(s, "://") {
		s = "https://" + s
	}
	u, err := url.Parse(s)
	if err != nil {
		return "", remote
	}
	host = strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	if addr, err := netip.ParseAddr(host); err == nil {
		port := u.Port()
		if port == "" {
			port = "0"
		}
		return "", endpoint(addr.String(), port)
	}
	return clip(host, maxName), remote
}

// endpoint makes an end of an address and a port; invalid where it is none.
func endpoint(addr, port string) netip.AddrPort {
	a, err := netip.ParseAddr(strings.TrimSpace(addr))
	if err != nil || len(addr) > maxName {
		return netip.AddrPort{}
	}
	n, ok := portOf(port)
	if !ok {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(a.Unmap().WithZone(""), n)
}

// executable is a path as logs have it: they write the backslash of a device's
// name twice where they are rendered, and "-" or "System" for none.
func executable(s string) string {
	s = strings.TrimSpace(strings.ReplaceAll(s, `\\`, `\`))
	switch s {
	case "-", "Unknown":
		return ""
	}
	return clip(s, maxPath)
}
