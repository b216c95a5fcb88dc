package decode

import (
	"goproxytrace/capture"
)

const (
	// maxHeaders bounds the headers of one frame, nested or side by side,
	// before the decoder gives up on it.
	maxHeaders = 256
	// maxSegments bounds the segments of one frame: more come only from
	// headers made up to multiply.
	maxSegments = 64
)

// Decoder turns packets into segments. It keeps the fragments of incomplete IP
// datagrams (bounded) and the counts of what it could not read. It must not be
// used from several goroutines at once.
type Decoder struct {
	out      []Segment
	frame    int64
	time     int64
	iface    int32
	loopback bool
	headers  int // read of this frame
	count    int // segments given for this frame

	direction uint8
	layer     uint8
	linkVLAN  uint16
	process   *Process

	// ip holds what the innermost IP header read so far says.
	ip ipHeader

	unread   unreadTable
	frags    fragmentTable
	layers   layerSet
	owners   map[ownerKey]*Process
	wlanSeen [16]wlanKey
	wlanNext int
	sampled  bool // headers sampled by another device (sFlow)
}

// ipHeader is what segments take from the IP header before them.
type ipHeader struct {
	src, dst     Addr
	version      uint8
	ttl          uint8
	dontFragment bool
	hasID        bool
	fragment     bool // payload is a first fragment, not reassembled
	reassembled  bool
	id           uint16
}

// New returns a Decoder ready for use.
func New() *Decoder {
	return &Decoder{}
}

// Decode appends the segments of p to out and returns the result. The
// segments borrow p.Data; those that were reassembled from IP fragments have
// memory of their own.
func (d *Decoder) Decode(p *capture.Packet, out []Segment) []Segment {
	if p.Kind == capture.KindEvent {
		return out
	}
	d.out = out
	d.count = 0
	d.frame = p.Number
	d.time = p.Time
	d.iface = p.Interface
	d.loopback = p.Loopback
	d.direction = uint8(p.Direction)
	d.headers = 0
	d.layer = 0
	d.linkVLAN = 0
	d.process = nil
	d.sampled = false
	d.ip = ipHeader{}

	v := view{p.Data, p.Length}
	if v.n < len(v.b) {
		v.n = len(v.b)
	}
	d.guarded(p.LinkType, v)

	out = d.out
	d.out = nil
	return out
}

// guarded decodes one frame. gopacket may panic on hostile bytes; one recover
// per frame turns that into a counted frame that keeps what was found before.
func (d *Decoder) guarded(lt capture.LinkType, v view) {
	defer func() {
		if r := recover(); r != nil {
			d.miss(missPanic, 0)
		}
	}()
	d.link(lt, v)
}

// segment appends a new segment with all that the frame and the innermost IP
// header say; it returns nil where the frame gave too many already.
func (d *Decoder) segment(proto Proto) *Segment {
	if d.count >= maxSegments {
		d.miss(missNested, 0)
		return nil
	}
	d.count++
	n := len(d.out)
	if n < cap(d.out) {
		d.out = d.out[:n+1]
	} else {
		d.out = append(d.out, Segment{})
	}
	s := &d.out[n]
	h := &d.ip
	*s = Segment{} // then field by field: a filled literal is built aside and copied
	s.Frame = d.frame
	s.Time = d.time
	s.Src = h.src
	s.Dst = h.dst
	s.Interface = d.iface
	s.Loopback = d.loopback
	s.Proto = proto
	s.IPVersion = h.version
	s.TTL = h.ttl
	s.Layer = d.layer
	s.Direction = d.direction
	s.DontFragment = h.dontFragment
	s.HasIPID = h.hasID
	s.Fragment = h.fragment || d.sampled
	s.Reassembled = h.reassembled
	s.WindowScale = -1
	s.MPTCP = -1
	s.IPID = h.id
	s.Process = d.process
	d.layer++
	return s
}

// enter counts one more header; it is false, and counted, where a frame has too
// many.
func (d *Decoder) enter() bool {
	d.headers++
	if d.headers > maxHeaders {
		d.miss(missNested, 0)
		return false
	}
	return true
}
