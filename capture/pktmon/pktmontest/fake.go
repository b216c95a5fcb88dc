// Package pktmontest is a stand-in for Windows' pktmon.exe, for tests only.
//
// In come pktmon's arguments and a directory that holds its state, out come
// what Microsoft's documentation says: its answers, filters, and traces, which
// are converted to captures as pktmon makes them, each packet once for every
// component that it passed, on one interface. A trace of its own says no more
// than where its packets are.
package pktmontest

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"goproxytrace/capture"
	"goproxytrace/capture/pcapfile"
)

// Variable is the environment variable that names the directory of its state.
const Variable = "GOPROXYTRACE_FAKE_PKTMON"

// Files in that directory.
const (
	// Source is the capture whose packets it sees.
	Source = "source.pcapng"
	// Behaviour holds words that change what it does.
	Behaviour = "behaviour"
	// Log lists the commands that it was given.
	Log     = "log"
	filters = "filters"
	session = "session"
)

// Words of Behaviour.
const (
	Old       = "old"       // a version before 21H1
	German    = "german"    // of a German Windows
	Deaf      = "deaf"      // does not stop
	Unable    = "unable"    // does not convert
	Full      = "full"      // writes several traces
	Window    = "window"    // sees what comes while it captures only
	Drops     = "drops"     // has seen drops
	FewFilter = "fewfilter" // takes two filters
	Slow      = "slow"      // takes five seconds to stop
)

// Copies is how many components a packet passes.
const Copies = 3

// fake is one call.
type fake struct {
	dir    string
	words  []string
	stdout io.Writer
}

// Main is the program: it returns the exit code.
func Main(arguments []string, stdout io.Writer) int {
	f := &fake{dir: os.Getenv(Variable), stdout: stdout}
	if f.dir == "" {
		fmt.Fprintln(stdout, Variable+" names no directory")
		return 3
	}
	f.words = strings.Fields(f.read(Behaviour))
	f.append(Log, strings.Join(arguments, " "))
	if err := f.do(arguments); err != nil {
		fmt.Fprintf(stdout, "Error: %v\n", err)
		return 1
	}
	return 0
}

func (f *fake) is(word string) bool { return slices.Contains(f.words, word) }

func (f *fake) read(name string) string {
	b, _ := os.ReadFile(filepath.Join(f.dir, name)) // empty where there is none
	return string(b)
}

func (f *fake) append(name, line string) {
	w, err := os.OpenFile(filepath.Join(f.dir, name), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err == nil {
		fmt.Fprintln(w, line)
		w.Close()
	}
}

func (f *fake) say(lines ...string) { fmt.Fprintln(f.stdout, strings.Join(lines, "\n")) }

func (f *fake) do(a []string) error {
	switch {
	case len(a) == 0:
		return errors.New("no command")
	case a[0] == "status" && !f.is(Old):
		f.status()
	case a[0] == "filter" && len(a) > 1:
		return f.filter(a[1:])
	case a[0] == "start":
		return f.start(a[1:])
	case a[0] == "stop":
		return f.stop()
	case len(a) == 4 && (a[0] == "etl2pcap" && !f.is(Old) && a[2] == "--out" || a[0] == "pcapng" && a[2] == "-o"):
		return f.convert(a[1], a[3])
	default:
		return fmt.Errorf("unknown command '%s'. See pktmon help", a[0])
	}
	return nil
}

func (f *fake) status() {
	trace := strings.Fields(f.read(session))
	switch {
	case trace == nil && f.is(German):
		f.say("Der Paketmonitor wird nicht ausgeführt.")
	case trace == nil:
		f.say("Packet Monitor is not running.")
	default:
		f.say("Collected data:", "    Packet counters, packet capture", "", "Capture type:", "    All packets", "", "Logger parameters:",
			"    Logger name: PktMon", "    Log file: "+trace[0], "    Maximum file size: 512 MB")
	}
}

func (f *fake) filter(a []string) error {
	list := strings.Split(strings.TrimSpace(f.read(filters)), "\n")
	if list[0] == "" {
		list = nil
	}
	switch a[0] {
	case "list":
		if list == nil {
			f.say("Packet Filters:", "    None")
			return nil
		}
		f.say(" # Name           EtherType Protocol  IP Address    Port", " - ----           --------- --------  ----------    ----")
		for i, l := range list {
			f.say(fmt.Sprintf(" %d %s", i+1, l))
		}
	case "remove":
		return os.WriteFile(filepath.Join(f.dir, filters), nil, 0o600)
	case "add":
		most := 32
		if f.is(FewFilter) {
			most = 2
		}
		if len(list) >= most {
			return fmt.Errorf("no more than %d filters", most)
		}
		f.append(filters, strings.Join(a[1:], " "))
		f.say("Filter added.")
	default:
		return fmt.Errorf("unknown command '%s'", a[0])
	}
	return nil
}

// start takes the options of Windows Server 2022, or those of the versions
// before 21H1, in which -c names components, -p a size and -l the mode.
func (f *fake) start(a []string) error {
	if f.read(session) != "" {
		return errors.New("packet monitor is already started")
	}
	with, alone := []string{"--comp", "--pkt-size", "--file-name", "--log-mode"}, "--capture"
	if f.is(Old) {
		with, alone = []string{"-c", "-p", "-f", "-l"}, "--etw"
	}
	values := map[string]string{}
	for i := 0; i < len(a); i++ {
		switch {
		case a[i] == alone:
			values[alone] = "yes"
		case slices.Contains(with, a[i]) && i+1 < len(a):
			values[a[i]] = a[i+1]
			i++
		default:
			return fmt.Errorf("'%s' is not a valid parameter. See pktmon start help", a[i])
		}
	}
	if values[alone] == "" || values[with[0]] != "nics" || values[with[1]] != "0" || values[with[3]] != "multi-file" || values[with[2]] == "" {
		return fmt.Errorf("this is no whole capture of the adapters: %q", a)
	}
	trace := strings.TrimSuffix(values[with[2]], ".etl") + "1.etl"
	begin := strconv.FormatInt(time.Now().UnixNano(), 10)
	for _, path := range []string{trace, filepath.Join(f.dir, session)} {
		if err := os.WriteFile(path, []byte(trace+"\n"+begin+"\n"), 0o600); err != nil {
			return err
		}
	}
	f.say("Active measurement started.")
	return nil
}

func (f *fake) stop() error {
	s := strings.Fields(f.read(session))
	switch {
	case len(s) != 2:
		return errors.New("packet monitor is not running")
	case f.is(Deaf):
		return errors.New("the logger does not answer")
	case f.is(Slow):
		time.Sleep(5 * time.Second)
	}
	end := strconv.FormatInt(time.Now().UnixNano(), 10)
	traces := []string{s[0]}
	if f.is(Full) {
		traces = append(traces, strings.TrimSuffix(s[0], "1.etl")+"2.etl")
	}
	for i, path := range traces {
		if err := os.WriteFile(path, fmt.Appendf(nil, "%d %d %s %s\n", i, len(traces), s[1], end), 0o600); err != nil {
			return err
		}
	}
	f.say("Flushing logs...", "Merging metadata...", "Log file: "+s[0])
	return os.Remove(filepath.Join(f.dir, session))
}

// convert writes the packets of a trace as pktmon does: on one interface
// without a name, none of those that were dropped.
func (f *fake) convert(trace, to string) error {
	if f.is(Unable) {
		return errors.New("the log file could not be read")
	}
	b, err := os.ReadFile(trace)
	if err != nil {
		return err
	}
	var part, parts int
	var begin, end int64
	if _, err := fmt.Sscan(string(b), &part, &parts, &begin, &end); err != nil {
		return fmt.Errorf("%s: %w", trace, err)
	}
	r, err := pcapfile.Open(filepath.Join(f.dir, Source))
	if err != nil {
		return err
	}
	defer r.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	defer out.Close()
	w, err := pcapfile.NewWriter(out, pcapfile.WriterOptions{Application: "pktmon"})
	if err == nil {
		_, err = w.AddInterface(&capture.Interface{LinkType: 1})
	}
	if err != nil {
		return err
	}
	var packets []capture.Packet
	for {
		var batch capture.Batch
		if err := r.Read(&batch); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			// A capture that is still being written may end within a packet.
			fmt.Fprintln(f.stdout, err)
			break
		}
		for _, p := range batch.Packets {
			if p.Kind == capture.KindFrame && (!f.is(Window) || p.Time >= begin && p.Time <= end) {
				packets = append(packets, p)
			}
		}
	}
	// A part of them each; each of a packet's components follows at once.
	first, last := len(packets)*part/parts, len(packets)*(part+1)/parts
	n := 0
	for _, p := range packets[first:last] {
		for i := range Copies {
			c := p
			c.Interface, c.LinkType, c.Direction, c.FCSLen = 0, 1, capture.DirectionUnknown, -1
			c.Time += int64(i) * 4000
			if err := w.WritePacket(&c); err != nil {
				return err
			}
			n++
		}
	}
	drops := 0
	if f.is(Drops) {
		drops = 7
	}
	// As etl2pcap prints (github.com/microsoft/etl2pcapng, issue 54).
	words := []string{"Packets total:", "Packet drop count:", "Packets formatted:", "Formatted file:"}
	if f.is(German) {
		words = []string{"Pakete gesamt:", "Verworfene Pakete:", "Formatierte Pakete:", "Formatierte Datei:"}
	}
	f.say("Processing...", "", fmt.Sprintf("%-20s %d", words[0], n+drops), fmt.Sprintf("%-20s %d", words[1], drops),
		fmt.Sprintf("%-20s %d", words[2], n), fmt.Sprintf("%-20s %s", words[3], to))
	return w.Flush()
}
