package nic

import "strings"

const (
	// DevicePrefix stands before an adapter's GUID in Npcap's names.
	DevicePrefix = `\Device\NPF_`
	// LoopbackDevice is Npcap's name for the loopback adapter.
	LoopbackDevice = DevicePrefix + "Loopback"
)

// device is an entry of the packet driver's own list.
type device struct{ name, description string }

// joinDevices puts Npcap's device list and the system's adapter list
// together. devices is nil where the driver could not be asked; then every
// adapter is taken to have a device.
func joinDevices(adapters []Interface, devices []device) []Interface {
	known := make(map[string]bool)
	out := make([]Interface, 0, len(adapters)+len(devices))
	for _, a := range adapters {
		a.Name = DevicePrefix + braced(a.GUID)
		if a.Loopback {
			a.Name = LoopbackDevice
			a.LinkType, a.HasLinkType = LinkNull, true
		}
		known[strings.ToLower(a.Name)] = true
		if devices != nil && !hasDevice(devices, a.Name) {
			a.Unreadable = "the packet driver has no device for this adapter"
		}
		out = append(out, a)
	}
	for _, d := range devices {
		if known[strings.ToLower(d.name)] {
			continue
		}
		i := Interface{Name: d.name, Description: d.description, Loopback: strings.EqualFold(d.name, LoopbackDevice), Up: true}
		if rest, ok := strings.CutPrefix(d.name, DevicePrefix); ok && strings.HasPrefix(rest, "{") {
			i.GUID = rest
		}
		out = append(out, i)
	}
	return out
}

func hasDevice(devices []device, name string) bool {
	for _, d := range devices {
		if strings.EqualFold(d.name, name) {
			return true
		}
	}
	return false
}
