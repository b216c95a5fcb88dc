package analyze

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"goproxytrace/analyze/decode"
	"goproxytrace/analyze/tcpflow"
	"goproxytrace/capture"
	"goproxytrace/capture/pcapfile"
	"goproxytrace/internal/corpus"
)

var ownersDir = filepath.Join("..", "testdata", "owners")

// fetch is a short download, with the flag of its packets' direction.
func fetch(client, server string) (list []capture.Packet, outbound func(int) bool) {
	w := newWire()
	w.talk(client, server).connect().tls("proxy.example", 40).close(0)
	port := ownPort(client)
	return w.packets, func(i int) bool { return bytes.Equal(w.packets[i].Data[34:36], port) }
}

func ownPort(end string) []byte {
	var n uint16
	fmt.Sscanf(end[strings.LastIndexByte(end, ':')+1:], "%d", &n)
	return []byte{byte(n >> 8), byte(n)}
}

func analyseBytes(t *testing.T, b []byte) *Result {
	t.Helper()
	r, err := pcapfile.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	return analyse(t, r, lookedFor)
}

// ownerCells are what the README's table says of a connection's owner.
func ownerCells(c *Connection) []string {
	p := c.Process
	if p == nil {
		return []string{"-", "-", "-", "-", "-", "-"}
	}
	number := func(n uint32) string {
		if n == 0 {
			return "-"
		}
		return fmt.Sprint(n)
	}
	word := func(s string) string {
		if s == "" {
			return "-"
		}
		return s
	}
	return []string{number(p.PID), word(p.Name), word(p.Command), number(p.EffectivePID), number(p.GoCommand), word(p.Confidence)}
}

// TestOwnerFormats reads a capture of each form in which other tools leave
// owners, and compares with the table beside the files. -update writes the files
// anew; the table is kept by hand.
func TestOwnerFormats(t *testing.T) {
	list, outbound := fetch(ownClient, ownServer)
	readme, err := os.ReadFile(filepath.Join(ownersDir, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	rows := make(map[string][]string)
	for line := range strings.Lines(string(readme)) {
		if !strings.HasPrefix(line, "| `") {
			continue
		}
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		rows[strings.Trim(cells[0], "`")] = cells[2:]
	}
	if names := slices.Sorted(maps.Keys(rows)); !slices.Equal(names, slices.Sorted(maps.Keys(ownerFormats))) {
		t.Fatalf("the table has %q", names)
	}
	for name, build := range ownerFormats {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(ownersDir, name)
			made := build(list, outbound)
			if *update {
				if err := os.WriteFile(path, made, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			kept, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(kept, made) {
				t.Error("the file is not what the writer makes: run this test with -update")
			}
			r := analyseBytes(t, kept)
			c := only(t, r)
			if got := ownerCells(c); !slices.Equal(got, rows[name]) {
				t.Errorf("owner %q, want %q", got, rows[name])
			}
			if c.ServerProcess != nil || c.Verdict.Class != "ok" || c.ServerName != "proxy.example" {
				t.Errorf("server %+v, verdict %s, name %q", c.ServerProcess, c.Verdict.Class, c.ServerName)
			}
			// What is weak names no process that a verdict is given on.
			listed := 0
			if p := c.Process; p != nil && p.Confidence != "weak" {
				listed = 1
			}
			if len(r.Processes) != listed || listed == 1 && r.Processes[0].Confidence != c.Process.Confidence {
				t.Errorf("processes %+v", r.Processes)
			}
		})
	}
}

// TestAnnotatedEnd holds which end of a connection an annotation is about.
func TestAnnotatedEnd(t *testing.T) {
	const loop = "127.0.0.1:40001"
	ptcpdump := func(pid int) []byte { return ngComment("PID: %d\nCmd: /usr/bin/curl\nArgs: curl", pid) }
	twice := func(g *ng, p *capture.Packet, sender, receiver []byte) {
		g.packet(p, p.Data, ngFlags(true), sender)
		later := *p
		later.Time += 2000
		g.packet(&later, p.Data, ngFlags(false), receiver)
	}
	for _, x := range []struct {
		name           string
		client         string
		write          func(g *ng, p *capture.Packet, fromClient bool)
		owner, serving uint32
		confidence     string
	}{
		{"recorded where the server runs", ownClient, func(g *ng, p *capture.Packet, fromClient bool) {
			g.packet(p, p.Data, ngFlags(!fromClient), option8(900))
		}, 0, 900, ""},
		{"no direction", ownClient, func(g *ng, p *capture.Packet, _ bool) { g.packet(p, p.Data, option8(901)) }, 901, 0, "strong"},
		{"no owner on the handshake", ownClient, func(g *ng, p *capture.Packet, fromClient bool) {
			if len(p.Data) < 100 {
				g.packet(p, p.Data, ngFlags(fromClient))
			} else {
				g.packet(p, p.Data, ngFlags(fromClient), option8(902))
			}
		}, 902, 0, "strong"},
		{"loopback, each packet with its sender and its receiver", loop, func(g *ng, p *capture.Packet, fromClient bool) {
			if fromClient {
				twice(g, p, option8(903), option8(904))
			} else {
				twice(g, p, option8(904), option8(903))
			}
		}, 903, 904, "strong"},
		{"loopback, a tool that names the one that connected on all", loop, func(g *ng, p *capture.Packet, _ bool) {
			twice(g, p, ptcpdump(905), ptcpdump(905))
		}, 905, 0, "strong"},
		{"weak, on incoming packets alone", ownClient, func(g *ng, p *capture.Packet, fromClient bool) {
			if fromClient {
				g.packet(p, p.Data, ngFlags(true), ngComment("PID=4 TID=9"), option8(4))
			} else {
				g.packet(p, p.Data, ngFlags(false), ngComment("PID=906 TID=9"), option8(906))
			}
		}, 906, 0, "weak"},
		{"weak, and nobody but the system", ownClient, func(g *ng, p *capture.Packet, fromClient bool) {
			g.packet(p, p.Data, ngFlags(fromClient), ngComment("PID=4 TID=9"), option8(4))
		}, 0, 0, ""},
		{"a comment that looks like one", ownClient, func(g *ng, p *capture.Packet, fromClient bool) {
			g.packet(p, p.Data, ngFlags(fromClient), ngComment("see PID=907 TID=9"), ngComment("PID: 907 or so"))
		}, 0, 0, ""},
	} {
		t.Run(x.name, func(t *testing.T) {
			server := ownServer
			if x.client == loop {
				server = "127.0.0.1:443"
			}
			list, fromClient := fetch(x.client, server)
			var g ng
			g.begin("test", 1, "eth0")
			for i := range list {
				x.write(&g, &list[i], fromClient(i))
			}
			c := only(t, analyseBytes(t, g.b))
			pid := func(p *Process) uint32 {
				if p == nil {
					return 0
				}
				return p.PID
			}
			if pid(c.Process) != x.owner || pid(c.ServerProcess) != x.serving || c.Process != nil && c.Process.Confidence != x.confidence {
				t.Errorf("client %+v, server %+v", c.Process, c.ServerProcess)
			}
			if c.Verdict.Class != "ok" {
				t.Errorf("verdict %s", c.Verdict.Class)
			}
		})
	}
}

// TestAnnotationsAreBounded holds that a connection whose every packet names
// another process costs no more than others, and nothing once it is done.
func TestAnnotationsAreBounded(t *testing.T) {
	var a annotated
	c, next := new(tcpflow.Conn), new(tcpflow.Conn)
	for i := range 1000 {
		s := decode.Segment{Owner: decode.Owner{PID: uint32(i + 1), Grade: decode.OwnerStrong}, Direction: uint8(i % 3)}
		a.add(c, 0, &s)
		a.add(next, 0, &s)
	}
	if n := len(a.byConn[c].list); n != maxVotes {
		t.Errorf("%d votes, want %d", n, maxVotes)
	}
	a.release(c)
	a.release(next)
	if client, server := a.of(c); client != nil || server != nil || len(a.byConn) != 0 {
		t.Errorf("kept: %+v, %+v, %d connections", client, server, len(a.byConn))
	}
}

// TestCorpusOwners reads the public captures that hold owners.
func TestCorpusOwners(t *testing.T) {
	dir := filepath.Join(corpus.Dir(t), "captures")
	for _, x := range []struct {
		path, cells string // of the connection with an owner
		copies      uint32
	}{
		{"mozillazg+ptcpdump/testdata/format/tcp.pcapng", "345650|curl|curl http://127.0.0.1:8000/notfound|-|-|strong", 12},
		{"mozillazg+ptcpdump/testdata/format/curl-user.pcapng", "99722|curl|curl https://kernel.org|-|-|strong", 0},
		{"wireshark+wireshark-4.0.17/test/captures/tcp-exp-option-tarr.pcap.gz", "34233|packetdrill|-|-|-|exact", 0},
	} {
		t.Run(filepath.Base(x.path), func(t *testing.T) {
			c := only(t, analyse(t, load(t, filepath.Join(dir, filepath.FromSlash(x.path))), Options{}))
			if got := strings.Join(ownerCells(c), "|"); got != x.cells || c.ServerProcess != nil || c.TCP.DuplicateFrames != x.copies {
				t.Errorf("owner %s, server %+v, %d copies; want %s, %d copies", got, c.ServerProcess, c.TCP.DuplicateFrames, x.cells, x.copies)
			}
		})
	}
}
