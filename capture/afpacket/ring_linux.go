package afpacket

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"goproxytrace/capture"
	"goproxytrace/capture/portfilter"
)

// The kernel's layout of a ring of version 3 (linux/if_packet.h; packet_mmap in
// the kernel's documentation): blocks, each with a header and some packets
// behind it, each with a header of its own, the address and the frame.
const (
	blockStatus = 8  // tpacket_block_desc.hdr.bh1.block_status
	blockCount  = 12 // num_pkts
	blockFirst  = 16 // offset_to_first_pkt

	frameNext    = 0  // tpacket3_hdr.tp_next_offset
	frameSec     = 4  // tp_sec
	frameNsec    = 8  // tp_nsec
	frameSnaplen = 12 // tp_snaplen
	frameLen     = 16 // tp_len
	frameStatus  = 20 // tp_status
	frameMAC     = 24 // tp_mac: where the frame begins
	frameTCI     = 32 // hv1.tp_vlan_tci
	frameTPID    = 36 // hv1.tp_vlan_tpid
	frameIndex   = 52 // sockaddr_ll.sll_ifindex
	framePktType = 58 // sockaddr_ll.sll_pkttype
	frameHeader  = 60
)

// ring is one packet socket with the memory that it shares with the kernel. It
// is read here rather than through gopacket/afpacket, which hands out packets
// one by one without their direction: a second ring for the other direction,
// and putting both in order, cost more than all else.
type ring struct {
	// mu guards fd from being closed while Counters asks it.
	mu     sync.Mutex
	fd     int // -1 once it is closed
	memory []byte
	block  int // size of a block in bytes
	at     int // offset of the block that is read now, or next
	packet int // offset in it of the next packet
	left   int // packets left in it; zero where it is still the kernel's
	// received includes dropped.
	received, dropped uint64
	// delivered counts the packets handed out; taken counts them by entry
	// in Info.Interfaces since the drops were last shared out, of which
	// shared says how many.
	delivered uint64
	taken     []uint64
	shared    uint64
	// faults counts errors of the socket in a row.
	faults int
}

// openRing opens a socket that takes in nothing yet.
func openRing(o *Options) (*ring, error) {
	// Without a protocol it takes in nothing before it has its filter.
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("open packet socket: %w", err)
	}
	r := &ring{fd: fd, block: o.BlockSize}
	if err := r.open(o); err != nil {
		r.close()
		return nil, fmt.Errorf("open packet socket: %w", err)
	}
	return r, nil
}

func (r *ring) open(o *Options) error {
	if err := unix.SetsockoptInt(r.fd, unix.SOL_PACKET, unix.PACKET_VERSION, unix.TPACKET_V3); err != nil {
		return fmt.Errorf("ring of version 3: %w", err)
	}
	size, err := r.allocate(o.Buffer/o.BlockSize, o.BlockTimeout)
	if err != nil {
		return err
	}
	if r.memory, err = unix.Mmap(r.fd, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		return fmt.Errorf("map ring: %w", err)
	}
	if err := r.filter(portfilter.Nothing()); err != nil {
		return err
	}
	everything := &unix.SockaddrLinklayer{Protocol: bigEndian(unix.ETH_P_ALL)}
	if err := unix.Bind(r.fd, everything); err != nil {
		return fmt.Errorf("bind: %w", err)
	}
	return nil
}

func bigEndian(v uint16) uint16 {
	var b [2]byte
	binary.BigEndian.PutUint16(b[:], v)
	return binary.NativeEndian.Uint16(b[:])
}

// allocate asks for the ring's memory, half as many blocks where there is not
// enough of it, and returns its size.
func (r *ring) allocate(blocks int, timeout time.Duration) (int, error) {
	for {
		err := unix.SetsockoptTpacketReq3(r.fd, unix.SOL_PACKET, unix.PACKET_RX_RING, &unix.TpacketReq3{
			Block_size: uint32(r.block), Block_nr: uint32(blocks),
			// With frames of the size of a block the kernel does not cut
			// frames any shorter.
			Frame_size: uint32(r.block), Frame_nr: uint32(blocks),
			Retire_blk_tov: uint32(timeout / time.Millisecond),
		})
		if errors.Is(err, unix.ENOMEM) && blocks > 2 {
			blocks /= 2
			continue
		}
		if err != nil {
			return 0, fmt.Errorf("ring of %d blocks of %d bytes: %w", blocks, r.block, err)
		}
		return blocks * r.block, nil
	}
}

// filter says which packets are taken in. The old filter is replaced in one
// step: no packet passes unseen in between.
func (r *ring) filter(program []bpf.RawInstruction) error {
	list := make([]unix.SockFilter, len(program))
	for i, in := range program {
		list[i] = unix.SockFilter{Code: in.Op, Jt: in.Jt, Jf: in.Jf, K: in.K}
	}
	err := unix.SetsockoptSockFprog(r.fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(list)), Filter: &list[0]})
	if err != nil {
		return fmt.Errorf("set filter of %d instructions: %w", len(program), err)
	}
	return nil
}

// status is the word by which the block at an offset passes between the kernel
// and us.
func (r *ring) status(at int) *uint32 {
	return (*uint32)(unsafe.Pointer(&r.memory[at+blockStatus]))
}

// peek returns the next packet's header with all that follows in its block; nil
// where none is there. What was taken before is the kernel's again where the
// block has come to its end.
func (r *ring) peek() []byte {
	for r.left == 0 {
		if r.packet != 0 {
			atomic.StoreUint32(r.status(r.at), unix.TP_STATUS_KERNEL)
			r.packet = 0
			if r.at += r.block; r.at == len(r.memory) {
				r.at = 0
			}
		}
		if atomic.LoadUint32(r.status(r.at))&unix.TP_STATUS_USER == 0 {
			return nil
		}
		head := r.memory[r.at:]
		r.left = int(binary.NativeEndian.Uint32(head[blockCount:]))
		r.packet = int(binary.NativeEndian.Uint32(head[blockFirst:]))
		if r.packet == 0 { // of a block without packets
			r.packet = blockFirst
		}
	}
	return r.memory[r.at+r.packet : r.at+r.block]
}

// filling reports whether a quarter of the ring waits to be read.
func (r *ring) filling() bool {
	ahead := max(len(r.memory)/r.block/4, 1) - 1
	at := (r.at + ahead*r.block) % len(r.memory)
	return atomic.LoadUint32(r.status(at))&unix.TP_STATUS_USER != 0
}

// take goes on behind the packet that peek has returned.
func (r *ring) take(frame []byte) {
	r.left--
	r.packet += int(binary.NativeEndian.Uint32(frame[frameNext:]))
}

// stamp is when the packet of a header was captured, in Unix nanoseconds.
func stamp(h []byte) int64 {
	native := binary.NativeEndian
	return int64(native.Uint32(h[frameSec:]))*int64(time.Second) + int64(native.Uint32(h[frameNsec:]))
}

// A batch holds about chunk bytes and maxPackets packets. It takes more, up to
// spare of each, where what comes next was captured before its last packet.
const (
	chunk        = 512 << 10
	maxPackets   = 4096
	spare        = 64 << 10
	sparePackets = 256
	// firstPackets is how many a new batch has room for.
	firstPackets = 64
)

// fill copies packets into b until it is full or there is none; the latter is
// told. resolve gives the member for a kernel index.
func (r *ring) fill(b *capture.Batch, resolve func(index int, frame []byte) *member) (emptied bool) {
	buf := b.Buf[:0]
	defer func() { b.Buf = buf }()
	if size := chunk + spare + r.block; cap(buf) < size {
		buf = make([]byte, 0, size)
	}
	var m *member
	index := -1
	for {
		h := r.peek()
		if h == nil {
			return true
		}
		at := stamp(h)
		if taken := len(b.Packets); taken >= maxPackets || len(buf) >= chunk {
			if !inverted(b.Packets[taken-1].Time, at) || taken >= maxPackets+sparePackets || len(buf) >= chunk+spare {
				return false
			}
		}
		r.take(h)
		native := binary.NativeEndian
		mac, n := int(native.Uint16(h[frameMAC:])), int(native.Uint32(h[frameSnaplen:]))
		data := h[mac : mac+n]
		length, status := int(native.Uint32(h[frameLen:])), native.Uint32(h[frameStatus:])
		start := len(buf)
		// The kernel keeps a received frame's outer VLAN tag beside it.
		tci := native.Uint32(h[frameTCI:])
		if (tci != 0 || status&unix.TP_STATUS_VLAN_VALID != 0) && n >= addresses {
			tpid := native.Uint16(h[frameTPID:])
			if status&unix.TP_STATUS_VLAN_TPID_VALID == 0 {
				tpid = unix.ETH_P_8021Q
			}
			buf = append(buf, data[:addresses]...)
			buf = binary.BigEndian.AppendUint16(buf, tpid)
			buf = binary.BigEndian.AppendUint16(buf, uint16(tci))
			data = data[addresses:]
			length += 4
		}
		buf = append(buf, data...)
		data = buf[start:len(buf):len(buf)]
		if i := int(int32(native.Uint32(h[frameIndex:]))); i != index {
			index, m = i, resolve(i, data)
			for int(m.entry) >= len(r.taken) {
				r.taken = append(r.taken, 0)
			}
		}
		if n := cap(b.Packets); len(b.Packets) == n {
			// In few steps: each size is new to the processor.
			b.Packets = slices.Grow(b.Packets, max(3*n, firstPackets))
		}
		b.Packets = append(b.Packets, capture.Packet{
			Time: at, HasTime: true,
			Data: data, Length: length, FCSLen: -1,
			Interface: m.entry, LinkType: m.link, Loopback: m.loopback,
		})
		p := &b.Packets[len(b.Packets)-1]
		switch {
		case m.loopback: // one copy stands for both ways
		case h[framePktType] == unix.PACKET_OUTGOING:
			p.Direction = capture.Outbound
		default:
			p.Direction = capture.Inbound
		}
		r.taken[m.entry]++
		r.delivered++
		settle(b.Packets)
	}
}

// addresses is the length of the two addresses in front of a VLAN tag.
const addresses = 12

// maxInversion bounds how far apart in time two processors are taken to be that
// put packets into the ring at once: between a packet's place and its time, in
// whichever order the kernel gives them, a virtual machine's processor may stand
// still. What steps back further stays where it is, for the clock may have been
// set. A clock that is set back by less lets packets change places.
const maxInversion = int64(10 * time.Millisecond)

// inverted reports whether a packet of the second time belongs before one of
// the first in front of it.
func inverted(first, second int64) bool {
	back := first - second
	return back > 0 && back <= maxInversion
}

// settle puts the last packet behind those that are not later.
func settle(list []capture.Packet) {
	for i := len(list) - 1; i > 0 && inverted(list[i-1].Time, list[i].Time); i-- {
		list[i-1], list[i] = list[i], list[i-1]
	}
}

// maxFaults bounds the errors of the socket in a row that are taken for
// passing.
const maxFaults = 1000

// fault takes an error off the socket, such as that an interface went down.
func (r *ring) fault() error {
	code, err := unix.GetsockoptInt(r.fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err == nil && code != 0 {
		err = unix.Errno(code)
	}
	// Each wait in between takes one off again.
	if r.faults += 2; err == nil || r.faults < 2*maxFaults {
		return nil
	}
	return fmt.Errorf("packet socket fails %d times in a row: %w", maxFaults, err)
}

// counters returns the totals. Received includes dropped.
func (r *ring) counters() (capture.Counters, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var err error
	if r.fd >= 0 {
		var s *unix.TpacketStatsV3
		// Asking sets the kernel's to zero.
		if s, err = unix.GetsockoptTpacketStatsV3(r.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS); err == nil {
			r.received += uint64(s.Packets)
			r.dropped += uint64(s.Drops)
		} else {
			err = fmt.Errorf("packet socket counters: %w", err)
		}
	}
	return capture.Counters{Received: r.received, Dropped: r.dropped}, err
}

func (r *ring) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.memory != nil {
		unix.Munmap(r.memory)
		r.memory = nil
	}
	if r.fd >= 0 {
		unix.Close(r.fd)
		r.fd = -1
	}
}
