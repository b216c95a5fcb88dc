package afpacket

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"goproxytrace/capture"
	"goproxytrace/capture/engine/spacetest"
	"goproxytrace/capture/portfilter"
)

// taken is a packet with its own memory.
type taken struct {
	capture.Packet
	// first is true of the first packet of a batch.
	first bool
}

// recorder reads a capture to its end in the background.
type recorder struct {
	t       *testing.T
	capture *Capture
	packets []taken
	done    chan error
}

func record(t *testing.T, s *spacetest.Space, o Options) *recorder {
	t.Helper()
	r := &recorder{t: t, done: make(chan error, 1)}
	s.Do(func() (err error) {
		r.capture, err = Open(o)
		return err
	})
	t.Cleanup(func() { r.capture.Close() })
	go func() {
		var b capture.Batch
		for {
			if err := r.capture.Read(&b); err != nil {
				r.done <- err
				return
			}
			for i, p := range b.Packets {
				p.Data = bytes.Clone(p.Data)
				r.packets = append(r.packets, taken{p, i == 0})
			}
		}
	}()
	return r
}

// end stops the capture, checks its books, and returns what it took in.
func (r *recorder) end() ([]taken, *capture.Info) {
	r.t.Helper()
	began := time.Now()
	r.capture.Stop()
	select {
	case err := <-r.done:
		if !errors.Is(err, io.EOF) {
			r.t.Fatalf("Read ended with %v", err)
		}
	case <-time.After(10 * time.Second):
		r.t.Fatal("Read does not end after Stop")
	}
	if d := time.Since(began); d > 2*time.Second {
		r.t.Errorf("Stop took %v", d)
	}
	r.books()
	return r.packets, r.capture.Info()
}

// books checks that every packet the kernel counted was delivered or counted
// as dropped, in sum and by interface.
func (r *recorder) books() {
	r.t.Helper()
	n := r.capture.Counters()
	if n.Received != n.Delivered+n.Dropped || n.Delivered != uint64(len(r.packets)) {
		r.t.Errorf("received %d, delivered %d, dropped %d, read %d", n.Received, n.Delivered, n.Dropped, len(r.packets))
	}
	byInterface := make(map[int32]uint64)
	for _, p := range r.packets {
		byInterface[p.Interface]++
	}
	var sum capture.Counters
	for i, f := range r.capture.Info().Interfaces {
		if f.Delivered == nil || f.Received == nil || f.OSDropped == nil || f.FilterAccepted == nil || f.End == 0 {
			r.t.Fatalf("interface %s has no complete statistics", f.Name)
		}
		if *f.Delivered != byInterface[int32(i)] || *f.Received != *f.Delivered+*f.OSDropped || *f.FilterAccepted != *f.Received {
			r.t.Errorf("interface %s: received %d, accepted %d, delivered %d, dropped %d, read %d",
				f.Name, *f.Received, *f.FilterAccepted, *f.Delivered, *f.OSDropped, byInterface[int32(i)])
		}
		sum.Received += *f.Received
		sum.Dropped += *f.OSDropped
		sum.Delivered += *f.Delivered
	}
	if sum != n {
		r.t.Errorf("the interfaces' sums are %+v, the total is %+v", sum, n)
	}
	for i, p := range r.packets {
		if p.FCSLen != -1 || !p.HasTime || p.Kind != capture.KindFrame {
			t := p.Packet
			t.Data = nil
			r.t.Fatalf("packet %d: %+v", i+1, t)
		}
		if p.Number != int64(i+1) {
			r.t.Fatalf("packet %d has number %d", i+1, p.Number)
		}
		// What came before may have been handed out already: only then is a
		// packet of another processor left behind one that is later.
		if !p.first && inverted(r.packets[i-1].Time, p.Time) {
			r.t.Errorf("packet %d is %d ns before the one in front of it", i+1, r.packets[i-1].Time-p.Time)
		}
	}
}

// admits waits until the capture takes in an interface that there is.
func (r *recorder) admits(s *spacetest.Space, name string) {
	r.t.Helper()
	var link *net.Interface
	s.Do(func() (err error) {
		link, err = net.InterfaceByName(name)
		return err
	})
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		r.capture.reading.Lock()
		m := r.capture.members[link.Index]
		joined := m != nil && !m.gone && r.capture.info.Interfaces[m.entry].Name == name
		r.capture.reading.Unlock()
		if joined {
			return
		}
		if time.Now().After(end) {
			r.t.Fatalf("interface %s is not captured on", name)
		}
	}
}

// exchange sends size bytes over TCP from near to far's port and waits until
// far has them all.
func exchange(t *testing.T, near, far *spacetest.Space, address string, size int) {
	t.Helper()
	var listener net.Listener
	far.Do(func() (err error) {
		listener, err = net.Listen("tcp", address)
		return err
	})
	got := make(chan int64, 1)
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			got <- -1
			return
		}
		n, _ := io.Copy(io.Discard, conn)
		conn.Close()
		got <- n
	}()
	var conn net.Conn
	near.Do(func() (err error) {
		conn, err = net.Dial("tcp", listener.Addr().String())
		return err
	})
	if _, err := conn.Write(make([]byte, size)); err != nil {
		t.Fatal(err)
	}
	conn.(*net.TCPConn).CloseWrite()
	if n := <-got; n != int64(size) {
		t.Fatalf("the far end has %d of %d bytes", n, size)
	}
	io.Copy(io.Discard, conn)
	conn.Close()
	listener.Close()
}

// ports returns source and destination port of a TCP or UDP packet, and
// whether it is IPv6; network is the offset of the IP header.
func ports(data []byte, network int) (src, dst uint16, six bool) {
	b := data[network:]
	at := int(b[0]&0x0f) * 4
	if six = b[0]>>4 == 6; six {
		at = 40
	}
	return uint16(b[at])<<8 | uint16(b[at+1]), uint16(b[at+2])<<8 | uint16(b[at+3]), six
}

func TestDirectionAndFamilies(t *testing.T) {
	near, far := spacetest.Pair(t)
	for _, address := range []string{"10.9.0.2:443", "[fd09::2]:443"} {
		r := record(t, near, Options{Interfaces: []string{"eth0"}})
		exchange(t, near, far, address, 100_000)
		packets, info := r.end()
		var out, in, six int
		for _, p := range packets {
			if kind := uint16(p.Data[12])<<8 | uint16(p.Data[13]); kind != 0x0800 && kind != 0x86dd || p.Data[23] != 6 && p.Data[20] != 6 {
				continue // ARP and neighbour discovery
			}
			src, dst, is6 := ports(p.Data, 14)
			if is6 {
				six++
			}
			switch {
			case dst == 443 && p.Direction == capture.Outbound:
				out++
			case src == 443 && p.Direction == capture.Inbound:
				in++
			default:
				t.Errorf("%s: packet %d from port %d to %d has direction %d", address, p.Number, src, dst, p.Direction)
			}
		}
		if out < 3 || in < 3 || (six > 0) != (address[0] == '[') {
			t.Errorf("%s: %d packets out, %d in, %d of IPv6", address, out, in, six)
		}
		if len(info.Interfaces) != 1 || info.Interfaces[0].Name != "eth0" || info.Interfaces[0].LinkType != 1 {
			t.Errorf("interfaces: %+v", info.Interfaces)
		}
	}
}

// A packet through the loopback interface is sent and received there: it is
// shown once.
func TestLoopbackOnce(t *testing.T) {
	s := spacetest.New(t)
	r := record(t, s, Options{Interfaces: []string{"lo"}})
	const count = 50
	s.Do(func() error {
		to, err := net.ListenPacket("udp", "127.0.0.1:53")
		if err != nil {
			return err
		}
		defer to.Close()
		from, err := net.Dial("udp", "127.0.0.1:53")
		if err != nil {
			return err
		}
		defer from.Close()
		for i := range count {
			if _, err := from.Write([]byte{byte(i)}); err != nil {
				return err
			}
		}
		return nil
	})
	packets, _ := r.end()
	if len(packets) != count {
		t.Fatalf("%d packets were sent, %d captured", count, len(packets))
	}
	for i, p := range packets {
		if !p.Loopback || p.Data[len(p.Data)-1] != byte(i) {
			t.Errorf("packet %d: loopback %v, content %x", i, p.Loopback, p.Data[len(p.Data)-1])
		}
	}
}

// Segmentation offload hands the capture frames of up to 64 KiB; none is cut,
// and the bytes add up.
func TestLongFramesWhole(t *testing.T) {
	near, far := spacetest.Pair(t)
	r := record(t, near, Options{Interfaces: []string{"eth0"}})
	const size = 20 << 20
	exchange(t, near, far, "10.9.0.2:443", size)
	packets, _ := r.end()
	longest := 0
	// What was sent twice counts once: spans are by sequence number, from
	// the one of the SYN.
	type span struct{ start, end uint32 }
	var spans []span
	var initial uint32
	for _, p := range packets {
		if p.Length != len(p.Data) {
			t.Fatalf("packet %d of %d bytes was cut to %d", p.Number, p.Length, len(p.Data))
		}
		longest = max(longest, p.Length)
		if p.Direction == capture.Outbound && p.Data[12] == 8 && p.Data[13] == 0 && p.Data[23] == 6 {
			total := int(p.Data[16])<<8 | int(p.Data[17])
			if total == 0 {
				total = p.Length - 14
			}
			sequence := binary.BigEndian.Uint32(p.Data[38:])
			const syn = 2
			if p.Data[47]&syn != 0 {
				initial = sequence
			}
			start := sequence - initial
			spans = append(spans, span{start, start + uint32(total-20-int(p.Data[46]>>4)*4)})
		}
	}
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.start, b.start) })
	payload, reached := uint32(0), uint32(0)
	for _, x := range spans {
		if x.end > reached {
			payload += x.end - max(x.start, reached)
			reached = x.end
		}
	}
	if longest < 60_000 {
		t.Errorf("the longest frame has %d bytes: offload was not at work", longest)
	}
	if n := r.capture.Counters(); n.Dropped == 0 && payload != size {
		t.Errorf("%d bytes were sent, the capture holds %d", size, payload)
	}
}

// Everything that was sent before Stop is delivered, and an idle capture
// stops promptly.
func TestStopDrains(t *testing.T) {
	s := spacetest.New(t)
	for i := range 6 {
		r := record(t, s, Options{Interfaces: []string{"lo"}})
		if i%2 == 1 {
			r.capture.TakeTime()
		}
		const count = 2000
		flood(t, s, count, 100)
		packets, _ := r.end()
		if n := r.capture.Counters(); len(packets) != count || n.Dropped != 0 {
			t.Fatalf("%d packets were sent, %d delivered, %d dropped", count, len(packets), n.Dropped)
		}
	}
	// A capture that waits for something to come waits so each time, a busy
	// machine does not.
	const most = 500 * time.Millisecond
	best := time.Hour
	for n := 0; n < 5 && best > most; n++ {
		idle := record(t, s, Options{Interfaces: []string{"lo"}})
		time.Sleep(300 * time.Millisecond)
		began := time.Now()
		if packets, _ := idle.end(); len(packets) != 0 {
			t.Errorf("an idle capture has %d packets", len(packets))
		}
		best = min(best, time.Since(began))
	}
	if best > most {
		t.Errorf("stopping an idle capture took %v", best)
	}
}

// flood sends count UDP packets to port 443 of the loopback address.
func flood(t *testing.T, s *spacetest.Space, count, size int) {
	t.Helper()
	s.Do(func() error {
		// Nobody reads there; it keeps the kernel from refusing.
		sink, err := net.ListenPacket("udp", "127.0.0.1:443")
		if err != nil {
			return err
		}
		defer sink.Close()
		from, err := net.Dial("udp", "127.0.0.1:443")
		if err != nil {
			return err
		}
		defer from.Close()
		b := make([]byte, size)
		for range count {
			if _, err := from.Write(b); err != nil {
				return err
			}
		}
		return nil
	})
}

// A ring too small for a flood drops, and says how much.
func TestDropsCounted(t *testing.T) {
	s := spacetest.New(t)
	var c *Capture
	s.Do(func() (err error) {
		c, err = Open(Options{Interfaces: []string{"lo"}, BlockSize: 64 << 10, Buffer: 128 << 10})
		return err
	})
	defer c.Close()
	const count = 5000
	flood(t, s, count, 1400)
	c.Stop()
	var b capture.Batch
	var read uint64
	var err error
	for err == nil {
		if err = c.Read(&b); err == nil {
			read += uint64(len(b.Packets))
		}
	}
	n := c.Counters()
	if !errors.Is(err, io.EOF) || n.Dropped == 0 || n.Received != n.Dropped+n.Delivered || n.Delivered != read {
		t.Fatalf("%v; received %d, delivered %d, dropped %d, read %d", err, n.Received, n.Delivered, n.Dropped, read)
	}
	if n.Received != count {
		t.Errorf("%d packets were sent, %d counted", count, n.Received)
	}
	if f := c.Info().Interfaces[0]; *f.OSDropped != n.Dropped || *f.Received != n.Received {
		t.Errorf("interface: received %d, dropped %d; in all %d, %d", *f.Received, *f.OSDropped, n.Received, n.Dropped)
	}
}

// An interface that goes away ends nothing, and takes nothing away that was
// captured on it.
func TestInterfaceRemoved(t *testing.T) {
	near, far := spacetest.Pair(t)
	r := record(t, near, Options{Interfaces: []string{"eth0", "lo"}})
	exchange(t, near, far, "10.9.0.2:443", 1000)
	near.Run("ip link del eth0")
	time.Sleep(100 * time.Millisecond)
	exchange(t, near, near, "127.0.0.1:443", 1000)
	packets, info := r.end()
	seen := make(map[string]int)
	for _, p := range packets {
		seen[info.Interfaces[p.Interface].Name]++
	}
	if seen["eth0"] < 6 || seen["lo"] < 6 {
		t.Errorf("packets by interface: %v", seen)
	}
	if !slices.Contains(info.Notes, "interface eth0 went away") {
		t.Errorf("notes: %q", info.Notes)
	}
}

// An interface that comes up later is taken in by its name, again after it
// was replaced, and one that was not asked for is not.
func TestInterfaceLater(t *testing.T) {
	near, far := spacetest.New(t), spacetest.New(t)
	r := record(t, near, Options{Interfaces: []string{"later"}})
	for round := range 2 {
		for _, name := range []string{"later", "other"} {
			subnet := map[string]int{"later": 1, "other": 2}[name]
			near.Run(fmt.Sprintf(`ip link add %s type veth peer name %s netns %d
				ip addr add 10.9.%d.1/24 dev %s
				ip link set %s up`, name, name, far.Thread, subnet, name, name))
			far.Run(fmt.Sprintf(`ip addr add 10.9.%d.2/24 dev %s
				ip link set %s up`, subnet, name, name))
		}
		r.admits(near, "later")
		exchange(t, near, far, "10.9.1.2:443", 1000)
		exchange(t, near, far, "10.9.2.2:443", 1000)
		if round == 0 {
			near.Run("ip link del later\nip link del other")
		}
	}
	packets, info := r.end()
	if len(info.Interfaces) != 1 || info.Interfaces[0].Name != "later" {
		t.Fatalf("interfaces: %+v", info.Interfaces)
	}
	if len(info.Notes) < 2 || !strings.Contains(info.Notes[0], "later does not exist yet") || info.Notes[1] != "interface later is there now" {
		t.Errorf("notes: %q", info.Notes)
	}
	clients := make(map[uint16]bool)
	for _, p := range packets {
		if p.Data[12] != 8 || p.Data[13] != 0 || p.Data[23] != 6 {
			continue
		}
		if subnet := p.Data[28]; subnet != 1 {
			t.Errorf("packet %d is of the other interface", p.Number)
		}
		if src, dst, _ := ports(p.Data, 14); dst == 443 {
			clients[src] = true
		}
	}
	if len(clients) != 2 {
		t.Errorf("connections on both lives of the interface: %d of 2", len(clients))
	}
}

// "any" takes in every interface, also one that comes up and is used at once.
func TestAny(t *testing.T) {
	near, far := spacetest.Pair(t)
	r := record(t, near, Options{Interfaces: []string{"any"}})
	exchange(t, near, far, "10.9.0.2:443", 1000)
	exchange(t, near, near, "127.0.0.1:443", 1000)
	near.Run(fmt.Sprintf(`ip link add late0 type veth peer name late0 netns %d
		ip addr add 10.9.7.1/24 dev late0
		ip link set late0 up`, far.Thread))
	far.Run("ip addr add 10.9.7.2/24 dev late0\nip link set late0 up")
	exchange(t, near, far, "10.9.7.2:443", 1000)
	near.Run("ip link del late0")
	packets, info := r.end()
	syns := make(map[string]int)
	for _, p := range packets {
		if p.Data[12] == 8 && p.Data[13] == 0 && p.Data[23] == 6 && p.Data[14+20+13] == 2 {
			syns[info.Interfaces[p.Interface].Name]++
		}
	}
	if len(syns) != 3 || syns["eth0"] != 1 || syns["lo"] != 1 || syns["late0"] != 1 {
		t.Errorf("SYNs by interface: %v", syns)
	}
}

// The filter holds for packets of the kernel, not only in a simulation.
func TestOtherPortsLeftOut(t *testing.T) {
	s := spacetest.New(t)
	r := record(t, s, Options{Interfaces: []string{"lo"}, Filter: portfilter.Options{Ports: []uint16{8443}}})
	exchange(t, s, s, "127.0.0.1:9999", 1000)
	exchange(t, s, s, "127.0.0.1:8443", 1000)
	packets, _ := r.end()
	if len(packets) == 0 {
		t.Fatal("nothing captured")
	}
	for _, p := range packets {
		if src, dst, _ := ports(p.Data, 14); src != 8443 && dst != 8443 {
			t.Errorf("packet %d from port %d to %d", p.Number, src, dst)
		}
	}
}
