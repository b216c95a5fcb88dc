//go:build !linux && !windows

package hostevents

import (
	"context"
	"errors"
	"runtime"
	"time"

	"goproxytrace/capture/hostlog"
)

func thisSystem() system { return system{now: func() int64 { return time.Now().UnixNano() }} }

func (c *collector) begin()                                     {}
func (c *collector) interval() time.Duration                    { return time.Hour }
func (c *collector) close()                                     {}
func (c *collector) meanwhile(context.Context) []hostlog.Record { return nil }

func (c *collector) end(ctx context.Context) []hostlog.Record {
	defer c.reading(ctx)()
	c.fail("this machine's logs", errors.New("this program does not know those of "+runtime.GOOS))
	return c.records()
}
