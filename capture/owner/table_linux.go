package owner

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// table is the socket table of some network namespaces, with the processes
// that hold the sockets. It is for one goroutine.
type table struct {
	diags []*diag
	notes []string
	// holders are found owners by socket; zero where none was found, which
	// is tried twice.
	holders map[socketKey]*holder
	// recent are processes that held sockets lately, likeliest first.
	recent []uint32
	// waiting is true where the last read showed a socket that may yet get a
	// holder.
	waiting bool
	// hidden is true once a process's descriptors could not be read.
	hidden bool
}

type holder struct {
	pid   uint32
	tries int
	age   int   // reads of the table since it was seen
	first int64 // when it was seen first, Unix nanoseconds
}

// mayCome says whether a socket may get a holder although nothing of it
// changes: one that nobody has accepted yet belongs to no file, and a process
// may be starting when it is looked at.
func (h *holder) mayCome(s *diagSocket) bool {
	switch {
	case h.pid != 0:
		return false
	case s.inode == 0:
		return s.state == tcpEstablished && s.time-h.first < acceptWait
	}
	return h.tries < maxTries
}

// acceptWait is how long a connection that nobody has accepted is looked at.
const acceptWait = 2 * second

// newTable opens the tables of namespaces; nil is our own.
func newTable(namespaces []uint64) (*table, error) {
	if namespaces == nil {
		namespaces = []uint64{0}
	}
	t := &table{holders: map[socketKey]*holder{}}
	for _, n := range namespaces {
		d, err := openDiag(n)
		if err != nil {
			t.notes = append(t.notes, err.Error())
			continue
		}
		t.diags = append(t.diags, d)
	}
	if len(t.diags) == 0 {
		return nil, errors.New(strings.Join(t.notes, "; "))
	}
	return t, nil
}

func (t *table) close() {
	for _, d := range t.diags {
		d.close()
	}
}

// read lists the sockets in the states of a mask other than LISTEN.
func (t *table) read(states uint32) (out []diagSocket) {
	for _, d := range t.diags {
		out = append(out, t.readOne(d, states, false)...)
	}
	return out
}

func (t *table) readOne(d *diag, states uint32, info bool) []diagSocket {
	type end struct {
		port uint16
		addr netip.Addr
	}
	listening := map[end]bool{}
	var out []diagSocket
	if err := d.dump(states|1<<tcpListen, info, func(s *diagSocket) {
		switch {
		case s.state != tcpListen:
			out = append(out, *s)
		case s.local.Addr().IsUnspecified():
			listening[end{s.local.Port(), netip.Addr{}}] = true
		default:
			listening[end{s.local.Port(), s.local.Addr()}] = true
		}
	}); err != nil {
		t.notes = append(t.notes, err.Error())
	}
	for i := range out {
		a := out[i].local
		out[i].server = listening[end{a.Port(), netip.Addr{}}] || listening[end{a.Port(), a.Addr()}]
	}
	return out
}

// holder finds the process that holds a socket, zero where none is found.
func (t *table) holder(s diagSocket) uint32 {
	return t.resolve([]diagSocket{s})[0]
}

// maxTries is how often a socket's holder is looked for: a process may be
// starting when it is looked at.
const maxTries = 2

// resolve finds the processes that hold sockets, with one pass over the
// processes for all that are not known yet.
func (t *table) resolve(sockets []diagSocket) []uint32 {
	wanted := map[uint32]uint32{} // holder by inode number
	for i := range sockets {
		s := &sockets[i]
		k := socketKey{s.namespace, s.cookie}
		h := t.holders[k]
		if h == nil {
			h = &holder{first: s.time}
			t.holders[k] = h
		}
		h.age = 0
		if h.pid == 0 && h.tries < maxTries && s.inode != 0 {
			h.tries++
			wanted[s.inode] = 0
		}
	}
	if len(wanted) > 0 {
		t.search(wanted)
	}
	out := make([]uint32, len(sockets))
	for i := range sockets {
		h := t.holders[socketKey{sockets[i].namespace, sockets[i].cookie}]
		if h.pid == 0 {
			h.pid = wanted[sockets[i].inode]
		}
		out[i] = h.pid
		t.waiting = t.waiting || h.mayCome(&sockets[i])
	}
	return out
}

// age forgets sockets that the last reads did not show.
func (t *table) age() {
	for k, h := range t.holders {
		if h.age++; h.age > 100 {
			delete(t.holders, k)
		}
	}
}

// maxRecent bounds the list of likely holders.
const maxRecent = 16

// search looks through the descriptors of processes until every inode has its
// holder: likely ones first, then the youngest.
func (t *table) search(wanted map[uint32]uint32) {
	left := len(wanted)
	visit := func(pid uint32) {
		for _, n := range t.descriptors(pid) {
			if have, ok := wanted[n]; !ok || have != 0 {
				continue
			}
			if p := t.oldest(pid, n); p != 0 {
				wanted[n] = p
				left--
				t.likely(p)
			}
		}
	}
	for _, pid := range slices.Clone(t.recent) {
		if left == 0 {
			return
		}
		visit(pid)
	}
	ids, err := processIDs()
	if err != nil {
		return
	}
	slices.Sort(ids)
	// PIDs are given out in rising order, and come round.
	if last, err := strconv.ParseUint(strings.TrimSpace(lastPID()), 10, 32); err == nil {
		i, _ := slices.BinarySearch(ids, uint32(last)+1)
		ids = append(ids[i:], ids[:i]...)
	}
	for _, pid := range slices.Backward(ids) {
		if left == 0 {
			return
		}
		if !slices.Contains(t.recent, pid) {
			visit(pid)
		}
	}
}

func (t *table) likely(pid uint32) {
	t.recent = slices.DeleteFunc(t.recent, func(p uint32) bool { return p == pid })
	t.recent = slices.Insert(t.recent, 0, pid)
	t.recent = t.recent[:min(len(t.recent), maxRecent)]
}

// oldest goes up from a process that holds a socket to the one that had it
// first: between fork and exec a child holds all that its parent has open.
func (t *table) oldest(pid, inode uint32) uint32 {
	for range maxAncestors {
		parent, _, _, err := processStat(pid)
		if err != nil {
			return 0
		}
		if parent <= 1 || !slices.Contains(t.descriptors(parent), inode) {
			break
		}
		pid = parent
	}
	return pid
}

// descriptors lists the inode numbers of the sockets that a process has open.
func (t *table) descriptors(pid uint32) (out []uint32) {
	dir, err := os.Open(procPath(pid, "fd"))
	if err != nil {
		t.hidden = t.hidden || errors.Is(err, os.ErrPermission)
		return nil
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		t.hidden = t.hidden || errors.Is(err, os.ErrPermission)
		return nil
	}
	var link [64]byte
	for _, name := range names {
		n, err := unix.Readlinkat(int(dir.Fd()), name, link[:])
		if err != nil {
			continue
		}
		if s, ok := strings.CutPrefix(string(link[:n]), "socket:["); ok {
			if id, err := strconv.ParseUint(strings.TrimSuffix(s, "]"), 10, 32); err == nil {
				out = append(out, uint32(id))
			}
		}
	}
	return out
}

// counters are the numbers that change whenever a connection begins or ends
// (RFC 4022; proc(5), /proc/net/snmp).
type counters struct {
	f        *os.File
	buf, tcp []byte
}

func openCounters() (*counters, error) {
	f, err := os.Open("/proc/self/net/snmp")
	if err != nil {
		return nil, fmt.Errorf("connection counters: %w", err)
	}
	return &counters{f: f, buf: make([]byte, 16<<10)}, nil
}

// moved reports whether connections began or ended since it was asked last.
func (c *counters) moved() bool {
	n, err := c.f.ReadAt(c.buf, 0)
	if n == 0 && err != nil {
		return true
	}
	// Tcp: RtoAlgorithm RtoMin RtoMax MaxConn ActiveOpens PassiveOpens
	// AttemptFails EstabResets CurrEstab InSegs …, names first, then numbers.
	const first, behind = 5, 10
	before := len(c.tcp)
	for line := range bytes.Lines(c.buf[:n]) {
		if !bytes.HasPrefix(line, []byte("Tcp: ")) {
			continue
		}
		c.tcp = c.tcp[:before]
		at := 0
		for field := range bytes.FieldsSeq(line) {
			if at >= first && at < behind {
				c.tcp = append(append(c.tcp, field...), ' ')
			}
			at++
		}
		if at <= behind {
			c.tcp = c.tcp[:before]
		}
	}
	now := c.tcp[before:]
	moved := len(now) == 0 || !bytes.Equal(now, c.tcp[:before])
	c.tcp = append(c.tcp[:0], now...)
	return moved
}
