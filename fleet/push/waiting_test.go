package push_test

import (
	"context"
	"errors"
	"io"
	"os"
	"testing"
	"time"

	"goproxytrace/fleet/push"
)

// A pipe that nobody writes to ends with the context, and one that is written to is
// read to its end.
func TestWaiting(t *testing.T) {
	never, _ := io.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(10*time.Millisecond, cancel)
	err := whole().File(ctx, "pipe", push.Waiting(ctx, func() (io.Reader, error) { return never, nil }), func(*push.Case) error { return nil })
	if !errors.Is(err, context.Canceled) || push.IsUnreadable(err) {
		t.Error(err)
	}
	cases := 0
	in := func() (io.Reader, error) { return os.Open(one("hello-reset")) }
	if err := whole().File(t.Context(), "pipe", push.Waiting(t.Context(), in), func(*push.Case) error { cases++; return nil }); err != nil || cases != 1 {
		t.Errorf("%d cases, %v", cases, err)
	}
}
