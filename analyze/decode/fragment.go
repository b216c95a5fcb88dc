package decode

import (
	"slices"
	"sort"
)

// Bounds of what is kept of incomplete datagrams; the oldest go first.
const (
	maxDatagrams     = 1024
	maxFragmentBytes = 4 << 20
	// maxPieces is what a datagram of 64 KiB has in fragments of 8 bytes.
	maxPieces = 8192
	// maxDatagram is the furthest that a fragment can reach, beyond the
	// 65535 bytes of RFC 791 §3.1: Wireshark reassembles that as well.
	maxDatagram = 0xfff8 + 0xffff
	// pieceCost is what one kept fragment costs beside its bytes.
	pieceCost = 64
)

type fragmentKey struct {
	src, dst Addr
	id       uint32
	version  uint8
}

type piece struct {
	offset int
	data   []byte
}

func (p piece) end() int { return p.offset + len(p.data) }

// datagram collects the fragments of one IP datagram. Datagrams form a list
// by age so that the oldest is dropped when room is needed.
type datagram struct {
	key    fragmentKey
	pieces []piece // by offset, those with equal offsets by arrival
	// The first joined pieces cover the bytes up to reach without a hole.
	joined, reach int
	total         int // -1 until the last fragment came
	size          int // bytes accounted
	older, newer  *datagram
}

type fragmentTable struct {
	open         map[fragmentKey]*datagram
	oldest, last *datagram
	size         int
}

func (t *fragmentTable) find(key fragmentKey) *datagram {
	g := t.open[key]
	if g != nil {
		return g
	}
	if t.open == nil {
		t.open = make(map[fragmentKey]*datagram)
	}
	g = &datagram{key: key, total: -1, older: t.last}
	if t.last != nil {
		t.last.newer = g
	} else {
		t.oldest = g
	}
	t.last = g
	t.open[key] = g
	return g
}

func (t *fragmentTable) drop(g *datagram) {
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

// reassemble keeps a copy of one fragment; where that completes the datagram it
// returns the payload in memory of its own. Fragments may overlap: the earlier
// offset has its way, among equal offsets the earlier arrival, as in Wireshark.
func (d *Decoder) reassemble(key fragmentKey, data []byte, offset int, more bool) ([]byte, bool) {
	t := &d.frags
	if offset+len(data) > maxDatagram {
		d.miss(missFragment, 0)
		return nil, false
	}
	g := t.find(key)
	if len(g.pieces) >= maxPieces {
		d.miss(missFragmentLost, 0)
		t.drop(g)
		return nil, false
	}
	cost := len(data) + pieceCost
	g.size += cost
	t.size += cost
	g.insert(piece{offset, slices.Clone(data)})
	if !more && g.total < 0 {
		g.total = offset + len(data)
	}
	if g.total >= 0 && g.reach >= g.total {
		t.drop(g)
		return g.payload(), true
	}
	for len(t.open) > maxDatagrams || t.size > maxFragmentBytes {
		d.miss(missFragmentLost, 0)
		t.drop(t.oldest)
	}
	return nil, false
}

func (g *datagram) insert(p piece) {
	at := sort.Search(len(g.pieces), func(i int) bool { return g.pieces[i].offset > p.offset })
	g.pieces = slices.Insert(g.pieces, at, p)
	if at < g.joined {
		g.joined++
		g.reach = max(g.reach, p.end())
	}
	for g.joined < len(g.pieces) && g.pieces[g.joined].offset <= g.reach {
		g.reach = max(g.reach, g.pieces[g.joined].end())
		g.joined++
	}
}

func (g *datagram) payload() []byte {
	whole := make([]byte, 0, g.total)
	for _, p := range g.pieces {
		if len(whole) >= g.total {
			break
		}
		if end := min(p.end(), g.total); end > len(whole) {
			whole = append(whole, p.data[len(whole)-p.offset:end-p.offset]...)
		}
	}
	return whole
}
