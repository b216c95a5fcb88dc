package scrub

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"goproxytrace/analyze/decode"
	"goproxytrace/capture"
	"goproxytrace/capture/pcapfile"
	"goproxytrace/redact"
)

// Options says how a capture is copied.
type Options struct {
	// Redactor gives the pseudonyms. It should know what the analysis of the
	// same capture found (analyze.Result.Teach): which global addresses are
	// this machine's, for one.
	Redactor *redact.Redactor
	// Progress is called with the bytes read of the input, over both times it
	// is read, and with twice the input's size (zero where unknown).
	Progress func(read, total int64)
}

// Summary says what became of a capture.
type Summary struct {
	// Frames counts those written, records included.
	Frames int64
	// Secrets is true where the input held TLS keys, which were left out.
	Secrets bool
	// Left counts blocks left out, by name.
	Left map[string]int64
	// Damage is set where the input is cut or damaged: it was copied up to
	// there.
	Damage *capture.DamageError
}

// Run copies the capture that open opens, twice: what a frame holds may be known
// only from later ones. The output is complete where the error is nil.
func Run(ctx context.Context, open func() (capture.Source, error), dst io.Writer, o Options) (*Summary, error) {
	p := newPlan(o.Redactor)
	var processes []capture.Process
	err := each(ctx, open, progress(o.Progress, 0), func(_ *capture.Info, packet *capture.Packet, segments []decode.Segment) error {
		for i := range segments {
			p.segment(&segments[i])
		}
		return nil
	}, func(info *capture.Info) error {
		processes = described(o.Redactor, info.Processes)
		return nil
	})
	var damage *capture.DamageError
	if err != nil && !errors.As(err, &damage) {
		return nil, err
	}
	p.table.Finish()

	w := &writer{o: o, dst: dst, processes: processes, framer: framer{redactor: o.Redactor, writing: newWriting(p)}}
	err = each(ctx, open, progress(o.Progress, 1), w.packet, w.end)
	out := &Summary{Frames: w.frames}
	switch {
	case err == nil:
	case errors.As(err, &out.Damage):
		err = nil
	default:
		return nil, err
	}
	out.Secrets, out.Left = w.secrets, w.left
	return out, err
}

// described returns the processes that can be named by their number alone: of two
// that had one number after the other, neither can.
func described(r *redact.Redactor, list []capture.Process) (out []capture.Process) {
	count := make(map[uint32]int)
	for i := range list {
		count[list[i].PID]++
	}
	for i := range list {
		if p := &list[i]; count[p.PID] == 1 && p.PID != 0 {
			out = append(out, capture.Process{PID: p.PID, Name: p.Name, Path: r.Program(p.Path)})
		}
	}
	return out
}

// progress counts the rounds of reading.
func progress(f func(read, total int64), round int64) func(read, total int64) {
	return func(read, total int64) {
		if f != nil {
			f(round*total+read, 2*total)
		}
	}
}

// each reads a capture. end is called after the last packet, also where the
// capture is damaged.
func each(ctx context.Context, open func() (capture.Source, error), progress func(read, total int64),
	packet func(*capture.Info, *capture.Packet, []decode.Segment) error, end func(*capture.Info) error) error {
	src, err := open()
	if err != nil {
		return err
	}
	defer src.Close()
	var batch capture.Batch
	var segments []decode.Segment
	d := decode.New()
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := src.Read(&batch)
		if err != nil {
			if end != nil && (errors.Is(err, io.EOF) || errors.As(err, new(*capture.DamageError))) {
				if failed := end(src.Info()); failed != nil {
					return failed
				}
			}
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		for i := range batch.Packets {
			segments = d.Decode(&batch.Packets[i], segments[:0])
			if err := packet(src.Info(), &batch.Packets[i], segments); err != nil {
				return err
			}
		}
		if s, ok := src.(capture.Progress); ok {
			progress(s.Progress())
		}
	}
}

// writer writes the copy.
type writer struct {
	o      Options
	dst    io.Writer
	framer framer
	pcapng *pcapfile.Writer
	// processes are those that the input describes.
	processes []capture.Process
	ifaces    int
	frames    int64
	last      int64 // time of the latest packet
	secrets   bool
	left      map[string]int64
}

// begin writes what stands in front of the packets.
func (w *writer) begin(info *capture.Info) (err error) {
	if w.pcapng == nil {
		w.pcapng, err = pcapfile.NewWriter(w.dst, pcapfile.WriterOptions{
			OS: system(info.OS), Application: program(info.Application), Comment: "scrubbed by goproxytrace",
		})
		if err != nil {
			return err
		}
		for i := range w.processes {
			if err := w.pcapng.WriteProcess(&w.processes[i]); err != nil {
				return err
			}
		}
	}
	for ; w.ifaces < len(info.Interfaces); w.ifaces++ {
		in := &info.Interfaces[w.ifaces]
		if _, err := w.pcapng.AddInterface(&capture.Interface{
			Name: interfaceName(w.o.Redactor, in.Name), Filter: w.o.Redactor.Filter(in.Filter), OS: system(in.OS),
			LinkType: in.LinkType, SnapLen: in.SnapLen,
		}); err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) packet(info *capture.Info, p *capture.Packet, segments []decode.Segment) error {
	if err := w.begin(info); err != nil {
		return err
	}
	w.frames++
	if p.Kind == capture.KindEvent {
		at := p.Time
		if !p.HasTime {
			at = w.last
		}
		return w.pcapng.WriteJournal(at, entry(w.o.Redactor, p.Data))
	}
	out := *p
	out.Data = w.framer.frame(p, segments)
	out.Length = max(p.Length, len(p.Data))
	out.Comment = comment(w.o.Redactor, p.Comment)
	if out.Interface < 0 {
		out.Interface, out.Data = 0, nil // one of more interfaces than are known
	}
	if p.HasTime {
		w.last = p.Time
	}
	if err := w.pcapng.WritePacket(&out); err != nil {
		return fmt.Errorf("copying frame %d: %w", p.Number, err)
	}
	return nil
}

// end writes what stands behind the packets.
func (w *writer) end(info *capture.Info) error {
	if err := w.begin(info); err != nil {
		return err
	}
	for i := range w.ifaces {
		in := &info.Interfaces[i]
		if in.Received == nil && in.Dropped == nil && in.FilterAccepted == nil && in.OSDropped == nil && in.Delivered == nil && in.Start == 0 && in.End == 0 {
			continue
		}
		at := in.End
		if at == 0 {
			at = w.last
		}
		if err := w.pcapng.WriteStatistics(i, at, in); err != nil {
			return err
		}
	}
	names, err := resolved(w.o.Redactor, info.Names)
	if err != nil {
		return err
	}
	if err := w.pcapng.WriteNames(names); err != nil {
		return err
	}
	w.secrets = info.HasSecrets
	for name, n := range info.Blocks {
		switch name {
		case "journal", "custom", "name resolution", "interface statistics", "process":
		default:
			if w.left == nil {
				w.left = make(map[string]int64)
			}
			w.left[name] += n
		}
	}
	return w.pcapng.Flush()
}

// programs are those that capture; which one it was bears on what a file that
// names no filter means.
var programs = []string{"Dumpcap", "goproxytrace", "tcpdump", "TShark", "Wireshark", "ptcpdump", "etl2pcapng", "Editcap", "Mergecap"}

// program returns the name of the program that captured.
func program(application string) string {
	for _, p := range programs {
		if strings.HasPrefix(application, p) {
			return p
		}
	}
	return ""
}

// systems are names of systems as capture programs write them.
var systems = []string{"Linux", "Windows", "macOS", "Mac OS", "Darwin", "FreeBSD", "OpenBSD", "NetBSD"}

func system(os string) string {
	low := strings.ToLower(os)
	for _, s := range systems {
		if strings.Contains(low, strings.ToLower(s)) {
			return s
		}
	}
	return ""
}

// interfaceName replaces an interface's name. Npcap's hold a number that is the
// machine's own.
func interfaceName(r *redact.Redactor, name string) string {
	if name == "" {
		return ""
	}
	const npcap = `\Device\NPF_`
	if rest, ok := strings.CutPrefix(name, npcap); ok && rest != "Loopback" {
		return npcap + "{" + r.Interface(rest) + "}"
	} else if ok {
		return name
	}
	return r.Interface(name)
}
