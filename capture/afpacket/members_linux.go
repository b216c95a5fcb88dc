package afpacket

import (
	"encoding/binary"
	"fmt"
	"slices"

	"goproxytrace/capture"
	"goproxytrace/capture/nic"
)

// member is a kernel interface that is captured on.
type member struct {
	// entry is the index into Info.Interfaces. Two kernel interfaces share
	// one where the second replaced the first under its name.
	entry    int32
	link     capture.LinkType
	loopback bool
	// gone is true once the kernel has removed the interface. Its packets
	// may still be in a ring.
	gone bool
}

// maxNotes bounds the remarks, which come and go with interfaces.
const maxNotes = 64

func (c *Capture) note(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if len(c.info.Notes) < maxNotes && !slices.Contains(c.info.Notes, text) {
		c.info.Notes = append(c.info.Notes, text)
	}
}

// follow takes in what has changed about the interfaces.
func (c *Capture) follow() error {
	var err error
	if c.changes, err = c.watch.Poll(c.changes[:0]); err != nil {
		return err
	}
	changed := false
	for i := range c.changes {
		changed = c.apply(&c.changes[i]) || changed
	}
	if changed && !c.any && !c.draining {
		return c.setFilter()
	}
	return nil
}

// apply takes in one change; true says that the filter has to follow.
func (c *Capture) apply(l *nic.Link) bool {
	m := c.members[l.Index]
	if l.Gone {
		if m == nil || m.gone {
			return false
		}
		m.gone = true
		c.note("interface %s went away", c.info.Interfaces[m.entry].Name)
		return true
	}
	if m != nil && !m.gone {
		return false // a change of its state, or of its name
	}
	if !c.any && !slices.Contains(c.options.Interfaces, l.Name) {
		return false
	}
	link, ok := l.LinkType()
	if !ok {
		c.note("interface %s is left out: %s", l.Name, l.Unreadable())
		return false
	}
	c.join(l.Index, l.Name, link, l.Loopback())
	if i := slices.Index(c.absent, l.Name); i >= 0 {
		c.absent = slices.Delete(c.absent, i, i+1)
		c.note("interface %s is there now", l.Name)
	}
	return true
}

// join makes an interface a member, under the entry of one that had its name.
func (c *Capture) join(index int, name string, link capture.LinkType, loopback bool) *member {
	entry := slices.IndexFunc(c.info.Interfaces, func(i capture.Interface) bool { return i.Name == name && i.LinkType == link })
	if entry < 0 {
		entry = len(c.info.Interfaces)
		c.info.Interfaces = append(c.info.Interfaces, capture.Interface{
			Name: name, LinkType: link, Filter: c.filter.Text, OS: c.info.OS, Start: c.start,
		})
		c.tallies = append(c.tallies, tally{})
	}
	m := &member{entry: int32(entry), link: link, loopback: loopback}
	c.members[index] = m
	return m
}

// resolve finds the member a frame came from. An interface that came and went
// before it could be asked about gets a name from its index.
func (c *Capture) resolve(index int, frame []byte) *member {
	if m := c.members[index]; m != nil {
		return m
	}
	// The kernel announces an interface before its first packet. Should the
	// messages be unreadable, the next regular look reports it.
	if err := c.follow(); err == nil && c.members[index] != nil {
		return c.members[index]
	}
	link := nic.LinkRaw
	if len(frame) >= 14 && slices.Contains([]uint16{0x0800, 0x0806, 0x86dd, 0x8100, 0x88a8, 0x9100}, binary.BigEndian.Uint16(frame[12:])) {
		link = nic.LinkEthernet
	}
	m := c.join(index, fmt.Sprintf("interface %d", index), link, false)
	m.gone = true
	return m
}

// indexes returns the kernel's indexes of the members, sorted.
func (c *Capture) indexes() []uint32 {
	var out []uint32
	for index, m := range c.members {
		if !m.gone {
			out = append(out, uint32(index))
		}
	}
	slices.Sort(out)
	return out
}
