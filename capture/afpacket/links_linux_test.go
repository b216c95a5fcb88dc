package afpacket

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"goproxytrace/capture"
	"goproxytrace/capture/engine/spacetest"
	"goproxytrace/capture/nic"
)

// Packets of a VLAN carry their tag, both where the kernel keeps it beside
// the frame (received) and where it stands in it (sent). Nothing but the
// sockets is needed of the kernel.
func TestVLAN(t *testing.T) {
	near, far := spacetest.Pair(t)
	r := record(t, near, Options{Interfaces: []string{"eth0"}})
	segment := make([]byte, 40)
	segment[0], segment[3], segment[8], segment[9] = 0x45, 40, 64, 6
	copy(segment[12:], []byte{10, 9, 0, 1, 10, 9, 0, 2})
	sent := make(map[capture.Direction][][]byte)
	for _, from := range []struct {
		space     *spacetest.Space
		direction capture.Direction
	}{{near, capture.Outbound}, {far, capture.Inbound}} {
		for _, tags := range [][]uint16{{0x8100}, {0x88a8, 0x8100}} {
			for _, port := range []uint16{443, 9999} {
				binary.BigEndian.PutUint16(segment[22:], port)
				frame := slices.Repeat([]byte{0xff}, 6)
				frame = append(frame, 2, 0, 0, 0, 0, 1)
				for i, tag := range tags {
					frame = binary.BigEndian.AppendUint16(frame, tag)
					frame = binary.BigEndian.AppendUint16(frame, 0x6000+42+uint16(i))
				}
				frame = append(binary.BigEndian.AppendUint16(frame, 0x0800), segment...)
				from.space.Do(func() error { return inject("eth0", frame) })
				if port == 443 {
					sent[from.direction] = append(sent[from.direction], frame)
				}
			}
		}
	}
	time.Sleep(20 * time.Millisecond)
	packets, _ := r.end()
	got := make(map[capture.Direction][][]byte)
	for _, p := range packets {
		if kind := binary.BigEndian.Uint16(p.Data[12:]); kind != 0x8100 && kind != 0x88a8 {
			continue
		}
		if p.Length != len(p.Data) {
			t.Errorf("packet %d: length %d, %d bytes", p.Number, p.Length, len(p.Data))
		}
		got[p.Direction] = append(got[p.Direction], p.Data)
	}
	if diff := cmp.Diff(sent, got); diff != "" {
		t.Errorf("frames sent to port 443, and captured:\n%s", diff)
	}
}

// inject sends a frame as it is.
func inject(name string, frame []byte) error {
	link, err := net.InterfaceByName(name)
	if err != nil {
		return err
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Sendto(fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: link.Index, Halen: 6})
}

// A tun device has no link header: its packets are bare IP.
func TestTunnelDevice(t *testing.T) {
	s := spacetest.New(t)
	var tun *os.File
	s.Do(func() error {
		fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		request, err := unix.NewIfreq("tun0")
		if err != nil {
			return err
		}
		request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, request); err != nil {
			return err
		}
		tun = os.NewFile(uintptr(fd), "tun0")
		return nil
	})
	defer tun.Close()
	s.Run(`ip addr add 10.8.0.1/24 dev tun0
		ip addr add fd08::1/64 dev tun0 nodad
		ip link set tun0 up`)
	r := record(t, s, Options{Interfaces: []string{"any"}})
	s.Do(func() error {
		for _, to := range []string{"10.8.0.2:53", "[fd08::2]:53"} {
			conn, err := net.Dial("udp", to)
			if err != nil {
				return err
			}
			conn.Write([]byte("question"))
			// The answer comes back through the tunnel.
			answer := make([]byte, 200)
			for {
				n, err := tun.Read(answer)
				if err != nil {
					return err
				}
				answer = answer[:n]
				if src, dst, _ := ports(answer, 0); dst == 53 && src != 53 {
					break
				}
				answer = answer[:200]
			}
			at, size := 12, 4
			if answer[0]>>4 == 6 {
				at, size = 8, 16
			}
			src, dst := slices.Clone(answer[at:at+size]), slices.Clone(answer[at+size:at+2*size])
			copy(answer[at:], dst)
			copy(answer[at+size:], src)
			ports := answer[at+2*size:]
			ports[0], ports[1], ports[2], ports[3] = ports[2], ports[3], ports[0], ports[1]
			if _, err := tun.Write(answer); err != nil {
				return err
			}
			conn.Close()
		}
		return nil
	})
	packets, info := r.end()
	seen := make(map[string]int)
	for _, p := range packets {
		if p.LinkType != 101 || info.Interfaces[p.Interface].Name != "tun0" {
			t.Fatalf("packet %d: link type %d, interface %s", p.Number, p.LinkType, info.Interfaces[p.Interface].Name)
		}
		src, dst, six := ports(p.Data, 0)
		if src != 53 && dst != 53 {
			continue // ICMP
		}
		seen[fmt.Sprint(p.Direction, src == 53, six)]++
	}
	for _, want := range []string{"2 false false", "1 true false", "2 false true", "1 true true"} {
		if seen[want] != 1 {
			t.Errorf("packets by direction, answer, IPv6: %v", seen)
			break
		}
	}
}

// A name that no interface has is noted.
func TestAbsentNoted(t *testing.T) {
	r := record(t, spacetest.New(t), Options{Interfaces: []string{"lo", "absent"}})
	_, info := r.end()
	if !slices.Equal(info.Notes, []string{"interface absent does not exist yet: it is captured on as soon as it does"}) {
		t.Errorf("notes: %q", info.Notes)
	}
}

// Frames that are neither Ethernet nor IP are left out with a note.
func TestUnreadableLeftOut(t *testing.T) {
	r := record(t, spacetest.New(t), Options{})
	const infiniband = 32
	r.capture.reading.Lock()
	joined := r.capture.apply(&nic.Link{Index: 999, Name: "ib0", HardwareType: infiniband})
	r.capture.reading.Unlock()
	if joined {
		t.Error("an IPoIB interface is taken in")
	}
	_, info := r.end()
	if len(info.Notes) != 1 || !strings.Contains(info.Notes[0], "ib0 is left out") {
		t.Errorf("notes: %q", info.Notes)
	}
}

// The filter of a packet socket takes in, of real traffic, what it should:
// fragments, ICMP, ARP, neighbour discovery, and no other port.
func TestFilterOnTheWire(t *testing.T) {
	near, far := spacetest.Pair(t)
	r := record(t, near, Options{Interfaces: []string{"eth0"}})
	// Afterwards the neighbours know each other.
	exchange(t, near, far, "10.9.0.2:443", 10)
	exchange(t, near, far, "[fd09::2]:443", 10)
	var sink net.PacketConn
	far.Do(func() (err error) {
		sink, err = net.ListenPacket("udp", "10.9.0.2:53")
		return err
	})
	defer sink.Close()
	near.Do(func() error {
		for _, to := range []string{"10.9.0.2:53", "10.9.0.2:5353"} {
			conn, err := net.Dial("udp", to)
			if err != nil {
				return err
			}
			// Three fragments, of which one shows its ports.
			conn.Write(make([]byte, 4000))
			conn.Close()
		}
		conn, err := net.Dial("udp", "[fd09::2]:53")
		if err != nil {
			return err
		}
		conn.Write(make([]byte, 4000))
		return conn.Close()
	})
	time.Sleep(50 * time.Millisecond)
	packets, _ := r.end()
	seen := make(map[string]int)
	for _, p := range packets {
		switch kind := binary.BigEndian.Uint16(p.Data[12:]); {
		case kind == 0x0806:
			seen["ARP"]++
		case kind == 0x86dd && p.Data[20] == 44:
			seen["IPv6 fragment"]++
		case kind == 0x86dd && p.Data[20] == 58:
			seen["ICMPv6"]++
		case kind == 0x0800 && p.Data[23] == 1:
			seen["ICMP"]++
		case kind == 0x0800 && binary.BigEndian.Uint16(p.Data[20:])&0x1fff != 0:
			seen["later fragment"]++
		case kind == 0x0800:
			_, dst, _ := ports(p.Data, 14)
			seen[fmt.Sprint("to ", dst)]++
		}
	}
	for what, want := range map[string]int{"ARP": 2, "IPv6 fragment": 3, "ICMPv6": 2, "ICMP": 1, "later fragment": 4, "to 53": 1, "to 5353": 0} {
		if got := seen[what]; got < want || want == 0 && got > 0 {
			t.Errorf("%s: %d, want %d (%v)", what, got, want, seen)
		}
	}
}

// Reading allocates nothing per packet.
func TestReadAllocatesNothing(t *testing.T) {
	s := spacetest.New(t)
	var c *Capture
	s.Do(func() (err error) {
		c, err = Open(Options{Interfaces: []string{"lo"}})
		return err
	})
	defer c.Close()
	var b capture.Batch
	pull := func(count int) {
		began := time.Now()
		for read := 0; read < count; read += len(b.Packets) {
			if err := c.Read(&b); err != nil {
				t.Fatal(err)
			}
			if time.Since(began) > 20*time.Second {
				t.Fatalf("%d of %d packets after 20 s; %+v", read, count, c.Counters())
			}
		}
	}
	flood(t, s, 2000, 300)
	pull(2000)
	// Read twice, each time with a batch more than asked for.
	const packets = 5000
	flood(t, s, 4*packets, 300)
	allocated := testing.AllocsPerRun(1, func() { pull(packets) })
	if allocated > 100 {
		t.Errorf("%v allocations for %d packets", allocated, packets)
	}
}

// Without the right to capture the error says what to do.
func TestRights(t *testing.T) {
	err := withRights(fmt.Errorf("open packet socket: %w", unix.EPERM))
	var advised interface{ Hint() string }
	if !errors.As(err, &advised) || !errors.Is(err, unix.EPERM) {
		t.Fatalf("%v has no advice", err)
	}
	if err := withRights(unix.EBUSY); errors.As(err, &advised) {
		t.Errorf("%v comes with advice", err)
	}
	for _, test := range []struct {
		place place
		want  string
	}{
		{place{executable: "/usr/local/bin/goproxytrace"}, "setcap " + Capabilities + "=ep /usr/local/bin/goproxytrace"},
		{place{executable: "/opt/it's me/goproxytrace"}, `=ep '/opt/it'\''s me/goproxytrace'`},
		{place{executable: "/scratch/go-build1/b001/exe/goproxytrace", temporary: true}, "go build"},
		{place{container: true, root: true}, "--cap-add NET_RAW"},
		{place{root: true}, "cap_net_raw is missing"},
		{place{executable: "/usr/bin/goproxytrace", frozen: true}, "no_new_privs"},
	} {
		if got := test.place.advice(); !strings.Contains(got, test.want) {
			t.Errorf("%+v: %q does not say %q", test.place, got, test.want)
		}
	}
}
