package pipeline

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"goproxytrace/fleet/cluster"
)

// TestWorkers runs the same files inside this process, on a job server with four
// worker processes, and once more with one of them killed in the middle: the
// results are the same to the byte.
func TestWorkers(t *testing.T) {
	key, files := putKey(t), pcaps(t)
	inside := filepath.Join(t.TempDir(), "inside")
	s := analyzed(t, Request{Paths: files, Out: inside, KeyPath: key})
	if s.Files.OK != int64(len(files)) || s.Rows["connections"] < 100 {
		t.Fatalf("%+v, %v", s.Files, s.Rows)
	}

	t.Run("four processes", func(t *testing.T) {
		c := cluster.New(command(t, "prism"), command(t, "worker"), 4)
		defer c.Stop()
		out := filepath.Join(t.TempDir(), "out")
		ran(t, Request{Paths: files, Out: out, KeyPath: key}, Runners{
			Endpoint: c.Endpoint, Workers: c.Workers, AtOnce: 1,
			Tell: func(s string) { t.Errorf("told: %s", s) },
		})
		same(t, "four processes", out, inside)
	})

	// A runner asks workers that take long how far they are, and splits what is
	// before them.
	t.Run("slow ones", func(t *testing.T) {
		c := cluster.New(command(t, "prism"), command(t, "worker", slow+"=1"), 4)
		defer c.Stop()
		out := filepath.Join(t.TempDir(), "out")
		ran(t, Request{Paths: files, Out: out, KeyPath: key}, Runners{
			Endpoint: c.Endpoint, Workers: c.Workers, AtOnce: 1,
			Tell: func(s string) { t.Errorf("told: %s", s) },
		})
		same(t, "slow ones", out, inside)
	})

	t.Run("one is killed", func(t *testing.T) {
		dir := t.TempDir()
		c := cluster.New(command(t, "prism"), command(t, "worker", stopAt+"="+dir), 4)
		defer c.Stop()
		killed := make(chan int, 1)
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go func() {
			defer close(killed)
			// The worker waits until it is killed, whenever it comes to that.
			for ctx.Err() == nil {
				if raw, err := os.ReadFile(filepath.Join(dir, "stopped")); err == nil && len(raw) > 0 {
					pid, _ := strconv.Atoi(string(raw))
					if p, err := os.FindProcess(pid); err == nil && p.Kill() == nil {
						killed <- pid
					}
					return
				}
				time.Sleep(10 * time.Millisecond)
			}
		}()
		var told []string
		out := filepath.Join(dir, "out")
		ran(t, Request{Paths: files, Out: out, KeyPath: key}, Runners{
			Endpoint: c.Endpoint, Workers: c.Workers, AtOnce: 1,
			Tell: func(s string) { told = append(told, s) },
		})
		stop()
		if pid := <-killed; pid == 0 {
			t.Fatal("no worker was killed")
		}
		if len(told) == 0 || !strings.Contains(told[0], "the job failed, with ") || strings.Contains(told[0], "with 0 of") {
			t.Errorf("told: %q", told)
		}
		t.Logf("told: %q", told)
		same(t, "one is killed", out, inside)
	})
}
