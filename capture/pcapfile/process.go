package pcapfile

import (
	"bytes"
	"encoding/binary"
	"math"
	"strconv"

	"goproxytrace/capture"
)

const (
	// maxProcesses and maxProcessBytes bound Info.Processes.
	maxProcesses    = 32 << 10
	maxProcessBytes = 4 << 20
	// maxSectionProcesses bounds the processes that packets of a section
	// can refer to.
	maxSectionProcesses = 64 << 10
)

// Options of the blocks that describe processes: Apple's and Wireshark's
// share the first ones.
const (
	optProcName    = 2
	optProcPath    = 3
	optProcCmdline = 4 // Wireshark's; Apple has the UUID here
	optProcParent  = 5
	optProcStart   = 9
)

func (p *pcapngParser) addProcess(r *Reader, proc capture.Process) {
	size := 96 + len(proc.Name) + len(proc.Path) + len(proc.CommandLine)
	if len(r.info.Processes) >= maxProcesses || p.processBytes+size > maxProcessBytes {
		r.note("there are more processes than are kept")
		return
	}
	p.processBytes += size
	r.info.Processes = append(r.info.Processes, proc)
}

// appleProcess reads the process information block that Apple's tcpdump
// writes; the packets' options refer to it by its index in the section.
func (p *pcapngParser) appleProcess(r *Reader, body []byte) {
	if len(body) < 4 {
		r.note("a process block without a PID")
		return
	}
	proc := capture.Process{PID: p.order.u32(body)}
	it := options{rest: body[4:], order: p.order}
	for it.next() {
		switch it.code {
		case optProcName:
			setText(&proc.Name, it.value)
		case optProcPath:
			setText(&proc.Path, it.value)
		}
	}
	if len(p.procs) < maxSectionProcesses {
		p.procs = append(p.procs, proc.PID)
	}
	p.addProcess(r, proc)
}

// appleIndex returns the PID that an option with a process index refers to,
// zero for one that the section does not describe: Apple's tcpdump writes some
// for processes that it knows nothing of.
func (p *pcapngParser) appleIndex(v []byte) uint32 {
	if len(v) != 4 {
		return 0
	}
	if i := p.order.u32(v); uint64(i) < uint64(len(p.procs)) {
		return p.procs[i]
	}
	return 0
}

const wiresharkProcess = 3

// wiresharkCustom reads what Wireshark 5.1 puts into its custom blocks. The
// enterprise number has the section's byte order, the rest is little-endian.
func (p *pcapngParser) wiresharkCustom(r *Reader, data []byte, fields map[string]string) {
	const header = 12 // type, length, PID
	if len(data) < header || binary.LittleEndian.Uint32(data) != wiresharkProcess {
		return
	}
	n := binary.LittleEndian.Uint32(data[4:])
	proc := capture.Process{PID: binary.LittleEndian.Uint32(data[8:])}
	rest := data[header:]
	// The length counts from the PID on, where it makes sense at all.
	if n >= 4 && uint64(n-4) < uint64(len(rest)) {
		rest = rest[:n-4]
	}
	it := options{rest: rest}
	for it.next() {
		v := it.value
		switch it.code {
		case optProcName:
			setText(&proc.Name, v)
		case optProcPath:
			setText(&proc.Path, v)
		case optProcCmdline:
			// The arguments are separated, and as a rule ended, by NULs.
			args := bytes.ReplaceAll(bytes.TrimRight(v, "\x00"), []byte{0}, []byte{' '})
			setText(&proc.CommandLine, args)
		case optProcParent:
			if len(v) == 4 {
				proc.Parent = binary.LittleEndian.Uint32(v)
			}
		case optProcStart:
			if len(v) == 8 {
				proc.Start = int64(min(binary.LittleEndian.Uint64(v), math.MaxInt64))
			}
		}
	}
	fields["PID"] = strconv.FormatUint(uint64(proc.PID), 10)
	if proc.Name != "" {
		fields["NAME"] = proc.Name
	}
	p.addProcess(r, proc)
}
