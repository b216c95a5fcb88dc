package analyze

import (
	"cmp"
	"slices"

	"goproxytrace/analyze/diagnose"
	"goproxytrace/analyze/tcpflow"
	"goproxytrace/capture"
	"goproxytrace/capture/hostlog"
)

// maxSockets bounds the sockets whose states are remembered.
const maxSockets = 16 << 10

// socket is what the host's socket table said of one socket, first and last.
type socket struct {
	first, last   *hostlog.Socket
	local, remote tcpflow.Endpoint
	frame, until  int64 // frames of the two
	joined        bool  // the capture holds packets of it
}

type socketKey struct {
	local, remote tcpflow.Endpoint
}

// sockets are those that the host told of, several for a tuple that was used
// again.
type sockets struct {
	byEnds  map[socketKey][]*socket
	list    []*socket
	omitted int64
}

// notConnected are the states of sockets that are no connection.
var notConnected = []string{"LISTEN", "CLOSED", "CLOSE", ""}

func (t *sockets) add(r *hostlog.Socket, frame int64) {
	if !r.Local.IsValid() || !r.Remote.IsValid() || r.Remote.Port() == 0 || slices.Contains(notConnected, r.State) {
		return
	}
	key := socketKey{endOf(r.Local), endOf(r.Remote)}
	for _, s := range t.byEnds[key] {
		if s.last.Cookie != r.Cookie || s.last.BytesReceived != nil && r.BytesReceived != nil && *r.BytesReceived < *s.last.BytesReceived && r.Time > s.last.Time {
			continue
		}
		if r.Time >= s.last.Time {
			s.last, s.until = r, frame
		}
		if r.Time < s.first.Time {
			s.first = r
		}
		return
	}
	if len(t.list) >= maxSockets {
		t.omitted++
		return
	}
	if t.byEnds == nil {
		t.byEnds = make(map[socketKey][]*socket)
	}
	s := &socket{first: r, last: r, local: key.local, remote: key.remote, frame: frame, until: frame}
	t.byEnds[key] = append(t.byEnds[key], s)
	t.list = append(t.list, s)
}

// of returns the socket at the client's end of a connection, nil for none. One
// that was gone when the connection began is another.
func (t *sockets) of(c *tcpflow.Conn) *socket {
	if len(t.list) == 0 {
		return nil
	}
	var found *socket
	for _, s := range t.byEnds[socketKey{c.ClientEnd(), c.ServerEnd()}] {
		if s.last.Time < c.Start.Time && begun(c) || s.first.Time > c.Last.Time && c.Closed() {
			continue
		}
		s.joined = true
		if found == nil || s.last.Time > found.last.Time {
			found = s
		}
	}
	return found
}

// state returns what the rules need of a socket; nil for nil.
func (p *pipeline) state(s *socket) *diagnose.Socket {
	if s == nil {
		return nil
	}
	out := &diagnose.Socket{First: s.first, Last: s.last, FirstFrame: s.frame, LastFrame: s.until}
	if q := p.processes.at(s.last.PID, s.last.Time); q != nil {
		if top := p.processes.command(q); top != nil {
			out.Busy = p.processes.busy(top, s.first.Time, s.last.Time)
		}
	}
	return out
}

// judgeSockets judges the sockets of which the capture holds no packet: each is
// a connection of its own.
func (p *pipeline) judgeSockets(info *capture.Info) {
	rest := slices.DeleteFunc(slices.Clone(p.sockets.list), func(s *socket) bool {
		// Of the two ends of a connection within this host the one with the
		// ephemeral port is the client's; a server's is not looked for.
		return s.joined || s.last.PID == 0 || s.local.Port < s.remote.Port || p.peerJoined(s)
	})
	slices.SortStableFunc(rest, func(a, b *socket) int { return cmp.Compare(a.frame, b.frame) })
	id := p.table.Connections()
	for _, s := range rest {
		c := &tcpflow.Conn{
			ID: id, End: [2]tcpflow.Endpoint{s.local, s.remote}, ClientKnown: true,
			Start: tcpflow.Point{Frame: s.frame, Time: s.first.Time}, Last: tcpflow.Point{Frame: s.until, Time: s.last.Time},
			Loopback: isLoopbackAddr(s.local.Addr) || s.local.Addr == s.remote.Addr, IPVersion: 6,
		}
		if address(s.local.Addr).Is4() {
			c.IPVersion = 4
		}
		f := &diagnose.Flow{Conn: c, Env: &p.env, Socket: p.state(s), ServerName: p.names[s.remote.Addr]}
		f.Socket.Covered = p.covers(info, s.local.Addr, s.remote)
		if p.judge(f) {
			id++
		}
	}
}

// peerJoined reports whether the other end of a socket within this host belongs
// to a connection with packets.
func (p *pipeline) peerJoined(s *socket) bool {
	for _, o := range p.sockets.byEnds[socketKey{s.remote, s.local}] {
		if o.joined {
			return true
		}
	}
	return false
}
