package recorder

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"goproxytrace/analyze/diagnose"
	"goproxytrace/capture"
	"goproxytrace/capture/hostlog"
)

// Trigger says why an episode was judged.
type Trigger string

// Triggers.
const (
	Ended   Trigger = "ended"   // its processes have ended
	Stalled Trigger = "stalled" // it still runs, and nothing moved for long
	Quiet   Trigger = "quiet"   // it still runs, and has no connection
	Stopped Trigger = "stopped" // the recorder was stopped while it ran
)

// job is an episode as it is judged and written. Nothing in it changes.
type job struct {
	episode *episode
	trigger Trigger
	// exit is the go command's, nil where not known.
	exit       *hostlog.Exit
	root       *hostlog.Process
	members    []uint32
	begin, end int64 // Unix ns
	frames     []*frame
	records    []hostlog.Record
	// interfaces are those of the case, index theirs by the capture's numbers.
	interfaces []capture.Interface
	index      []int32
	dropped    uint64
	gaveUp     gaveUp
	suspend    []Gap
	network    bool
	fed        int64 // when a server's data came last, Unix ns
	lookups    bool  // there are DNS packets, which may be its own
	sampled    bool
	// previous is the case that this one completes, nil for none.
	previous *saved
	tries    int // that came to nothing
	// keptFor and class are what came of it.
	keptFor keeping
	class   diagnose.Class
	// held is what memory is given back when it is done.
	held int64
}

// snapshot gathers what an episode is.
func (r *Recorder) snapshot(e *episode, now time.Duration, why Trigger) *job {
	j := &job{
		episode: e, trigger: why, exit: e.exit, root: e.root.record, begin: e.begin, end: r.now().UnixNano(),
		gaveUp: e.gaveUp, suspend: slices.Clone(e.suspend), network: e.network, fed: e.fed,
		previous: e.provisional,
	}
	if r.o.Counters != nil {
		j.dropped = r.o.Counters().Dropped - e.drops
	}
	from := e.begin - int64(before)
	for _, f := range e.flows {
		j.frames = append(j.frames, f.frames...)
		j.begin = min(j.begin, cmp.Or(f.from, j.begin))
	}
	for _, f := range r.flows {
		// What is nobody's may be its own; what is another's matters where
		// that is its proxy.
		if f.owner == nil && (e.loopback && f.until >= from || !f.foreign && e.within(f.from, f.until)) {
			j.frames = append(j.frames, f.frames...)
		}
	}
	for _, f := range r.shared {
		if e.within(f.at, f.at) {
			j.frames = append(j.frames, f)
			j.lookups = j.lookups || f.lookup
		}
	}
	slices.SortFunc(j.frames, func(a, b *frame) int { return cmp.Compare(a.number, b.number) })
	j.describe(r.interfaces)
	told := map[*hostlog.Process]bool{}
	for _, rec := range e.records {
		if p, ok := rec.(*hostlog.Process); ok {
			told[p] = true
		}
	}
	for _, p := range r.tree.ancestors(j.root) {
		if !told[p] {
			above := *p
			above.Args = nil // what else its starter was told to do is nobody's business
			j.records = append(j.records, &above)
		}
	}
	j.records = append(j.records, r.standing...)
	if e.loopback {
		for _, rec := range r.recent {
			if rec.When() >= from {
				j.records = append(j.records, rec)
			}
		}
	}
	j.records = append(j.records, e.records...)
	for pid, p := range r.tree.byPID {
		if p.owner == e && p.member {
			j.members = append(j.members, pid)
		}
	}
	if e.gaveUp.any() {
		why := fmt.Sprintf("memory for %d MiB was short: %d packets, %d connections and %d records of this build were given up", r.ringBytes()>>20, e.gaveUp.Packets, e.gaveUp.Connections, e.gaveUp.Records)
		j.records = append(j.records, &hostlog.Unread{Time: j.end, Source: "a part of what was captured", Why: why})
	}
	slices.SortStableFunc(j.records, func(a, b hostlog.Record) int { return cmp.Compare(a.When(), b.When()) })
	j.sampled = why != Stalled && r.o.KeepOK > 0 && r.draw() < r.o.KeepOK
	return j
}

// firstInterfaces are told of in every case: that nothing left by them says
// something, too.
const firstInterfaces = 16

// describe numbers the interfaces that its frames crossed, and the first ones: over
// weeks a machine may have had thousands.
func (j *job) describe(all []capture.Interface) {
	used := make([]bool, len(all))
	for i := range min(len(all), firstInterfaces) {
		used[i] = true
	}
	for _, f := range j.frames {
		if f.iface >= 0 && int(f.iface) < len(all) {
			used[f.iface] = true
		}
	}
	j.index = make([]int32, len(all))
	for i := range all {
		j.index[i] = -1
		if used[i] {
			j.index[i] = int32(len(j.interfaces))
			j.interfaces = append(j.interfaces, all[i])
		}
	}
}

func (r *Recorder) draw() float64 {
	if r.o.Draw != nil {
		return r.o.Draw()
	}
	return rand.Float64()
}

// code is the exit code, as a shell has it; known is false where it is not.
func (j *job) code() (code int, known bool) {
	switch x := j.exit; {
	case x == nil:
		return 0, false
	case x.Signal > 0:
		return 128 + x.Signal, true
	case x.Code < 0:
		return 0, false
	}
	return j.exit.Code, true
}

// beforeItsEnd is the episode as it was just before the go command was ended by a
// signal, which closes its connections: what had stalled looks done then. Nil for
// one that ended by itself.
func (j *job) beforeItsEnd() *job {
	code, known := j.code()
	if j.trigger != Ended || !known || code == 0 || j.exit.Signal == 0 && j.previous == nil {
		return nil
	}
	at := j.exit.Time
	for _, f := range j.frames {
		if f.mark && f.at < at && f.at > j.exit.Time-int64(closing) {
			at = f.at
		}
	}
	short := *j
	short.frames, short.records = nil, nil
	for _, f := range j.frames {
		if f.at < at {
			short.frames = append(short.frames, f)
		}
	}
	for _, rec := range j.records {
		if rec.When() <= at {
			short.records = append(short.records, rec)
		}
	}
	short.end = at
	text := fmt.Sprintf("the go command was ended with %d packets that are left out, since its end says nothing of what it waited for", len(j.frames)-len(short.frames))
	if s := j.exit.Signal; s > 0 {
		text = fmt.Sprintf("the go command was ended by signal %d, with %d packets that are left out, since that end says nothing of what it waited for", s, len(j.frames)-len(short.frames))
	}
	short.records = append(short.records, &hostlog.Event{Time: at, Origin: hostlog.FromCapture, Text: text})
	return &short
}

// interrupted reports whether a signal ended the go command while its servers were
// sending: somebody has stopped it, and nothing on the network has died.
func (j *job) interrupted() bool {
	const lately = 5 * time.Second
	return j.trigger == Ended && j.exit != nil && j.exit.Signal > 0 && j.previous == nil && j.fed > 0 && j.exit.Time-j.fed < int64(lately)
}

// closing is how long before a process's end is told its connections may be
// closed.
const closing = time.Second

// worth reports whether there is anything to judge: a build that did nothing on
// the network is none, unless it failed and lookups were made meanwhile, of
// which nobody knows whose they are.
func (j *job) worth() bool {
	if j.network || j.previous != nil {
		return true
	}
	code, known := j.code()
	return j.lookups && (!known || code != 0)
}

// targets are the hosts that the go command was told to ask; all is true where
// it may ask any.
func (j *job) targets(byDefault []string) (hosts []string, all bool) {
	hosts = byDefault
	for _, rec := range j.records {
		s, ok := rec.(*hostlog.Setting)
		if !ok || s.Name != "GOPROXY" && !strings.HasSuffix(strings.ToUpper(s.Name), "_PROXY") {
			continue
		}
		for _, part := range strings.FieldsFunc(s.Value, func(c rune) bool { return c == ',' || c == '|' }) {
			if part == "direct" {
				all = all || s.Value == part
				continue
			}
			host := part[strings.LastIndex(part, "//")+1:]
			host = strings.TrimPrefix(host, "/")
			host, _, _ = strings.Cut(host, "/")
			host = host[strings.LastIndexByte(host, '@')+1:]
			host, _, _ = strings.Cut(host, ":")
			if host != "" && host != "off" {
				hosts = append(slices.Clip(hosts), strings.ToLower(host))
			}
		}
	}
	return hosts, all
}
