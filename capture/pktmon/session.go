package pktmon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"goproxytrace/capture/engine/hint"
	"goproxytrace/capture/pcapfile"
)

// maxFilters is how many filters pktmon takes ("pktmon filter"); versions
// before 20H2 take fewer, and then refuse one.
const maxFilters = 32

// begin sets the filters and starts pktmon.
func (c *Capture) begin(ctx context.Context, s *state) error {
	if s.own > 0 { // left by a session that was killed
		if _, err := c.program.run(ctx, askLimit, "filter", "remove"); err != nil {
			return err
		}
	}
	if err := c.addFilters(ctx); err != nil {
		// The packets are filtered here in any case.
		c.info.Notes = append(c.info.Notes, fmt.Sprintf("pktmon captures everything meanwhile: %v", err))
		if err := c.removeFilters(ctx); err != nil {
			return err
		}
	}
	if err := c.start(ctx); err != nil {
		return errors.Join(err, c.removeFilters(ctx))
	}
	return nil
}

// addFilters has pktmon take in the ports and the protocols that are taken in
// in any case; conditions of one filter would all have to hold.
func (c *Capture) addFilters(ctx context.Context) error {
	filters := [][]string{{"-t", "ICMP"}, {"-t", "ICMPv6"}, {"-d", "ARP"}}
	for _, p := range c.options.Filter.All() {
		filters = append(filters, []string{"-p", strconv.Itoa(int(p))})
	}
	if len(filters) > maxFilters {
		return fmt.Errorf("it takes %d filters, not %d", maxFilters, len(filters))
	}
	for _, f := range filters {
		c.filtered = true
		if _, err := c.program.run(ctx, askLimit, append([]string{"filter", "add", filterName}, f...)...); err != nil {
			return err
		}
	}
	return nil
}

// removeFilters removes our filters. pktmon can only remove all: where others
// were added meanwhile, they stay.
func (c *Capture) removeFilters(ctx context.Context) error {
	if !c.filtered {
		return nil
	}
	s, err := look(ctx, c.program)
	switch {
	case err != nil:
		return err
	case s.own == 0:
	case s.foreign > 0:
		return fmt.Errorf("filters named %s are left in pktmon, since it has others besides: pktmon filter remove removes all", filterName)
	default:
		if _, err := c.program.run(ctx, askLimit, "filter", "remove"); err != nil {
			return err
		}
	}
	c.filtered = false
	return nil
}

// start starts the capture, in the spelling of today's versions or in that
// of those before 21H1, which take the other for a mistake. By default pktmon
// overwrites the oldest packets once a trace is full; here it begins another.
func (c *Capture) start(ctx context.Context) error {
	file := filepath.Join(c.dir, traceName)
	var errs []error
	for i, arguments := range [][]string{
		{"start", "--capture", "--comp", "nics", "--pkt-size", "0", "--file-name", file, "--log-mode", "multi-file"},
		{"start", "--etw", "-c", "nics", "-p", "0", "-f", file, "-l", "multi-file"},
		{"start", "--etw", "-c", "nics", "-p", "0", "-f", file},
	} {
		_, err := c.program.run(ctx, startLimit, arguments...)
		if err == nil {
			if i == 2 {
				c.info.Notes = append(c.info.Notes, "this pktmon keeps the newest 512 MB of packets only")
			}
			return nil
		}
		errs = append(errs, err)
	}
	return hint.New(fmt.Errorf("pktmon does not capture: %w", errs[0]), "Another capture of it may run: pktmon status shows that, pktmon stop ends it. Windows 10 has pktmon from version 2004 on in the form that is needed.")
}

// Stop implements capture.Live. pktmon's own end goes on where this process
// does not live to see it.
func (c *Capture) Stop() {
	c.once.Do(func() {
		// Not of the capture's context: the stop must not be broken off.
		ctx := context.Background()
		stop, err := c.program.begin(ctx, stopLimit, "stop")
		go func() {
			defer close(c.ended)
			if err == nil {
				_, err = stop.wait()
			}
			c.stopErr, c.filterErr = err, c.removeFilters(ctx)
		}()
	})
}

var count = regexp.MustCompile(`:\s*([0-9]+)\s*$`)

// convert has pktmon convert a trace, and begins to read what comes of it.
// A trace that cannot be converted is kept.
func (c *Capture) convert(trace string) {
	c.done[trace], c.trace = true, trace
	c.converted = strings.TrimSuffix(trace, ".etl") + ".pcapng"
	var errs []error
	for _, arguments := range [][]string{{"etl2pcap", trace, "--out", c.converted}, {"pcapng", trace, "-o", c.converted}} {
		said, err := c.program.run(c.ctx, convertLimit, arguments...)
		if st, e := os.Stat(c.converted); err == nil && (e != nil || st.Size() == 0) {
			err = fmt.Errorf("pktmon %s wrote nothing", arguments[0])
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		c.drops += dropCount(said)
		if c.reader, err = pcapfile.Open(c.converted); err != nil {
			c.reader = nil
			c.keep(trace, fmt.Errorf("read what pktmon made of it: %w", err))
			os.Remove(c.converted)
		}
		return
	}
	os.Remove(c.converted)
	c.keep(trace, errs[0])
}

// dropCount takes the second of the numbers that the converter prints, in
// the language of the system: packets in all, packets dropped, packets
// formatted.
func dropCount(said string) uint64 {
	var numbers []uint64
	for line := range strings.Lines(said) {
		if m := count.FindStringSubmatch(strings.TrimRight(line, "\r\n")); m != nil {
			n, err := strconv.ParseUint(m[1], 10, 64)
			if err != nil {
				return 0
			}
			numbers = append(numbers, n)
		}
	}
	if len(numbers) < 3 {
		return 0
	}
	return numbers[1]
}
