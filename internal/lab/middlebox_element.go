//go:build linux

package lab

import (
	"time"
)

// Element is one thing that the middlebox does to packets. It returns false
// for a packet that goes no further.
type Element func(*Packet) bool

// Maker makes an Element for a run; what it remembers begins anew with it.
type Maker func(*Box) Element

// Drop lets nothing through that m matches.
func Drop(m Match) Maker {
	return func(*Box) Element { return func(p *Packet) bool { return !m(p) } }
}

// DropFirst drops the first n packets of each connection that m matches.
func DropFirst(n int, m Match) Maker {
	return func(*Box) Element {
		first := First(n, m)
		return func(p *Packet) bool { return !first(p) }
	}
}

// Loss drops a share of what m matches.
func Loss(share float64, m Match) Maker {
	return func(b *Box) Element {
		return func(p *Packet) bool { return !m(p) || b.chance.Float64() >= share }
	}
}

// Hold delays a share of what m matches, so that later packets overtake it.
func Hold(share float64, by time.Duration, m Match) Maker {
	return func(b *Box) Element {
		return func(p *Packet) bool {
			if m(p) && b.chance.Float64() < share {
				p.Delay += by
			}
			return true
		}
	}
}

// Shape is a link of rate bytes a second with a queue: what m matches waits
// its turn and is lost only where the queue is full.
func Shape(rate, queue int, m Match) Maker {
	return func(*Box) Element {
		var free time.Time
		return func(p *Packet) bool {
			if !m(p) {
				return true
			}
			now := time.Now()
			if free.Before(now) {
				free = now
			}
			wait := free.Sub(now)
			if wait.Seconds()*float64(rate) > float64(queue) {
				return false
			}
			free = free.Add(time.Duration(float64(len(p.ip)) / float64(rate) * float64(time.Second)))
			p.Delay += free.Sub(now)
			return true
		}
	}
}

// Police drops what m matches beyond rate bytes a second and a burst.
func Police(rate, burst int, m Match) Maker {
	return func(*Box) Element {
		tokens, last := float64(burst), time.Now()
		return func(p *Packet) bool {
			if !m(p) {
				return true
			}
			now := time.Now()
			tokens = min(float64(burst), tokens+now.Sub(last).Seconds()*float64(rate))
			last = now
			if tokens < float64(len(p.ip)) {
				return false
			}
			tokens -= float64(len(p.ip))
			return true
		}
	}
}

// Cut drops, from the first packet that m matches on, everything of that
// packet's connection in both directions.
func Cut(m Match) Maker {
	return func(*Box) Element {
		return func(p *Packet) bool {
			if p.flow != nil && m(p) {
				p.flow.cut = true
			}
			return p.flow == nil || !p.flow.cut
		}
	}
}

// CutAll drops everything from the first packet that m matches on.
func CutAll(m Match) Maker {
	return func(b *Box) Element {
		return func(p *Packet) bool {
			if m(p) {
				b.cut.Store(true)
			}
			return !b.cut.Load()
		}
	}
}

// Residual drops, for some time after the first packet that m matches, every
// other connection to the same server.
func Residual(lasts time.Duration, m Match) Maker {
	return func(*Box) Element {
		until := map[string]time.Time{}
		mine := map[*flow]bool{}
		return func(p *Packet) bool {
			if p.flow == nil {
				return true
			}
			server := p.flow.server.String()
			if m(p) && time.Now().After(until[server]) {
				until[server], mine[p.flow] = time.Now().Add(lasts), true
			}
			return mine[p.flow] || time.Now().After(until[server])
		}
	}
}

// Do does a deed once, at the first packet that m matches, before the packet
// goes on.
func Do(m Match, deed func(*Lab)) Maker {
	return func(b *Box) Element {
		done := false
		return func(p *Packet) bool {
			if !done && m(p) {
				done = true
				deed(b.lab)
			}
			return true
		}
	}
}
