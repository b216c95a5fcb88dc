package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"goproxytrace/capture/engine/spacetest"
)

// The server of the tests, in a namespace of its own (spacetest.Pair).
const (
	serverAddress = "10.9.0.2"
	serverName    = "proxy.example"
)

// fetchMain is what the test binary does as a client: it prints its PID,
// fetches from the server and ends with 0, or 9 where that fails.
//
//	fetch [patience] [hold]
func fetchMain() {
	patience, err := time.ParseDuration(os.Args[1])
	if err != nil {
		os.Exit(2)
	}
	fmt.Fprintf(os.Stderr, "client %d\n", os.Getpid())
	dialer := &net.Dialer{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 2 * time.Second, Interval: time.Second, Count: 5}}
	transport := &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "tcp", serverAddress+":443")
		},
		TLSClientConfig:     &tls.Config{InsecureSkipVerify: true, ServerName: serverName},
		TLSHandshakeTimeout: patience,
	}
	client := &http.Client{Transport: transport, Timeout: patience}
	answer, err := client.Get("https://" + serverName + "/example.com/mod/@v/list")
	if err == nil {
		_, err = io.Copy(os.Stdout, answer.Body)
	}
	transport.CloseIdleConnections()
	if err != nil {
		fmt.Fprintf(os.Stderr, "go: %v\n", err)
		os.Exit(9)
	}
}

// link is two namespaces, with a server in the far one.
type link struct {
	t    *testing.T
	near *spacetest.Space
	path string // of the program
	dir  string
}

// serve answers connections in the far namespace until the test ends.
func serve(t *testing.T, connection func(net.Conn)) *link {
	t.Helper()
	near, far := spacetest.Pair(t)
	var listener net.Listener
	far.Do(func() (err error) {
		listener, err = net.Listen("tcp", serverAddress+":443")
		return err
	})
	var open sync.WaitGroup
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			open.Go(func() {
				defer c.Close()
				connection(c)
			})
		}
	}()
	t.Cleanup(func() {
		listener.Close()
		<-ended
		open.Wait()
	})
	return &link{t: t, near: near, path: program(t), dir: t.TempDir()}
}

// healthy is an HTTPS server.
func healthy(t *testing.T) func(net.Conn) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	form := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{serverName}, NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, form, form, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	config := &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{cert}, PrivateKey: key}}, NextProtos: []string{"http/1.1"}}
	return func(c net.Conn) {
		s := tls.Server(c, config)
		_ = s.SetDeadline(time.Now().Add(20 * time.Second))
		b := make([]byte, 4096)
		if _, err := s.Read(b); err != nil {
			return
		}
		_, _ = io.WriteString(s, "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nv1.0.0\n")
		_, _ = s.Read(b) // the client's close
		_ = s.Close()
	}
}

// silent takes what comes and says nothing, for longer than any session watches.
func silent(c net.Conn) {
	_ = c.SetDeadline(time.Now().Add(2 * time.Minute))
	_, _ = io.Copy(io.Discard, c)
}

// command prepares the program in the near namespace.
func (l *link) command(args ...string) (*exec.Cmd, *bytes.Buffer, *bytes.Buffer) {
	cmd := exec.Command(l.path, args...)
	cmd.Dir, cmd.Env = l.dir, append(testEnv(), "GOPROXY=https://"+serverName, "GOFLAGS=", "SUDO_UID=", "SUDO_USER=")
	out, errs := new(bytes.Buffer), new(bytes.Buffer)
	cmd.Stdout, cmd.Stderr = out, errs
	return cmd, out, errs
}

// fetch is the command line of the test's client.
func (l *link) fetch(patience time.Duration) []string {
	name := filepath.Join(filepath.Dir(l.path), "fetch")
	if err := os.Link(l.path, name); err != nil && !errors.Is(err, os.ErrExist) {
		l.t.Fatal(err)
	}
	return []string{name, patience.String()}
}

func (l *link) wait(cmd *exec.Cmd, errs *bytes.Buffer) int {
	l.t.Helper()
	limit := time.AfterFunc(60*time.Second, func() { _ = cmd.Process.Kill() })
	defer limit.Stop()
	err := cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		l.t.Fatalf("%v\n%s", err, errs)
	}
	return cmd.ProcessState.ExitCode()
}

func (l *link) run(args ...string) (code int, out, errs string) {
	l.t.Helper()
	cmd, o, e := l.command(args...)
	l.near.Start(cmd)
	return l.wait(cmd, e), o.String(), e.String()
}

// liveReport is what the tests read of a report.
type liveReport struct {
	Verdict struct {
		Class   string
		Summary string
	}
	Capture struct {
		Packets           int64
		Received, Dropped uint64
	}
	Processes []struct {
		PID     uint32
		Command string
		Exit    *int
	}
	Connections []struct {
		Server     string
		ServerName string `json:"server_name"`
		Process    *struct {
			PID    uint32
			Name   string
			Source string
		}
		Verdict struct{ Class string }
	}
}

func parseReport(t *testing.T, text string) liveReport {
	t.Helper()
	var r liveReport
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return r
}

// clientPID finds what the client said of itself.
func clientPID(t *testing.T, text string) uint32 {
	t.Helper()
	_, rest, _ := strings.Cut(text, "client ")
	line, _, _ := strings.Cut(rest, "\n")
	n, err := strconv.ParseUint(strings.TrimSpace(line), 10, 32)
	if err != nil {
		t.Fatalf("the client did not say who it is:\n%s", text)
	}
	return uint32(n)
}

// A command's download is captured with its owner, healthy or not; the
// command's exit code is the program's, and an analysis of the case file says
// what live said.
func TestLiveCommand(t *testing.T) {
	for _, tt := range []struct {
		name  string
		serve func(net.Conn)
		class string
		code  int
	}{
		{"healthy", healthy(t), "ok", 0},
		{"silent", silent, "tls.no-server-hello", 9},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := serve(t, tt.serve)
			args := append([]string{"live", "-w", "case.pcapng", "--json", "--"}, l.fetch(6*time.Second)...)
			code, out, errs := l.run(args...)
			if code != tt.code {
				t.Errorf("exit code %d, want the command's %d; standard error:\n%s", code, tt.code, errs)
			}
			r := parseReport(t, out)
			if r.Verdict.Class != tt.class {
				t.Errorf("class %s, want %s: %s", r.Verdict.Class, tt.class, r.Verdict.Summary)
			}
			pid := clientPID(t, errs)
			if len(r.Connections) != 1 || r.Connections[0].Process == nil || r.Connections[0].Process.PID != pid || r.Connections[0].Process.Name != "fetch" {
				t.Errorf("connections %+v, want one of process %d", r.Connections, pid)
			}
			found := false
			for _, p := range r.Processes {
				found = found || p.PID == pid && p.Exit != nil && *p.Exit == tt.code
			}
			if !found {
				t.Errorf("processes %+v: process %d with exit code %d is missing", r.Processes, pid, tt.code)
			}
			if r.Capture.Received == 0 || r.Capture.Dropped != 0 {
				t.Errorf("received %d, dropped %d", r.Capture.Received, r.Capture.Dropped)
			}
			code, again, errs := l.run("analyze", "--json", "case.pcapng")
			if code != 0 {
				t.Fatalf("analyze: exit code %d\n%s", code, errs)
			}
			if diff := cmp.Diff(strings.Split(out, "\n"), strings.Split(again, "\n")); diff != "" {
				t.Errorf("live and analyze differ (-live +analyze):\n%s", diff)
			}
		})
	}
}

// A process that was found stalled gets its verdict from its sockets and one
// round of keep-alives; one interrupt ends a session in order, two at once.
func TestLiveAttach(t *testing.T) {
	l := serve(t, silent)
	words := l.fetch(50 * time.Second)
	client := exec.Command(words[0], words[1:]...)
	client.Env = testEnv()
	stderr, err := client.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	l.near.Start(client)
	defer func() {
		_ = client.Process.Kill()
		_ = client.Wait()
	}()
	if _, err := stderr.Read(make([]byte, 16)); err != nil {
		t.Fatal(err)
	}
	time.Sleep(300 * time.Millisecond) // for the ClientHello to have left
	pid := strconv.Itoa(client.Process.Pid)

	t.Run("keep-alive", func(t *testing.T) {
		code, out, errs := l.run("live", "--pid", pid, "-w", "attached.pcapng", "--json")
		if code != 0 {
			t.Fatalf("exit code %d\n%s", code, errs)
		}
		if !strings.Contains(errs, "answered a keep-alive") {
			t.Errorf("no word of the keep-alive:\n%s", errs)
		}
		r := parseReport(t, out)
		if r.Verdict.Class != "tls.no-server-hello" {
			t.Errorf("class %s: %s", r.Verdict.Class, r.Verdict.Summary)
		}
		if len(r.Connections) != 1 || r.Connections[0].Process == nil || strconv.Itoa(int(r.Connections[0].Process.PID)) != pid {
			t.Errorf("connections %+v, want one of process %s", r.Connections, pid)
		}
		if _, again, _ := l.run("analyze", "--json", "attached.pcapng"); again != out {
			t.Errorf("live and analyze differ (-live +analyze):\n%s", cmp.Diff(strings.Split(out, "\n"), strings.Split(again, "\n")))
		}
	})
	t.Run("interrupted", func(t *testing.T) {
		cmd, out, errs := l.command("live", "--pid", pid, "--duration", "50s", "--json-lines")
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		cmd.Stdout = w
		l.near.Start(cmd)
		w.Close()
		begun := make(chan struct{})
		copied := make(chan struct{})
		go func() {
			defer close(copied)
			b := make([]byte, 4096)
			for first := true; ; first = false {
				n, err := r.Read(b)
				out.Write(b[:n])
				if first {
					close(begun)
				}
				if err != nil {
					return
				}
			}
		}()
		<-begun
		time.Sleep(500 * time.Millisecond)
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		if code := l.wait(cmd, errs); code != 0 {
			t.Errorf("exit code %d\n%s", code, errs)
		}
		<-copied
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		var first, last struct {
			Event string
			Body  struct{ Mode, Class string }
		}
		if json.Unmarshal([]byte(lines[0]), &first) != nil || first.Event != "start" || first.Body.Mode != "attach" {
			t.Errorf("first line %q", lines[0])
		}
		if json.Unmarshal([]byte(lines[len(lines)-1]), &last) != nil || last.Event != "verdict" || last.Body.Class == "" {
			t.Errorf("last line %q", lines[len(lines)-1])
		}
	})
	t.Run("aborted", func(t *testing.T) {
		cmd, _, errs := l.command("live", "--pid", pid, "--duration", "50s", "-w", "aborted.pcapng")
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		cmd.Stderr = w
		l.near.Start(cmd)
		w.Close()
		if _, err := r.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		go func() { _, _ = io.Copy(errs, r) }()
		time.Sleep(500 * time.Millisecond)
		// Two of one kind may arrive as one.
		for _, s := range []os.Signal{syscall.SIGINT, syscall.SIGTERM} {
			if err := cmd.Process.Signal(s); err != nil {
				t.Fatal(err)
			}
		}
		if code := l.wait(cmd, new(bytes.Buffer)); code != exitInterrupted {
			t.Errorf("exit code %d, want %d", code, exitInterrupted)
		}
		if code, out, errs := l.run("analyze", "aborted.pcapng"); code != 0 {
			t.Errorf("the case file: exit code %d\n%s%s", code, out, errs)
		}
	})
}
