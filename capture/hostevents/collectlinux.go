package hostevents

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"goproxytrace/capture/hostlog"
)

// This file reads a Linux host. It is part of every build, so that every system
// can test it.

// Sources of Linux, as they are told of.
const (
	kernelSource = "the kernel's log"
	rulesSource  = "the counters of nftables' rules"
)

var rulesArgs = []string{"--json", "list", "ruleset"}

// linuxBegin takes what is to be compared at the end.
func (c *collector) linuxBegin() {
	c.kernel, c.noKernel = c.kernelLog()
	c.tracking, _ = c.conntrack() // none where no connection is tracked
	ctx, cancel := context.WithTimeout(context.Background(), firstLimit)
	defer cancel()
	text, err := c.run(ctx, "nft", rulesArgs...)
	if err == nil {
		c.rules, err = parseRuleset(text)
	}
	if ctx.Err() != nil {
		err = fmt.Errorf("listing them took longer than %s", firstLimit)
	}
	if c.noRules = err; err != nil || c.later == nil {
		return
	}
	c.laterRules, c.noRules = c.later("nft", rulesArgs...)
}

// linuxInterval is short beside the time in which a flood of lines wraps the
// kernel's buffer.
const linuxInterval = time.Second

func (c *collector) linuxMeanwhile(ctx context.Context) []hostlog.Record {
	if c.kernel == nil {
		return nil
	}
	defer c.reading(ctx)()
	c.kernelLines()
	return c.records()
}

func (c *collector) linuxEnd(ctx context.Context) []hostlog.Record {
	defer c.reading(ctx)()
	if c.kernel != nil {
		c.kernelLines()
		if c.lost {
			c.fail(kernelSource, errors.New("more came than the kernel keeps: some lines are missing"))
		}
	} else {
		c.journalLines()
	}
	if err := c.ruleCounters(); err != nil {
		c.fail(rulesSource, err)
	}
	if c.tracking != nil {
		if now, err := c.conntrack(); err != nil {
			c.fail("the counters of connection tracking", err)
		} else if n := now.dropped - c.tracking.dropped; n > 0 {
			c.note("conntrack", "connection tracking dropped %d packets or entries meanwhile: its table was full, or packets did not fit their connection", n)
		}
	}
	return c.records()
}

func (c *collector) linuxClose() {
	if c.kernel != nil {
		c.kernel.close()
	}
	if c.laterRules != nil {
		c.laterRules.cancel()
	}
}

// kernelLines takes what the kernel logged since the last time.
func (c *collector) kernelLines() {
	lines, lost, err := c.kernel.read()
	c.lost = c.lost || lost
	for _, l := range lines {
		c.log.packetLine(l.time, l.text)
	}
	if err != nil {
		c.fail(kernelSource, err)
		c.kernel.close()
		c.kernel, c.noKernel = nil, err
	}
}

// journalLines takes the kernel's lines from the journal, which is later: it has
// to be written first.
func (c *collector) journalLines() {
	since := "@" + strconv.FormatInt(c.since/1e9, 10)
	a := c.ask(kernelSource, "journalctl", "--dmesg", "--output=json", "--no-pager", "--since="+since)
	text, err := c.answer(a)
	if err == nil {
		err = c.add(text)
	}
	if err != nil {
		c.fail(kernelSource, fmt.Errorf("%w (and directly: %w)", err, c.noKernel))
	}
}

// ruleCounters tells of rules that dropped packets.
func (c *collector) ruleCounters() error {
	if c.noRules != nil {
		return c.noRules
	}
	var text []byte
	var err error
	if c.laterRules != nil {
		text, err = c.laterRules.finish(c.ctx)
		c.laterRules = nil
	} else {
		text, err = c.answer(c.ask(rulesSource, "nft", rulesArgs...))
	}
	if err != nil {
		return err
	}
	now, err := parseRuleset(text)
	if err != nil {
		return err
	}
	now.tell(c, c.rules)
	return nil
}

// conntrack are counters of connection tracking in this network namespace.
type conntrack struct{ dropped uint64 }

// conntrackColumns count packets or connections that were thrown away.
var conntrackColumns = []string{"drop", "early_drop"}

// conntrack reads them (net/netfilter/nf_conntrack_standalone.c): a line of
// names, then one for each processor in hexadecimal.
func (c *collector) conntrack() (*conntrack, error) {
	text, err := c.file("/proc/net/stat/nf_conntrack")
	if err != nil {
		return nil, err
	}
	var names []string
	var out conntrack
	for line := range strings.Lines(string(text)) {
		w := strings.Fields(line)
		if names == nil {
			names = w
			continue
		}
		for i, name := range names {
			for _, wanted := range conntrackColumns {
				if i < len(w) && name == wanted {
					n, err := strconv.ParseUint(w[i], 16, 64)
					if err != nil {
						return nil, fmt.Errorf("%s=%.20q is no number", name, w[i])
					}
					out.dropped += n
				}
			}
		}
	}
	return &out, nil
}
