package afpacket

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"golang.org/x/net/ipv4"

	"goproxytrace/capture"
	"goproxytrace/capture/engine/spacetest"
	"goproxytrace/capture/pcapfile"
)

// childFile is the environment variable that makes the test binary capture
// on eth0 into a file, as a process whose cost can be told from the sender's.
const childFile = "GOPROXYTRACE_TEST_CAPTURE_FILE"

func TestMain(m *testing.M) {
	if path := os.Getenv(childFile); path != "" {
		if err := captureInto(path); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// captureInto captures until it is interrupted, and prints its counts as
// tcpdump does.
func captureInto(path string) error {
	c, err := Open(Options{Interfaces: []string{"eth0"}})
	if err != nil {
		return err
	}
	defer c.Close()
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	w, err := pcapfile.NewWriter(file, pcapfile.WriterOptions{})
	if err != nil {
		return err
	}
	if _, err := w.AddInterface(&c.Info().Interfaces[0]); err != nil {
		return err
	}
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, os.Interrupt)
	go func() { <-interrupted; c.Stop() }()
	fmt.Fprintln(os.Stderr, "listening on eth0")
	var b capture.Batch
	for {
		err := c.Read(&b)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		for i := range b.Packets {
			if err := w.WritePacket(&b.Packets[i]); err != nil {
				return err
			}
		}
	}
	n := c.Counters()
	fmt.Fprintf(os.Stderr, "%d packets captured\n%d packets dropped by kernel\n", n.Delivered, n.Dropped)
	return w.Flush()
}

// observer is a capturing process.
type observer struct {
	cmd    *exec.Cmd
	stderr bytes.Buffer
}

var counted = regexp.MustCompile(`(\d+) packets? (captured|dropped by kernel)`)

// end interrupts the process and returns its counts and its processor time.
func (o *observer) end(b *testing.B) (captured, dropped int, cost time.Duration) {
	b.Helper()
	o.cmd.Process.Signal(os.Interrupt)
	if err := o.cmd.Wait(); err != nil {
		b.Fatalf("%s: %v: %s", o.cmd.Path, err, o.stderr.String())
	}
	for _, m := range counted.FindAllStringSubmatch(o.stderr.String(), -1) {
		n, _ := strconv.Atoi(m[1])
		if m[2] == "captured" {
			captured = n
		} else {
			dropped += n
		}
	}
	return captured, dropped, o.cmd.ProcessState.UserTime() + o.cmd.ProcessState.SystemTime()
}

// BenchmarkAgainstTcpdump captures the same packets with this package and
// with tcpdump, both writing a file and with equal buffers, at rising rates.
// It reports for each the packets dropped and the processor time.
func BenchmarkAgainstTcpdump(b *testing.B) {
	tcpdump, err := exec.LookPath("tcpdump")
	if err != nil {
		b.Skip("needs tcpdump")
	}
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	const size, length = 1200, 5 * time.Second
	for _, rate := range []int{1_000, 25_000, 50_000, 100_000, 200_000} {
		b.Run(fmt.Sprintf("%d-per-second", rate), func(b *testing.B) {
			for b.Loop() {
				near, far := spacetest.Pair(b)
				dir := b.TempDir()
				own := &observer{cmd: exec.Command(self)}
				own.cmd.Env = append(os.Environ(), childFile+"="+filepath.Join(dir, "own.pcapng"))
				other := &observer{cmd: exec.Command(tcpdump, "-i", "eth0", "-n", "-B", strconv.Itoa(DefaultBuffer>>10), "-Z", "root",
					"-w", filepath.Join(dir, "other.pcap"), "udp port 443")}
				for _, o := range []*observer{own, other} {
					o.cmd.Stderr = &o.stderr
					near.Start(o.cmd)
				}
				time.Sleep(time.Second)
				sent := send(b, near, far, rate, size, length)
				time.Sleep(200 * time.Millisecond)
				captured, dropped, cost := own.end(b)
				otherCaptured, otherDropped, otherCost := other.end(b)
				b.ReportMetric(float64(sent)/length.Seconds(), "sent/s")
				b.ReportMetric(float64(dropped), "own-drops")
				b.ReportMetric(float64(otherDropped), "tcpdump-drops")
				b.ReportMetric(100*cost.Seconds()/length.Seconds(), "own-%cpu")
				b.ReportMetric(100*otherCost.Seconds()/length.Seconds(), "tcpdump-%cpu")
				b.ReportMetric(float64(sent-otherCaptured-otherDropped), "tcpdump-undrained")
				if captured+dropped < sent { // neighbour discovery comes on top
					b.Errorf("%d sent; captured %d and dropped %d", sent, captured, dropped)
				}
			}
		})
	}
}

// send sends packets at a rate and returns how many.
func send(b *testing.B, near, far *spacetest.Space, rate, size int, length time.Duration) (sent int) {
	b.Helper()
	var sink net.PacketConn
	far.Do(func() (err error) {
		sink, err = net.ListenPacket("udp4", "10.9.0.2:443")
		return err
	})
	defer sink.Close()
	near.Do(func() error {
		conn, err := net.ListenPacket("udp4", "10.9.0.1:0")
		if err != nil {
			return err
		}
		defer conn.Close()
		messages := make([]ipv4.Message, 32)
		for i := range messages {
			messages[i] = ipv4.Message{Buffers: [][]byte{make([]byte, size)}, Addr: sink.LocalAddr()}
		}
		batches := ipv4.NewPacketConn(conn)
		for began := time.Now(); time.Since(began) < length; {
			due := int(time.Since(began).Seconds()*float64(rate)) - sent
			if due <= 0 {
				time.Sleep(200 * time.Microsecond)
				continue
			}
			n, err := batches.WriteBatch(messages[:min(due, len(messages))], 0)
			if err != nil {
				return err
			}
			sent += n
		}
		return nil
	})
	return sent
}
