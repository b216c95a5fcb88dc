package analyze

import (
	"cmp"
	"slices"
	"time"

	"goproxytrace/analyze/decode"
	"goproxytrace/analyze/diagnose"
	"goproxytrace/analyze/tcpflow"
	"goproxytrace/analyze/tlswire"
)

// Bounds on a View: what is drawn four times a second must stay cheap however
// many connections there are.
const (
	maxViewed  = 200
	maxWatched = 512
)

// View is an analysis under way.
type View struct {
	// Packets and Bytes count the frames read, Segments the TCP segments in
	// them; records that are no packets are left out.
	Packets, Bytes, Segments int64
	// Opened counts the connections seen so far, Finished those that will not
	// be heard of again.
	Opened, Finished int64
	// Time is the capture time reached, in Unix nanoseconds; zero before the
	// first packet.
	Time int64
	// Connections are the open and the recently finished ones, at most 200:
	// those to the targets and of the go command first, of these the latest
	// active.
	Connections []ViewConnection
}

// ViewStage says how far a connection is.
type ViewStage string

// Stages of a connection under way.
const (
	ViewConnect  ViewStage = "connect"
	ViewTLS      ViewStage = "tls"
	ViewHTTP     ViewStage = "http"     // the handshake is done, nothing was answered yet
	ViewTransfer ViewStage = "transfer" // the server sent data behind the handshake
	ViewDone     ViewStage = "done"     // judged; Class says how
)

// ViewConnection is one connection under way.
type ViewConnection struct {
	ID             int64
	Client, Server string // ip:port
	ServerName     string // empty where unknown
	PID            uint32 // of the client's process, zero where unknown
	Process        string // its name, empty where unknown
	// GoCommand is true where the process is a go command, or works for one.
	GoCommand bool
	Target    bool // the server is one of GOPROXY's or GOSUMDB's
	Stage     ViewStage
	// FromClient and FromServer count payload bytes, repetitions left out.
	FromClient, FromServer uint64
	// Start is the first packet's time, LastPayload that of the latest new
	// payload, in Unix nanoseconds; the latter is zero before any.
	Start, LastPayload int64
	Closed             bool // an end closed or reset it
	Retransmitted      bool
	ZeroWindow         bool // the client takes no data at present
	Reset              bool
	Class              diagnose.Class // empty until Stage is ViewDone
}

// watched is a connection that the observer follows.
type watched struct {
	conn    *tcpflow.Conn // nil once it is done
	view    ViewConnection
	touched int64 // number of the call at which a packet came last
}

// observer gathers Views. A nil observer does nothing.
type observer struct {
	p     *pipeline
	call  func(*View)
	view  View
	conns map[int64]*watched
	list  []*watched // for use again
	// lately are connections that were touched since the latest call, by ID.
	lately [64]*tcpflow.Conn
	next   time.Time
	tick   int64
}

func newObserver(p *pipeline, call func(*View)) *observer {
	return &observer{p: p, call: call, conns: make(map[int64]*watched)}
}

// place returns where a connection is remembered that was touched lately.
func (o *observer) place(c *tcpflow.Conn) **tcpflow.Conn { return &o.lately[c.ID%int64(len(o.lately))] }

// segment is told of each segment of a connection.
func (o *observer) segment(c *tcpflow.Conn, _ *decode.Segment) {
	place := o.place(c)
	if *place == c {
		return
	}
	*place = c
	w := o.conns[c.ID]
	if w == nil {
		if len(o.conns) >= 2*maxWatched {
			o.forget()
		}
		w = &watched{conn: c, view: ViewConnection{ID: c.ID, Stage: ViewConnect, Start: c.Start.Time}}
		o.conns[c.ID] = w
	}
	w.touched = o.tick
}

// done is told of a connection that will not be heard of again; v is nil where
// it is not in view.
func (o *observer) done(c *tcpflow.Conn, f *diagnose.Flow, v *diagnose.Verdict, owner *Process) {
	if o == nil {
		return
	}
	o.view.Finished++
	if place := o.place(c); *place == c {
		*place = nil
	}
	w := o.conns[c.ID]
	if w == nil {
		return
	}
	if v == nil {
		delete(o.conns, c.ID)
		return
	}
	o.fill(w, f.ServerName)
	w.conn = nil
	w.view.Stage, w.view.Class, w.view.Target, w.view.GoCommand = ViewDone, v.Class, f.Target, f.GoCommand
	if owner != nil {
		w.view.PID, w.view.Process = owner.PID, owner.Name
	}
}

// forget drops what is looked at least.
func (o *observer) forget() {
	list := o.sorted()
	for _, w := range list[min(maxWatched, len(list)):] {
		delete(o.conns, w.view.ID)
	}
	clear(o.lately[:])
}

// sorted returns what is followed, the most interesting first.
func (o *observer) sorted() []*watched {
	o.list = o.list[:0]
	for _, w := range o.conns {
		o.list = append(o.list, w)
	}
	slices.SortFunc(o.list, compareWatched)
	return o.list
}

// compareWatched orders the most interesting first.
func compareWatched(a, b *watched) int {
	if n := cmp.Compare(b.weight(), a.weight()); n != 0 {
		return n
	}
	if n := cmp.Compare(b.touched, a.touched); n != 0 {
		return n
	}
	return cmp.Compare(b.view.ID, a.view.ID)
}

func (w *watched) weight() int {
	n := 0
	if w.view.Target || w.view.GoCommand {
		n += 2
	}
	if w.conn != nil {
		n++
	}
	return n
}

// batch is told of each batch, also of one without packets.
func (o *observer) batch(w *work) {
	o.view.Packets += w.frames
	o.view.Bytes += w.bytes
	now := time.Now()
	if now.Before(o.next) {
		return
	}
	o.next = now.Add(progressInterval)
	o.tick++
	clear(o.lately[:]) // so that each connection is touched anew
	o.gather()
	o.call(&o.view)
}

// gather brings the View up to date.
func (o *observer) gather() {
	v := &o.view
	v.Segments, v.Opened, v.Time = o.p.health.segments, o.p.table.Connections(), o.p.env.End
	if len(o.conns) > maxWatched {
		o.forget()
	}
	list := o.sorted()
	list = list[:min(len(list), maxViewed)]
	v.Connections = v.Connections[:0]
	for _, w := range list {
		if w.conn != nil {
			o.fill(w, "")
		}
		v.Connections = append(v.Connections, w.view)
	}
}

// fill takes over what is known of a connection that is not done; name is its
// server's, empty where that is still to be found.
func (o *observer) fill(w *watched, name string) {
	c, v := w.conn, &w.view
	if v.Client == "" || !c.ClientKnown {
		v.Client, v.Server = endpoint(c.ClientEnd()), endpoint(c.ServerEnd())
	}
	a, _ := c.User.(*app)
	if name == "" && v.ServerName == "" {
		if a != nil {
			if h := a.tls.ClientHello(); h != nil {
				name = h.ServerName()
			} else if a.request != nil && a.request.Method == "CONNECT" {
				name = hostOf(a.request.Target)
			}
		}
		name = cmp.Or(name, o.p.names[c.ServerEnd().Addr])
	}
	if name != "" && name != v.ServerName {
		v.ServerName, v.Target = name, o.p.isTarget(name)
	}
	if v.PID == 0 || v.Process == "" {
		o.owner(c, v)
	}
	v.Start = c.Start.Time
	v.Stage = stageOf(c, a)
	v.Closed, v.Reset = c.Closed(), len(c.Resets) > 0
	for d, h := range c.Half {
		if h == nil {
			continue
		}
		v.LastPayload = max(v.LastPayload, h.LastNewData.Time)
		v.Retransmitted = v.Retransmitted || h.Retransmissions+h.FastRetransmissions > 0
		if uint8(d) == c.ClientDir {
			v.FromClient = h.NewBytes
			v.ZeroWindow = len(c.ZeroWindows) > 0 && h.LastWindow == 0
		} else {
			v.FromServer = h.NewBytes
		}
	}
}

func (o *observer) owner(c *tcpflow.Conn, v *ViewConnection) {
	own, ok := o.p.claimedBy(c, c.ClientEnd())
	if !ok {
		named, _ := o.p.annotated.of(c)
		if named == nil {
			return
		}
		own = o.p.annotatedOwner(c, named)
	}
	v.PID, v.GoCommand = own.pid, own.command != nil
	if own.program != nil {
		v.Process = own.program.name
	}
}

// stageOf tells the stage of an open connection.
func stageOf(c *tcpflow.Conn, a *app) ViewStage {
	client, server := c.Client(), c.Server()
	switch {
	case !c.Established() && (client == nil || client.DataPackets == 0):
		return ViewConnect
	case server == nil || a == nil:
		return ViewTLS
	}
	if a.tls.ClientHello() == nil {
		if server.NewBytes > 0 {
			return ViewTransfer
		}
		return ViewHTTP
	}
	f := a.tls.Facts()
	finished := clientFinished(f)
	if !finished.Seen() {
		return ViewTLS
	}
	if side := f.Side(tlswire.RoleServer); side != nil && side.LastApp.Time > finished.Time {
		return ViewTransfer
	}
	return ViewHTTP
}
