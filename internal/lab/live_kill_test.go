//go:build linux

package lab

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"goproxytrace/capture"
	"goproxytrace/capture/pcapfile"
)

// TestLiveKilled holds that a case file can be read after live was killed at
// any moment, and that it holds every packet up to one second before.
func TestLiveKilled(t *testing.T) {
	needLab(t)
	program, err := buildProgram()
	if err != nil {
		t.Fatal(err)
	}
	s := newStage(t, Scenario{Modules: small(), Path: Path{RTT: -1}})
	var sent []int64 // when each datagram had left, Unix ns
	var mu sync.Mutex
	stop := make(chan struct{})
	var sender sync.WaitGroup
	sender.Go(func() {
		var c net.Conn
		s.lab.Client(func() {
			c, err = net.Dial("udp", net.JoinHostPort(siteAddrs[ProxyName].v4.String(), "443"))
		})
		if err != nil {
			return
		}
		defer c.Close()
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		b := append([]byte(mark), make([]byte, 400)...)
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			case <-tick.C:
			}
			binary.BigEndian.PutUint64(b[len(mark):], uint64(n))
			// Told that nobody listens at the far end, the socket sends
			// nothing for once.
			for _, err := c.Write(b); err != nil; _, err = c.Write(b) {
				if !errors.Is(err, syscall.ECONNREFUSED) {
					return
				}
			}
			mu.Lock()
			sent = append(sent, time.Now().UnixNano())
			mu.Unlock()
		}
	})
	t.Cleanup(func() {
		close(stop)
		sender.Wait()
		if err != nil {
			t.Error(err)
		}
	})
	const kills, atOnce = 20, 5
	slots := make(chan struct{}, atOnce)
	var all sync.WaitGroup
	for i := range kills {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			name := fmt.Sprintf("killed-%d", i)
			t.Run(name, func(t *testing.T) {
				p := s.start(name, program, "live", "-i", "eth0", "--no-go-env", "-w", name+".pcapng")
				for begin := time.Now(); !strings.Contains(s.output(name), "capturing"); time.Sleep(20 * time.Millisecond) {
					if time.Since(begin) > 20*time.Second {
						t.Fatalf("no capture:\n%s", s.output(name))
					}
				}
				time.Sleep(2500*time.Millisecond + rand.N(1500*time.Millisecond))
				killed := time.Now().UnixNano()
				p.signal(syscall.SIGKILL)
				<-p.done
				mu.Lock()
				left := sent[:len(sent):len(sent)]
				mu.Unlock()
				checkKilled(t, filepath.Join(s.home, "main", name+".pcapng"), left, killed-int64(time.Second))
			})
		})
	}
	all.Wait()
}

// mark begins the datagrams that are counted.
const mark = "goproxytrace test datagram "

// checkKilled looks for the datagrams sent before a time, from the first one
// that the file holds.
func checkKilled(t *testing.T, path string, sent []int64, until int64) {
	src, err := pcapfile.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	next, found := uint64(0), 0
	var b capture.Batch
	for {
		err := src.Read(&b)
		for i := range b.Packets {
			_, number, ok := strings.Cut(string(b.Packets[i].Data), mark)
			if !ok || b.Packets[i].Direction != capture.Outbound || len(number) < 8 {
				continue
			}
			n := binary.BigEndian.Uint64([]byte(number))
			if found > 0 && n != next {
				t.Fatalf("datagram %d follows %d", n, next-1)
			}
			next, found = n+1, found+1
		}
		if err != nil {
			var damage *capture.DamageError
			if errors.As(err, &damage) && damage.Offset == 0 {
				t.Fatal(err)
			}
			break
		}
	}
	if found == 0 || next < uint64(len(sent)) && sent[next] < until {
		t.Errorf("%d datagrams, the last is %d; number %d was sent %v before the kill", found, int64(next)-1, next,
			time.Duration(until+int64(time.Second)-sent[min(next, uint64(len(sent)-1))]))
	}
}
