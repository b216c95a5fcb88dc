package recorder

import (
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"strings"

	"goproxytrace/analyze"
	"goproxytrace/analyze/diagnose"
	"goproxytrace/capture"
	"goproxytrace/capture/casefile"
	"goproxytrace/capture/pcapfile"
)

// write gives an episode to a case file, in the order in which a session would
// have written it: a record stands behind the last packet that is not later.
func (j *job) write(w *casefile.Writer) error {
	for i := range j.interfaces {
		if _, err := w.Interface(&j.interfaces[i]); err != nil {
			return err
		}
	}
	records := j.records
	var buf []byte
	counts := make([]uint64, len(j.interfaces))
	for _, f := range j.frames {
		for len(records) > 0 && records[0].When() < f.at {
			if err := w.Record(records[0]); err != nil {
				return err
			}
			records = records[1:]
		}
		var p capture.Packet
		p, buf = f.packet(buf)
		if f.iface < 0 || int(f.iface) >= len(j.index) {
			continue // of an interface that nobody has told of there is none
		}
		p.Interface = j.index[f.iface]
		if err := w.Packet(&p); err != nil {
			return err
		}
		counts[p.Interface]++
	}
	for _, rec := range records {
		if err := w.Record(rec); err != nil {
			return err
		}
	}
	j.statistics(w, counts)
	return nil
}

// statistics tells what was lost. The engine counts that for all interfaces
// together; it stands with the one of which most is there.
func (j *job) statistics(w *casefile.Writer, counts []uint64) {
	busiest := 0
	for i, n := range counts {
		if n > counts[busiest] {
			busiest = i
		}
	}
	for i := range j.interfaces {
		in := j.interfaces[i]
		var lost uint64
		if i == busiest {
			lost = j.dropped + uint64(j.gaveUp.Packets)
		}
		received := counts[i] + lost
		in.Received, in.OSDropped, in.Delivered, in.FilterAccepted, in.Dropped = &received, &lost, nil, nil, nil
		in.Start, in.End = min(j.begin, j.end), j.end
		_ = w.Statistics(i, j.end, &in) // it fails with the file, which is told of
	}
}

func (r *Recorder) caseOptions(stdout *os.File) casefile.Options {
	return casefile.Options{OS: r.o.OS, Application: r.o.Application, Stdout: stdout}
}

// judge analyses an episode: exactly what its case file would hold, by way of a
// pipe. size is that file's, in bytes.
func (r *Recorder) judge(ctx context.Context, j *job) (result *analyze.Result, size int64, err error) {
	from, to, err := os.Pipe()
	if err != nil {
		return nil, 0, err
	}
	defer from.Close()
	written := make(chan error, 1)
	go func() {
		defer to.Close()
		w, err := casefile.Create("-", r.caseOptions(to))
		if err == nil {
			err = errors.Join(j.write(w), w.Close())
		}
		written <- err
	}()
	count := &counter{r: from}
	src, err := pcapfile.NewReader(count, 0)
	if err != nil {
		from.Close() // the writer waits for nobody then
		return nil, 0, errors.Join(err, <-written)
	}
	o := r.o.Analyze
	o.OneByOne = true
	result, err = analyze.Run(ctx, src, o)
	from.Close()
	if err = errors.Join(err, <-written); err != nil && result != nil {
		result.Close()
		result = nil
	}
	return result, count.n, err
}

// counter counts what is read.
type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += int64(n)
	return n, err
}

// died decides whether an episode is one to keep, and says of what it died.
func (j *job) died(result *analyze.Result, targets []string) (diagnose.Class, bool) {
	v := &result.Verdict
	code, known := j.code()
	failed := known && code != 0
	if !j.network && !j.asked(result, targets) {
		return v.Class, false
	}
	sure := v.Level == diagnose.Proven || v.Level == diagnose.Suggested
	switch {
	case v.Class == diagnose.CaptureUnusable:
		// A build that failed, of which packets are missing: that it was the
		// network is as likely as not.
		return v.Class, failed && j.network
	case v.Died() && failed && result.Subject < 0 && result.SubjectLookup < 0 && !j.own(result):
		// An ICMP message about a connection that was not seen. Who knows exit
		// codes is told of attempts, too: it is another's.
		return j.worst(result)
	case !v.Died() && failed:
		// A connection that died and was followed by another looks as if it
		// was made good, but the go command asks nothing twice.
		return j.worst(result)
	case !v.Died():
		return v.Class, false
	case known && code == 0:
		// It has what it wanted, so that what died was made good, or was
		// nothing it needed (go list -e): only what is sure, and is its own,
		// is kept.
		return v.Class, sure && j.own(result)
	case j.trigger == Ended:
		return v.Class, true
	}
	return v.Class, sure // it still runs
}

// worst is the gravest of what the go command's own connections died of.
func (j *job) worst(result *analyze.Result) (class diagnose.Class, found bool) {
	class = result.Verdict.Class
	rank := len(levels)
	for c, err := range result.Connections.All() {
		if err != nil || c.Process == nil || !c.Verdict.Died() || c.Verdict.Class == diagnose.ClientAborted || !slices.Contains(j.members, c.Process.PID) {
			continue
		}
		if n := slices.Index(levels, c.Verdict.Level); n >= 0 && n < rank {
			class, rank, found = c.Verdict.Class, n, true
		}
	}
	return class, found
}

// levels are those of verdicts, the strongest first.
var levels = []diagnose.Level{diagnose.Proven, diagnose.Suggested, diagnose.Consistent}

// own reports whether a verdict is about a connection, or an attempt, of the go
// command's own.
func (j *job) own(result *analyze.Result) bool {
	if result.SubjectLookup >= 0 {
		return false
	}
	if result.Subject < 0 {
		return slices.ContainsFunc(result.Attempts, func(a analyze.Attempt) bool {
			return slices.Contains(j.members, a.PID) && a.Verdict.Died()
		})
	}
	for c, err := range result.Connections.All() {
		if err == nil && c.ID == result.Subject {
			return c.Process != nil && slices.Contains(j.members, c.Process.PID)
		}
	}
	return false
}

// asked reports whether a failed lookup may be the go command's, of which
// nothing else was seen.
func (j *job) asked(result *analyze.Result, targets []string) bool {
	hosts, all := j.targets(targets)
	for i := range result.Lookups {
		l := &result.Lookups[i]
		if l.Verdict.Died() && (all || slices.Contains(hosts, lower(l.Name))) {
			return true
		}
	}
	return false
}

func lower(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }
