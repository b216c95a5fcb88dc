package cluster

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

const role = "GOPROXYTRACE_FLEET_CLUSTER_TEST"

func TestMain(m *testing.M) {
	switch os.Getenv(role) {
	case "listens":
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			os.Exit(1)
		}
		fmt.Println(l.Addr())
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	case "ends":
		os.Exit(1)
	default:
		os.Exit(m.Run())
	}
}

func command(t *testing.T, name string) Command {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return func() *exec.Cmd {
		cmd := exec.Command(exe)
		cmd.Env = append(os.Environ(), role+"="+name)
		return cmd
	}
}

func TestProcessesAreStartedAgain(t *testing.T) {
	ctx := context.Background()
	c := New(command(t, "listens"), command(t, "listens"), 3)
	defer c.Stop()
	server, err := c.Endpoint(ctx)
	if err != nil {
		t.Fatal(err)
	}
	first, err := c.Workers(ctx)
	if err != nil || len(first) != 3 || len(Answering(ctx, first)) != 3 {
		t.Fatalf("%q, %v", first, err)
	}
	if again, err := c.Workers(ctx); !slices.Equal(first, again) || err != nil {
		t.Errorf("asked again: %q, %v", again, err)
	}
	for range 10 {
		p, err := os.FindProcess(c.PIDs()[1])
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Kill(); err != nil {
			t.Fatal(err)
		}
		// The system takes its time; who asks has seen its connection break.
		for range 500 {
			if len(Answering(ctx, first[1:2])) == 0 {
				break
			}
			time.Sleep(time.Millisecond)
		}
		then, err := c.Workers(ctx)
		if err != nil || then[0] != first[0] || then[2] != first[2] || len(Answering(ctx, then)) != 3 {
			t.Fatalf("after one was killed: %q, %v; before: %q", then, err, first)
		}
		first = then
	}
	if again, err := c.Endpoint(ctx); again != server || err != nil {
		t.Errorf("the job server is at %s, was at %s, %v", again, server, err)
	}
	last, _ := c.Workers(ctx)
	c.Stop()
	time.Sleep(10 * time.Millisecond)
	if left := Answering(ctx, append(last, server)); len(left) != 0 {
		t.Errorf("%q still answer", left)
	}
}

func TestAProcessThatDoesNotStart(t *testing.T) {
	c := New(command(t, "ends"), command(t, "listens"), 0)
	defer c.Stop()
	if _, err := c.Endpoint(context.Background()); err == nil || !strings.Contains(err.Error(), "job server: it ended before it listened") {
		t.Error(err)
	}
}
