package engine_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"testing"

	"goproxytrace/capture"
	"goproxytrace/capture/engine"
	"goproxytrace/capture/engine/spacetest"
)

// Given nothing, the engine captures loopback and the default route's
// interface; given an expression, what it says.
func TestOpen(t *testing.T) {
	tests := []struct {
		name    string
		options engine.Options
		want    []byte
	}{{"ports", engine.Options{Ports: []uint16{7777}}, []byte("ab")}}
	if _, err := exec.LookPath("tcpdump"); err == nil {
		tests = append(tests, struct {
			name    string
			options engine.Options
			want    []byte
		}{"expression", engine.Options{Interfaces: []string{"any"}, Expression: "udp dst port 8888"}, []byte("c")})
	} else if os.Getenv("GOPROXYTRACE_CI") == "1" {
		t.Fatal("tcpdump is not installed, but GOPROXYTRACE_CI=1 asks for it")
	} else {
		t.Log("the expression is left out: tcpdump is not installed")
	}
	for _, test := range tests {
		s := spacetest.New(t)
		var c capture.Live
		s.Do(func() (err error) {
			c, err = engine.Open(test.options)
			return err
		})
		s.Do(func() error {
			for _, p := range []struct{ to, text string }{{"127.0.0.1:7777", "a"}, {"127.0.0.1:53", "b"}, {"127.0.0.1:8888", "c"}} {
				sink, err := net.ListenPacket("udp", p.to)
				if err != nil {
					return err
				}
				defer sink.Close()
				conn, err := net.Dial("udp", p.to)
				if err != nil {
					return err
				}
				if _, err := conn.Write([]byte(p.text)); err != nil {
					return err
				}
				conn.Close()
			}
			return nil
		})
		c.Stop()
		var b capture.Batch
		var got []byte
		var err error
		for err == nil {
			if err = c.Read(&b); err == nil {
				for _, p := range b.Packets {
					got = append(got, p.Data[len(p.Data)-1])
				}
			}
		}
		if !errors.Is(err, io.EOF) || !bytes.Equal(got, test.want) {
			t.Errorf("%s: captured %q, want %q; %v", test.name, got, test.want, err)
		}
		if n := c.Counters(); n.Received != uint64(len(test.want)) || n.Delivered != n.Received {
			t.Errorf("%s: counters %+v", test.name, n)
		}
		c.Close()
	}
}
