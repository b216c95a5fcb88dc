package decode

import "slices"

const (
	maxDatagrams     = 1024
	maxFragmentBytes = 4 << 20
	maxDatagram      = 65535 // RFC 791 §3.1, RFC 8200 §4.5
	// fragmentCost is what one kept fragment costs beside its bytes.
	fragmentCost = 64
)

type fragmentKey struct {
	src, dst Addr
	id       uint32
	vlan     uint16
	version  uint8
}

type piece struct {
	offset int
	data   []byte
}

// datagram collects the fragments of one IP datagram. Datagrams form a list
// by age so that the oldest is dropped when room is needed.
type datagram struct {
	key          fragmentKey
	pieces       []piece // by offset, those with equal offsets by arrival
	total        int     // -1 until the last fragment came
	size         int     // bytes accounted
	older, newer *datagram
}

type fragmentTable struct {
	open         map[fragmentKey]*datagram
	oldest, last *datagram
	size         int
	whole        []byte
}

func (t *fragmentTable) init() { t.open = make(map[fragmentKey]*datagram) }

func (t *fragmentTable) unlink(g *datagram) {
	if g.older != nil {
		g.older.newer = g.newer
	} else {
		t.oldest = g.newer
	}
	if g.newer != nil {
		g.newer.older = g.older
	} else {
		t.last = g.older
	}
	t.size -= g.size
	delete(t.open, g.key)
}

// add keeps one fragment; where that completes the datagram it returns the
// payload, valid until the next call.
func (t *fragmentTable) add(d *Decoder, key fragmentKey, data []byte, offset int, more bool) ([]byte, bool) {
	if offset+len(data) > maxDatagram {
		d.miss(missFragment, 0)
		return nil, false
	}
	g := t.open[key]
	if g == nil {
		g = &datagram{key: key, total: -1, older: t.last}
		if t.last != nil {
			t.last.newer = g
		} else {
			t.oldest = g
		}
		t.last = g
		t.open[key] = g
	}
	at := len(g.pieces)
	for at > 0 && g.pieces[at-1].offset > offset {
		at--
	}
	g.pieces = slices.Insert(g.pieces, at, piece{offset, slices.Clone(data)})
	g.size += len(data) + fragmentCost
	t.size += len(data) + fragmentCost
	if !more && g.total < 0 {
		g.total = offset + len(data)
	}
	if !g.complete() {
		for (len(t.open) > maxDatagrams || t.size > maxFragmentBytes) && t.oldest != nil {
			d.miss(missFragmentLost, 0)
			t.unlink(t.oldest)
		}
		return nil, false
	}
	t.whole = t.whole[:0]
	for _, p := range g.pieces {
		if end := p.offset + len(p.data); end > len(t.whole) {
			t.whole = append(t.whole, p.data[len(t.whole)-p.offset:]...)
		}
	}
	t.whole = t.whole[:min(len(t.whole), g.total)]
	t.unlink(g)
	return t.whole, true
}

func (g *datagram) complete() bool {
	if g.total < 0 {
		return false
	}
	reach := 0
	for _, p := range g.pieces {
		if p.offset > reach {
			return false
		}
		reach = max(reach, p.offset+len(p.data))
	}
	return reach >= g.total
}
