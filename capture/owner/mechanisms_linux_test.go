package owner

import (
	"testing"
	"time"

	"goproxytrace/capture/hostlog"
)

// TestEveryConnection has 1,000 processes that live some milliseconds make
// 10,000 connections through 2,000 ports, and compares each with what the
// kernel's events say.
func TestEveryConnection(t *testing.T) {
	needRoot(t)
	if !alone(t) {
		return
	}
	ports(t, 40000, 41999)
	s := watch(t, EBPF)
	server := serve(t, "127.0.0.1:0")
	begun := time.Now()
	var list []truth
	var got rate
	for range 10 {
		// In parts, since a watcher does not remember for ever.
		part := do(t, s.Watcher, job{Remote: server, Processes: 100, Connections: 10, AtOnce: 4, Reset: true, Timeout: 10 * time.Second})
		r := s.judgeAll(part)
		got = rate{got.Right + r.Right, got.Unknown + r.Unknown, got.Wrong + r.Wrong}
		list = append(list, part...)
	}
	took := time.Since(begun)
	records := s.finish(t)

	// The records alone must say the same: one claim, from its time on and
	// once more with its end.
	type use struct {
		pid  uint32
		from int64
	}
	claims, ended := map[tuple][]use{}, map[uint64]*hostlog.Claim{}
	for _, c := range of[*hostlog.Claim](records) {
		if c.Server {
			continue
		}
		if c.Until != 0 {
			ended[c.Cookie] = c
			continue
		}
		k := tupleOf(c.Local, c.Remote)
		claims[k] = append(claims[k], use{c.PID, c.Time})
	}
	again, missing := 0, 0
	for _, c := range list {
		found := 0
		for _, u := range claims[tupleOf(c.Local, c.Remote)] {
			if u.pid == c.PID && u.from >= c.Began && u.from <= c.Done {
				found++
			}
		}
		if found != 1 {
			missing++
			if missing < 5 {
				t.Errorf("%d claims for %+v", found, c)
			}
		}
	}
	for _, uses := range claims {
		if len(uses) > 1 {
			again += len(uses)
		}
	}
	// A PID may come round as well.
	names, named := map[uint32]bool{}, 0
	for _, p := range of[*hostlog.Process](records) {
		if len(p.Args) > 0 && p.Args[0] == "connecting-process" {
			names[p.PID] = true
			named++
		}
	}
	exits := 0
	for _, x := range of[*hostlog.Exit](records) {
		if x.Code == 0 && names[x.PID] {
			exits++
		}
	}
	t.Logf("%d connections of %d processes in %v: %+v; %d of them through a port that was used again; %d processes with arguments, %d exits, %d ends; limits %q",
		len(list), 1000, took.Round(time.Millisecond), got, again, named, exits, len(ended), s.Limits())
	if got.Right != len(list) || missing > 0 || named != 1000 || exits != 1000 || len(ended) < len(list) || again == 0 {
		t.Errorf("want all %d right, their processes named, and ports used again", len(list))
	}
}
