package scrub_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"goproxytrace/analyze"
	"goproxytrace/analyze/goproxy"
	"goproxytrace/capture"
	"goproxytrace/capture/pcapfile"
	"goproxytrace/internal/corpus"
	"goproxytrace/internal/packets"
	"goproxytrace/redact"
	"goproxytrace/scrub"
)

func newRedactor() *redact.Redactor { return redact.New(redact.Options{Public: goproxy.PublicEnd}) }

// copyOf scrubs a file without analysing it.
func copyOf(t testing.TB, b []byte) ([]byte, *scrub.Summary) {
	t.Helper()
	var out bytes.Buffer
	s, err := scrub.Run(context.Background(), func() (capture.Source, error) {
		return pcapfile.NewReader(bytes.NewReader(b), int64(len(b)))
	}, &out, scrub.Options{Redactor: newRedactor()})
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes(), s
}

// file makes a capture of frames.
func file(t testing.TB, lt capture.LinkType, frames ...[]byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := pcapfile.NewPcapWriter(&out, pcapfile.PcapOptions{LinkType: lt})
	if err != nil {
		t.Fatal(err)
	}
	for i, b := range frames {
		if err := w.WritePacket(&capture.Packet{Number: int64(i + 1), Time: int64(i) * 1e6, HasTime: true, Data: b, Length: len(b), LinkType: lt, FCSLen: -1}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// frames reads the frames of a capture.
func frames(t testing.TB, b []byte) (list []capture.Packet) {
	t.Helper()
	src := reader(t, b)
	for {
		var batch capture.Batch
		err := src.Read(&batch)
		if errors.Is(err, io.EOF) {
			return list
		}
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, batch.Packets...)
	}
}

// sumOf is the checksum over b that RFC 1071 asks for: 0xffff where it is right.
func sumOf(parts ...[]byte) uint16 {
	n := uint32(0)
	for _, b := range parts {
		for i := 0; i < len(b); i += 2 {
			n += uint32(b[i]) << 8
			if i+1 < len(b) {
				n += uint32(b[i+1])
			}
		}
	}
	for n > 0xffff {
		n = n>>16 + n&0xffff
	}
	return uint16(n)
}

func TestChecksums(t *testing.T) {
	base := func() *packets.Packet {
		return packets.TCP("10.1.2.3:40000", "10.9.9.9:443").Flags(packets.PSH).Seq(1).Ack(1).Text("a payload that goes to zero")
	}
	zero := base().Ethernet()
	zero[14+20+16], zero[14+20+17] = 0, 0
	for name, c := range map[string]struct {
		frame []byte
		// field is where the transport's checksum is; right is what is summed up.
		field int
		right bool
	}{
		"right": {base().Ethernet(), 50, true}, "wrong": {base().BadChecksum().Ethernet(), 50, false}, "left to the hardware": {zero, 50, false},
		"UDP": {packets.UDP("10.1.2.3:40000", "10.9.9.9:5000").Text("odd").Ethernet(), 40, true},
	} {
		out, _ := copyOf(t, file(t, 1, c.frame))
		got := frames(t, out)[0].Data
		if len(got) != len(c.frame) {
			t.Errorf("%s: %d bytes became %d", name, len(c.frame), len(got))
			continue
		}
		check := func(f []byte) (header, transport uint16) {
			ip := f[14:]
			n := len(ip) - 20
			return sumOf(ip[:20]), sumOf(ip[20:], ip[12:20], []byte{0, ip[9], byte(n >> 8), byte(n)})
		}
		hBefore, tBefore := check(c.frame)
		hAfter, tAfter := check(got)
		if hBefore != hAfter || hAfter != 0xffff {
			t.Errorf("%s: header sum %04x became %04x", name, hBefore, hAfter)
		}
		stored := [2]byte(c.frame[c.field:])
		switch {
		case stored == [2]byte{}:
			if [2]byte(got[c.field:]) != stored {
				t.Errorf("%s: a checksum that was not there is", name)
			}
		case tBefore != tAfter || (tAfter == 0xffff) != c.right:
			t.Errorf("%s: sum %04x became %04x", name, tBefore, tAfter)
		}
		if bytes.Contains(got, []byte("payload")) || bytes.Contains(got, []byte("odd")) {
			t.Errorf("%s: the payload is left", name)
		}
	}
}

// What is not understood is cut, whatever it is.
func TestDefaultDeny(t *testing.T) {
	const secret = "quokkaquokka"
	vxlan := append([]byte{8, 0, 0, 0, 0, 0, 1, 0}, packets.TCP("10.1.2.3:1", "10.1.2.4:2").Text(secret).Ethernet()...)
	for name, c := range map[string]struct {
		lt    capture.LinkType
		frame []byte
	}{
		"an unknown link type":        {147, []byte(secret)},
		"an unknown Ethernet type":    {1, append([]byte("\x02\x00\x00\x00\x00\x01\x02\x00\x00\x00\x00\x02\x88\xcc"), secret...)},
		"an unknown protocol":         {1, packets.IP("10.1.2.3", "10.1.2.4", 99).Text(secret).Ethernet()},
		"a tunnel":                    {1, packets.UDP("10.1.2.3:4789", "10.1.2.4:4789").Payload(vxlan).Ethernet()},
		"a datagram":                  {1, packets.UDP("10.1.2.3:67", "10.1.2.4:68").Text(secret).Ethernet()},
		"an echo":                     {1, packets.ICMP("10.1.2.3", "10.1.2.4", 8, 0).Text(secret).Ethernet()},
		"a segment out of nowhere":    {1, packets.TCP("10.1.2.3:1", "10.1.2.4:2").Seq(7).Ack(1).Text(secret).Ethernet()},
		"a TCP option":                {1, packets.TCP("10.1.2.3:1", "10.1.2.4:2").Flags(packets.SYN).Option(253, []byte(secret)...).Ethernet()},
		"IP options":                  {1, packets.TCP("10.1.2.3:1", "10.1.2.4:2").IPOptions([]byte(secret)).Ethernet()},
		"an extension header":         {1, packets.TCP("[fd00::1]:1", "[fd00::2]:2").Extension(60, []byte("\x01\x0c"+secret)).Ethernet()},
		"a trailer":                   {1, append(packets.TCP("10.1.2.3:1", "10.1.2.4:2").Ethernet(), secret...)},
		"DNS that is none":            {1, packets.UDP("10.1.2.3:53", "10.1.2.4:53").Text(secret + secret).Ethernet()},
		"DNS over TCP that is none":   {1, packets.TCP("10.1.2.3:53", "10.1.2.4:53").Seq(7).Ack(1).Text("\x00\x18" + secret + secret).Ethernet()},
		"the neighbours' other words": {1, packets.IP("10.1.2.3", "10.1.2.4", 58).Text("\x89\x00\x00\x00" + secret).Ethernet()},
		"what begins as SSL 2.0 does": {1, packets.TCP("10.1.2.3:1", "10.1.2.4:2").Seq(7).Ack(1).Text("\x80\x1b\x01\x03\x01" + secret + secret).Ethernet()},
		"a proxy's name in Via":       {1, packets.TCP("10.1.2.3:1", "10.1.2.4:2").Seq(7).Ack(1).Text("HTTP/1.1 200 OK\r\nVia: 1.1 " + secret + "\r\n\r\n").Ethernet()},
		"a user in User-Agent":        {1, packets.TCP("10.1.2.3:1", "10.1.2.4:2").Seq(7).Ack(1).Text("CONNECT 10.1.2.9:443 HTTP/1.1\r\nUser-Agent: git/2.3 (" + secret + ")\r\n\r\n").Ethernet()},
		"a value of a usual field":    {1, packets.TCP("10.1.2.3:1", "10.1.2.4:2").Seq(7).Ack(1).Text("HTTP/1.1 200 OK\r\nContent-Type: text/html; boundary=" + secret + "\r\nConnection: " + secret + "\r\n\r\n").Ethernet()},
		"nothing":                     {1, nil},
		"half an address":             {1, []byte(secret)},
	} {
		out, s := copyOf(t, file(t, c.lt, c.frame))
		if s.Frames != 1 || len(frames(t, out)) != 1 {
			t.Errorf("%s: %d frames", name, s.Frames)
		}
		for n := len(secret); n >= 6; n-- {
			if bytes.Contains(out, []byte(secret[:n])) {
				t.Errorf("%s: %q is left", name, secret[:n])
				break
			}
		}
		if bytes.Contains(out, []byte{10, 1, 2, 3}) {
			t.Errorf("%s: an address is left", name)
		}
	}
}

// A fragment's content goes; its place stays.
func TestFragments(t *testing.T) {
	var list [][]byte
	for _, p := range packets.UDP("10.1.2.3:53", "10.1.2.4:5353").Text(strings.Repeat("quokka", 300)).Fragments(512, 7) {
		list = append(list, p.Ethernet())
	}
	out, _ := copyOf(t, file(t, 1, list...))
	if bytes.Contains(out, []byte("quokka")) {
		t.Error("a fragment's content is left")
	}
	for i, p := range frames(t, out) {
		if len(p.Data) != len(list[i]) || !bytes.Equal(p.Data[14+4:14+8], list[i][14+4:14+8]) {
			t.Errorf("fragment %d has changed its place", i)
		}
	}
}

// Names that come in pieces, out of order and twice are replaced all the same.
func TestPieces(t *testing.T) {
	path := filepath.Join("..", "testdata", "pcaps", "healthy-h2.pcapng")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// The ClientHello of that capture, sent again in pieces of ten bytes.
	var hello []byte
	for _, p := range frames(t, b) {
		if len(p.Data) > 66 && p.Data[23] == 6 && p.Data[66] == 22 && p.Data[71] == 1 {
			hello = bytes.Clone(p.Data[66:])
			break
		}
	}
	if !bytes.Contains(hello, []byte("proxy.example")) {
		t.Fatal("no ClientHello with the name was found")
	}
	random := rand.New(rand.NewPCG(1, 2))
	for _, lost := range []bool{false, true} {
		list := [][]byte{
			packets.TCP("10.1.2.3:40000", "10.9.9.9:443").Flags(packets.SYN).Seq(999).MSS(1460).Ethernet(),
			packets.TCP("10.9.9.9:443", "10.1.2.3:40000").Flags(packets.SYN).Seq(1).Ack(1000).MSS(1460).Ethernet(),
		}
		var pieces [][]byte
		for at := 0; at < len(hello); at += 10 {
			p := packets.TCP("10.1.2.3:40000", "10.9.9.9:443").Seq(uint32(1000 + at)).Ack(2).Payload(hello[at:min(at+10, len(hello))])
			pieces = append(pieces, p.Ethernet(), p.Ethernet())
		}
		random.Shuffle(len(pieces), func(i, j int) { pieces[i], pieces[j] = pieces[j], pieces[i] })
		if lost {
			pieces = pieces[:len(pieces)*3/4]
		}
		out, _ := copyOf(t, file(t, 1, append(list, pieces...)...))
		for _, p := range frames(t, out) {
			for n := 8; n >= 3; n-- {
				if bytes.Contains(p.Data, []byte("proxy.example"[:n])) {
					t.Errorf("lost %v: %q is left", lost, "proxy.example"[:n])
					break
				}
			}
		}
		if lost {
			continue
		}
		for c, err := range analysed(t, reader(t, out), analyze.Options{}).Connections.All() {
			if err != nil || c.ServerName != "host1.example" {
				t.Errorf("the server is called %q, %v", c.ServerName, err)
			}
		}
	}
}

// A copy of a copy is judged as the first, and the same input gives the same
// output.
func TestAgain(t *testing.T) {
	path := filepath.Join("..", "testdata", "cases", "stalled-make.pcapng")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	once, _ := copyOf(t, b)
	same, _ := copyOf(t, b)
	if !bytes.Equal(once, same) {
		t.Error("one capture gave two copies")
	}
	twice, _ := copyOf(t, once)
	sameVerdicts(t, analysed(t, reader(t, once), analyze.Options{}), analysed(t, reader(t, twice), analyze.Options{}), true)
}

// A damaged capture is copied up to the damage.
func TestDamage(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("..", "testdata", "pcaps", "healthy-h2.pcapng"))
	if err != nil {
		t.Fatal(err)
	}
	whole, summary := copyOf(t, b)
	if summary.Damage != nil {
		t.Fatal(summary.Damage)
	}
	out, cut := copyOf(t, b[:len(b)/2])
	if cut.Damage == nil || cut.Frames == 0 || cut.Frames >= summary.Frames {
		t.Fatalf("%d frames of %d, %v", cut.Frames, summary.Frames, cut.Damage)
	}
	a, c := frames(t, whole), frames(t, out)
	if int64(len(c)) != cut.Frames || c[0].Time != a[0].Time || len(c[len(c)-1].Data) != len(a[len(c)-1].Data) {
		t.Errorf("%d frames were written, %d counted", len(c), cut.Frames)
	}
}

// TestTshark has Wireshark read copies: without a complaint, and with the same
// analysis as of the captures.
func TestTshark(t *testing.T) {
	tshark, err := exec.LookPath("tshark")
	if err != nil {
		corpus.Skip(t, "tshark is not installed")
	}
	fields := []string{"frame.number", "frame.time_epoch", "frame.len", "frame.cap_len", "tcp.stream", "tcp.seq", "tcp.ack", "tcp.len", "tcp.analysis.flags",
		"tcp.analysis.retransmission", "ip.checksum.status", "tcp.checksum.status", "udp.checksum.status", "icmp.checksum.status", "ip.ttl", "ip.id", "tls.record.content_type", "tls.record.length",
		"tls.handshake.type", "tls.alert_message.desc", "dns.id", "dns.flags.rcode", "icmp.type", "icmpv6.type", "arp.opcode"}
	args := []string{"-n", "-T", "fields", "-o", "ip.check_checksum:TRUE", "-o", "tcp.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE", "-r"}
	read := func(path string) (string, string) {
		a := append(slices.Clone(args), path)
		for _, f := range fields {
			a = append(a, "-e", f)
		}
		cmd := exec.Command(tshark, a...)
		var out, complaint bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &complaint
		if err := cmd.Run(); err != nil {
			t.Errorf("%s: %v: %s", path, err, &complaint)
		}
		var said []string
		for l := range strings.Lines(complaint.String()) {
			if !strings.HasPrefix(l, "Running as user") {
				said = append(said, l)
			}
		}
		return out.String(), strings.Join(said, "")
	}
	for _, name := range []string{"healthy-h2", "healthy-tls12", "healthy-ipv6", "tunnel-407", "icmp6-prohibited", "icmp-prohibited", "dns-forged-refused", "plain-http", "hello-alert", "certificate-untrusted-tls12", "healthy-hello-retry", "sni-reset-three"} {
		path := filepath.Join("..", "testdata", "pcaps", name+".pcapng")
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		out, _ := copyOf(t, b)
		to := filepath.Join(t.TempDir(), name+".pcapng")
		if err := os.WriteFile(to, out, 0o600); err != nil {
			t.Fatal(err)
		}
		before, _ := read(path)
		after, complaint := read(to)
		if complaint != "" {
			t.Errorf("%s: %s", name, complaint)
		}
		if before != after {
			a, b := strings.Split(before, "\n"), strings.Split(after, "\n")
			for i := range a {
				if i >= len(b) || a[i] != b[i] {
					t.Errorf("%s:\nbefore %s\nafter  %s", name, a[i], b[min(i, len(b)-1)])
					break
				}
			}
		}
	}
}

// FuzzRun scrubs changed captures: nothing panics, every frame is written, and
// none is longer than it was.
func FuzzRun(f *testing.F) {
	for _, name := range []string{"healthy-tls12", "tunnel-407", "icmp6-prohibited", "dns-forged-refused", "plain-http"} {
		b, err := os.ReadFile(filepath.Join("..", "testdata", "pcaps", name+".pcapng"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b[:min(len(b), 20<<10)])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var out bytes.Buffer
		s, err := scrub.Run(context.Background(), func() (capture.Source, error) {
			return pcapfile.NewReader(bytes.NewReader(b), int64(len(b)))
		}, &out, scrub.Options{Redactor: newRedactor()})
		if err != nil {
			return
		}
		if list := frames(t, out.Bytes()); int64(len(list)) != s.Frames {
			t.Errorf("%d frames were counted, %d written", s.Frames, len(list))
		}
	})
}

// What usual fields usually say stays.
func TestPlainFields(t *testing.T) {
	const head = "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=UTF-8\r\nContent-Length: 1234567890\r\nConnection: keep-alive\r\n" +
		"Transfer-Encoding: chunked\r\nDate: Mon, 02 Jan 2006 15:04:05 GMT\r\nCache-Control: max-age=60, public\r\nAccept: text/html;q=0.9\r\n\r\n"
	out, _ := copyOf(t, file(t, 1, packets.TCP("10.1.2.3:1", "10.1.2.4:2").Seq(7).Ack(1).Text(head).Ethernet()))
	if !bytes.Contains(out, []byte(head)) {
		t.Errorf("%q", frames(t, out)[0].Data)
	}
}
