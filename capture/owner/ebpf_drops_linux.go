package owner

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/ringbuf"
	"golang.org/x/sys/unix"

	"goproxytrace/capture/hostlog"
)

const (
	// dropRing holds some 5,000 events about dropped packets, and so bounds
	// what a flood of them may cost: it is emptied every quarter of a second,
	// and what does not fit is counted.
	dropRing = 512 << 10
	// maxDropPorts is how many ports the program compares.
	maxDropPorts = 32
	// maxDropFlows bounds the connections of which drops are counted.
	maxDropFlows = 4096
	// ownerWait is how long a dropped packet waits for the connection to be
	// known that it is of: where no hook tells the local port before the SYN,
	// the first repetition of that does (RFC 6298, section 2.1).
	ownerWait = 3 * second
	// tellAgain is how long further drops of a connection are counted before
	// they are told of together.
	tellAgain = second
)

// flagSYN and flagACK are TCP's (RFC 9293, section 3.1).
const (
	flagSYN = 0x02
	flagACK = 0x10
)

// dropKey is what packets have in common that are told of together.
type dropKey struct {
	tuple   tuple
	inbound bool
	reason  *dropReason
	segment hostlog.Segment
}

// dropFlow counts packets of one kind.
type dropFlow struct {
	first, last, told int64 // Unix ns; told is zero before the first record
	packets           uint32
	// own is true where a socket of this host was attached to the packets.
	own bool
}

// dropWatcher tells which TCP packets of this host's own connections the host
// itself threw away, and why.
type dropWatcher struct {
	w       *Watcher
	clock   *clock
	layout  *dropLayout
	maps    maps
	program *ebpf.Program
	link    link.Link
	reader  *ringbuf.Reader
	lostIn  *ebpf.Memory
	flows   map[dropKey]*dropFlow
	// skipped counts packets beyond maxDropFlows.
	skipped uint64
	stop    chan struct{}
	done    chan struct{}
}

// newDrops begins to watch.
func newDrops(w *Watcher, k *kernel, types *btf.Cache, clock *clock, opts Options) (_ *dropWatcher, err error) {
	d := &dropWatcher{w: w, clock: clock, flows: map[dropKey]*dropFlow{}, stop: make(chan struct{}), done: make(chan struct{})}
	defer func() {
		if err != nil {
			d.free()
		}
	}()
	if d.layout, err = readDropLayout(types); err != nil {
		return nil, err
	}
	for _, m := range []struct {
		into **ebpf.Map
		spec ebpf.MapSpec
	}{
		{&d.maps.ring, ebpf.MapSpec{Name: "drop_events", Type: ebpf.RingBuf, MaxEntries: dropRing}},
		{&d.maps.lost, ebpf.MapSpec{Name: "drop_lost", Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1, Flags: unix.BPF_F_MMAPABLE}},
		{&d.maps.namespaces, ebpf.MapSpec{Name: "drop_netns", Type: ebpf.Hash, KeySize: 4, ValueSize: 4, MaxEntries: uint32(max(len(opts.Namespaces), 1))}},
	} {
		if *m.into, err = ebpf.NewMap(&m.spec); err != nil {
			return nil, explain(fmt.Errorf("make map %s: %w", m.spec.Name, err))
		}
	}
	for _, n := range opts.Namespaces {
		if err = d.maps.namespaces.Put(uint32(n), uint32(1)); err != nil {
			return nil, fmt.Errorf("choose namespace %d: %w", n, err)
		}
	}
	if d.lostIn, err = d.maps.lost.Memory(); err != nil {
		return nil, err
	}
	ports := opts.Ports
	if len(ports) > maxDropPorts {
		ports = nil
	}
	a := &assembler{k: k, maps: &d.maps}
	spec := ebpf.ProgramSpec{
		Name: "owner_dropping", Instructions: a.dropping(d.layout, ports), License: "GPL",
		Type: ebpf.Tracing, AttachType: ebpf.AttachTraceRawTp, AttachTo: "kfree_skb",
	}
	if d.program, err = load(types, &spec); err != nil {
		return nil, err
	}
	if d.link, err = link.AttachTracing(link.TracingOptions{Program: d.program, AttachType: ebpf.AttachTraceRawTp}); err != nil {
		return nil, explain(fmt.Errorf("attach to kfree_skb: %w", err))
	}
	if d.reader, err = ringbuf.NewReader(d.maps.ring); err != nil {
		return nil, fmt.Errorf("read events: %w", err)
	}
	go d.run()
	return d, nil
}

// run empties the ring and tells of what is in it, until stop.
func (d *dropWatcher) run() {
	defer close(d.done)
	t := time.NewTicker(250 * time.Millisecond)
	defer t.Stop()
	for {
		over := false
		select {
		case <-d.stop:
			over = true
		case <-t.C:
		}
		if err := d.drain(); err != nil {
			d.w.limit("%s can no longer be read: %v", DropReasons, err)
			return
		}
		d.tell(time.Now().UnixNano(), over)
		if over {
			return
		}
	}
}

// drain takes what the ring holds.
func (d *dropWatcher) drain() error {
	if d.reader.AvailableBytes() == 0 {
		return nil
	}
	var rec ringbuf.Record
	d.reader.SetDeadline(time.Now())
	for {
		err := d.reader.ReadInto(&rec)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, ringbuf.ErrFlushed):
			return nil
		case err != nil:
			return err
		}
		d.take(rec.RawSample)
	}
}

// take counts one dropped packet.
func (d *dropWatcher) take(b []byte) {
	key, f, ok := d.decode(b)
	if !ok {
		return
	}
	if known := d.flows[key]; known != nil {
		if known.packets == 0 {
			known.first = f.first
		}
		known.packets++
		known.last, known.own = max(known.last, f.last), known.own || f.own
		return
	}
	if len(d.flows) >= maxDropFlows {
		d.skipped++
		return
	}
	d.flows[key] = &f
}

// decode reads an event; ok is false where it is not about a packet of a client
// or server of this host that can be told.
func (d *dropWatcher) decode(b []byte) (key dropKey, f dropFlow, ok bool) {
	if len(b) < drSize {
		return key, f, false
	}
	n := binary.NativeEndian
	if key.reason = d.layout.reasons[n.Uint32(b[drReason:])]; key.reason == nil {
		return key, f, false
	}
	ip, tcp := b[drIP:drIP+40], b[drTCP:drTCP+20]
	var source, target netip.Addr
	var header, length int
	switch ip[0] >> 4 {
	case 4:
		source, target = netip.AddrFrom4([4]byte(ip[12:])), netip.AddrFrom4([4]byte(ip[16:]))
		header, length = int(ip[0]&0xf)*4, int(binary.BigEndian.Uint16(ip[2:]))
		if header < 20 || binary.BigEndian.Uint16(ip[6:])&0x1fff != 0 {
			return key, f, false // no first fragment: there are no ports
		}
	case 6:
		source, target = netip.AddrFrom16([16]byte(ip[8:])), netip.AddrFrom16([16]byte(ip[24:]))
		header, length = 40, 40+int(binary.BigEndian.Uint16(ip[4:]))
	default:
		return key, f, false
	}
	// Behind the linear part of the buffer stand other things than the packet.
	if int64(n.Uint32(b[drTail:]))-int64(n.Uint16(b[drNetwork:])) < int64(header+20) {
		return key, f, false
	}
	from := netip.AddrPortFrom(source, binary.BigEndian.Uint16(tcp))
	to := netip.AddrPortFrom(target, binary.BigEndian.Uint16(tcp[2:]))
	f.own = n.Uint32(b[drOwn:]) != 0
	sport, dport := binary.BigEndian.Uint16(b[drSport:]), binary.BigEndian.Uint16(b[drDport:])
	switch {
	case f.own && from.Port() == sport && to.Port() == dport:
		key.tuple = tupleOf(from, to)
	case f.own && (from.Port() != dport || to.Port() != sport):
		return key, f, false // a tunnel's, or translated
	default:
		key.tuple, key.inbound = tupleOf(to, from), true
	}
	f.first = d.clock.unix(int64(n.Uint64(b[drTime:])))
	f.last, f.packets = f.first, 1
	payload := length - header - int(tcp[12]>>4)*4
	switch flags := tcp[13]; {
	case flags&(flagSYN|flagACK) == flagSYN:
		key.segment = hostlog.SegmentSYN
	case flags&flagSYN != 0:
		key.segment = hostlog.SegmentSYNACK
	case payload > 0 || length <= header: // a length of zero is that of a jumbogram
		key.segment = hostlog.SegmentData
	default:
		key.segment = hostlog.SegmentOther
	}
	return key, f, true
}

// tell reports what was counted. Packets without a socket are this host's own
// where it has one with their ends; others are passed on for someone else.
func (d *dropWatcher) tell(now int64, over bool) {
	var due []dropKey
	for key, f := range d.flows {
		switch {
		case f.packets == 0:
			if now-f.told > ownerWait {
				delete(d.flows, key)
			}
		case over || f.told == 0 || now-f.told >= tellAgain:
			due = append(due, key)
		}
	}
	slices.SortFunc(due, func(a, b dropKey) int { return int(d.flows[a].first - d.flows[b].first) })
	for _, key := range due {
		f := d.flows[key]
		pid, known := d.w.book.owner(key.tuple, f.last)
		if !known && now-f.last < ownerWait && !over {
			continue
		}
		if !known && !f.own {
			delete(d.flows, key)
			continue
		}
		d.w.out.put(&hostlog.Block{
			Time: f.first, Until: f.last, Packets: f.packets, Segment: key.segment, Action: hostlog.Blocked, PID: pid,
			Local: key.tuple.local, Remote: key.tuple.remote, Inbound: key.inbound,
			Origin: "kernel drop reason", Rule: key.reason.name, Provider: key.reason.by,
		})
		f.packets, f.told = 0, now
	}
}

// limits are what was lost.
func (d *dropWatcher) limits() (out []string) {
	lost := d.skipped
	var b [8]byte
	if _, err := d.lostIn.ReadAt(b[:], 0); err == nil {
		lost += binary.NativeEndian.Uint64(b[:])
	}
	if lost > 0 {
		out = append(out, fmt.Sprintf("%d packets that this machine dropped are not told of: they were more than could be read", lost))
	}
	return out
}

// close tells of the last ones and stops.
func (d *dropWatcher) close() error {
	err := d.link.Close() // no more events
	d.link = nil
	close(d.stop)
	<-d.done
	d.free()
	return err
}

func (d *dropWatcher) free() {
	if d.link != nil {
		d.link.Close()
	}
	if d.reader != nil {
		d.reader.Close()
	}
	if d.program != nil {
		d.program.Close()
	}
	for _, m := range []*ebpf.Map{d.maps.ring, d.maps.lost, d.maps.namespaces} {
		if m != nil {
			m.Close()
		}
	}
}
