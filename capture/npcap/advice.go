package npcap

import "strings"

// state is what decides the advice where a capture cannot begin.
type state struct {
	// loaded is true where wpcap.dll could be loaded; version is what it
	// says about itself.
	loaded  bool
	version string
	// adminOnly is true where Npcap was installed for administrators only.
	adminOnly bool
	elevated  bool
}

// outdated reports whether the driver is WinPcap, which was given up in 2018.
func (s state) outdated() bool {
	return s.loaded && !strings.Contains(s.version, "Npcap") && strings.Contains(s.version, "WinPcap")
}

func (s state) advice() string {
	switch {
	case !s.loaded:
		return "Install Npcap (its installer is on the project's site, and comes with Wireshark). A capture made by another tool can be analyzed without it."
	case s.outdated():
		return "This is WinPcap (" + s.version + "), which does not work properly on today's Windows. Uninstall it and install Npcap."
	case s.adminOnly && !s.elevated:
		return "Npcap was installed for administrators only. Run this from a console started as administrator, or install Npcap again without that restriction."
	case !s.elevated:
		return "Try it from a console started as administrator, and see that the npcap service runs: sc query npcap."
	}
	return "See that the npcap service runs: sc query npcap. If not, start it: net start npcap."
}
