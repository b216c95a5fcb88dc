package pcapfile

import (
	"fmt"
	"io"
	"maps"
	"math"
	"net/netip"
	"slices"
	"strings"
	"unicode/utf8"

	"goproxytrace/capture"
)

// SecretsTLSKeyLog is the type of secrets in the format of SSLKEYLOGFILE.
const SecretsTLSKeyLog = 0x544c534b

// WriterOptions describes a pcapng section.
type WriterOptions struct {
	// Hardware, OS and Application say where the capture was made; empty
	// ones are left out.
	Hardware, OS, Application string
	Comment                   string
	// BigEndian writes the section in big-endian byte order.
	BigEndian bool
}

// Writer writes a pcapng file of one section, with times in nanoseconds.
// Its methods must not be called concurrently. After an error of the
// underlying writer every call returns it.
type Writer struct {
	dst   io.Writer
	order order
	// block holds the blocks that dst has not got yet, the last of them
	// possibly under way; done is where that begins.
	block   []byte
	done    int
	ifaces  []capture.LinkType
	written int64
	err     error // of dst
}

// writeBytes is how much is collected before it is written.
const writeBytes = 64 << 10

// NewWriter begins a pcapng file. Without a dst all stays in memory until Take.
func NewWriter(dst io.Writer, opts WriterOptions) (*Writer, error) {
	w := &Writer{dst: dst, order: order(opts.BigEndian)}
	w.begin(blockSection)
	w.u32(byteOrderMagic)
	w.u16(1)
	w.u16(0)
	w.u64(math.MaxUint64) // the section's length is not known
	w.textOption(optComment, opts.Comment)
	w.textOption(optSectionHardware, opts.Hardware)
	w.textOption(optSectionOS, opts.OS)
	w.textOption(optSectionApplication, opts.Application)
	return w, w.endOptions()
}

// AddInterface describes the next interface; packets refer to it by the
// index returned. Of in, the names, filter, link type and snapshot length are
// written; the statistics are not (WriteStatistics).
func (w *Writer) AddInterface(in *capture.Interface) (int, error) {
	if len(w.ifaces) >= maxSectionInterfaces {
		return 0, fmt.Errorf("more than %d interfaces", maxSectionInterfaces)
	}
	w.begin(blockInterface)
	w.u16(uint16(in.LinkType))
	w.u16(0)
	w.u32(in.SnapLen)
	w.textOption(optIfName, in.Name)
	w.textOption(optIfDescription, in.Description)
	w.option(optIfTsresol, 9)
	if in.Filter != "" {
		w.textOption(optIfFilter, "\x00"+in.Filter)
	}
	w.textOption(optIfOS, in.OS)
	w.textOption(optIfHardware, in.Hardware)
	if err := w.endOptions(); err != nil {
		return 0, err
	}
	w.ifaces = append(w.ifaces, in.LinkType)
	return len(w.ifaces) - 1, nil
}

// WritePacket writes a frame with its direction, FCS length, owner, drop
// verdict and comment. A packet without time is written at time zero.
func (w *Writer) WritePacket(p *capture.Packet) error {
	if p.Kind != capture.KindFrame {
		return fmt.Errorf("record %d is no frame", p.Number)
	}
	if p.Interface < 0 || int(p.Interface) >= len(w.ifaces) {
		return fmt.Errorf("packet %d belongs to interface %d of %d", p.Number, p.Interface, len(w.ifaces))
	}
	if limit := maxFrameOf(w.ifaces[p.Interface]); uint64(len(p.Data)) > uint64(limit) {
		return fmt.Errorf("packet %d has %d bytes, more than %d", p.Number, len(p.Data), limit)
	}
	flags := uint32(0)
	switch p.Direction {
	case capture.Inbound:
		flags = 1
	case capture.Outbound:
		flags = 2
	}
	if p.FCSLen > 0 && p.FCSLen < 16 {
		flags |= uint32(p.FCSLen) << 5
	}
	w.packet(p)
	if flags == 0 && !p.Dropped && p.ProcessID == 0 && p.Comment == "" {
		return w.end()
	}
	// packet has made room.
	n := len(w.block)
	b := w.block[n : n+packetRoom]
	if flags != 0 {
		w.order.put16(b, optPacketFlags)
		w.order.put16(b[2:], 4)
		w.order.put32(b[4:], flags)
		b, n = b[8:], n+8
	}
	if p.ProcessID != 0 {
		w.order.put16(b, optPacketProcess)
		w.order.put16(b[2:], 8)
		w.order.put32(b[4:], p.ProcessID)
		w.order.put32(b[8:], 0) // the thread is not known
		n += 12
	}
	w.block = w.block[:n]
	if p.Dropped {
		w.header(optPacketVerdict, verdictLength)
		w.block = append(w.block, verdictXDP)
		w.u64(xdpDrop)
		w.pad()
	}
	if p.Comment != "" {
		w.textOption(optComment, cutText(p.Comment, maxComment))
	}
	return w.endOptions()
}

// packetHead is the length of an enhanced packet block up to its data,
// packetRoom that of all that may stand behind the data but for a comment.
const (
	packetHead = 28
	packetRoom = 64
)

// packet begins a packet's block, up to its options.
func (w *Writer) packet(p *capture.Packet) {
	n := len(p.Data)
	w.room(packetHead + n + len(padding) + packetRoom)
	b := w.block[w.done : w.done+packetHead+n+len(padding)]
	ts := uint64(0)
	if p.HasTime {
		ts = uint64(p.Time)
	}
	for i, v := range [packetHead / 4]uint32{
		blockEnhanced, 0, uint32(p.Interface), uint32(ts >> 32), uint32(ts), uint32(n), uint32(min(max(p.Length, 0), math.MaxInt32)),
	} {
		w.order.put32(b[4*i:], v)
	}
	copy(b[packetHead:], p.Data)
	clear(b[packetHead+n:])
	w.block = w.block[:w.done+packetHead+pad4(n)]
}

// room makes room for n bytes behind the blocks that are done. The memory grows
// faster than append has it grow: each size of it is new to the processor.
func (w *Writer) room(n int) {
	if have := cap(w.block); have-w.done < n {
		factor := 4
		if have >= 4<<20 {
			factor = 2
		}
		w.block = append(make([]byte, 0, max(factor*have, w.done+n)), w.block[:w.done]...)
	}
}

// WriteStatistics writes the counters of an interface as of at (Unix
// nanoseconds), taken from in.
func (w *Writer) WriteStatistics(index int, at int64, in *capture.Interface) error {
	if index < 0 || index >= len(w.ifaces) {
		return fmt.Errorf("statistics of interface %d of %d", index, len(w.ifaces))
	}
	w.begin(blockStatistics)
	w.u32(uint32(index))
	w.splitTime(at)
	for _, t := range [...]struct {
		code uint16
		ns   int64
	}{{optStatStart, in.Start}, {optStatEnd, in.End}} {
		if t.ns != 0 {
			w.header(t.code, 8)
			w.splitTime(t.ns)
		}
	}
	for _, c := range [...]struct {
		code  uint16
		value *uint64
	}{
		{optStatReceived, in.Received},
		{optStatDropped, in.Dropped},
		{optStatAccepted, in.FilterAccepted},
		{optStatOSDrop, in.OSDropped},
		{optStatDeliver, in.Delivered},
	} {
		if c.value != nil {
			w.header(c.code, 8)
			w.u64(*c.value)
		}
	}
	return w.endOptions()
}

// WriteProcess writes the number, name and path of a process, as Apple's tcpdump
// does.
func (w *Writer) WriteProcess(p *capture.Process) error {
	w.begin(blockProcess)
	w.u32(p.PID)
	w.textOption(optProcName, cutText(p.Name, maxText))
	w.textOption(optProcPath, cutText(p.Path, maxText))
	return w.endOptions()
}

// nameBlockBytes is the size from which on a name-resolution block is ended.
const nameBlockBytes = 64 << 10

// WriteNames writes resolved names, from address text to names.
func (w *Writer) WriteNames(names map[string][]string) error {
	w.begin(blockNames)
	open := false
	for _, key := range slices.Sorted(maps.Keys(names)) {
		addr, err := netip.ParseAddr(key)
		if err != nil {
			return fmt.Errorf("name of %q: %w", key, err)
		}
		typ, raw := uint16(nameIPv6), addr.AsSlice()
		if addr.Is4() {
			typ = nameIPv4
		}
		for _, name := range names[key] {
			if strings.IndexByte(name, 0) >= 0 || len(name) > maxText {
				return fmt.Errorf("name %.40q of %s: too long, or a NUL in it", name, key)
			}
			w.header(typ, len(raw)+len(name)+1)
			w.block = append(w.block, raw...)
			w.block = append(w.block, name...)
			w.block = append(w.block, 0)
			w.pad()
			open = true
			if len(w.block)-w.done > nameBlockBytes {
				if err := w.endOptions(); err != nil {
					return err
				}
				w.begin(blockNames)
				open = false
			}
		}
	}
	if !open {
		return nil
	}
	return w.endOptions()
}

// WriteSecrets writes a decryption-secrets block.
func (w *Writer) WriteSecrets(kind uint32, secrets []byte) error {
	if len(secrets) > maxRecord {
		return fmt.Errorf("%d bytes of secrets, more than %d", len(secrets), maxRecord)
	}
	w.begin(blockSecrets)
	w.u32(kind)
	w.u32(uint32(len(secrets)))
	w.block = append(w.block, secrets...)
	w.pad()
	return w.end()
}

// WriteJournal writes a journal entry (AppendJournal) as a systemd journal
// export block.
func (w *Writer) WriteJournal(at int64, fields map[string]string) error {
	w.begin(blockJournal)
	var err error
	if w.block, err = AppendJournal(w.block, at, fields); err != nil {
		return err
	}
	w.pad()
	return w.end()
}

// AppendJournal appends a journal entry of the time at (Unix nanoseconds,
// stored in microseconds) in systemd's journal export format: the content of
// a journal block. Field names consist of capitals, digits and underscores;
// values may hold any bytes.
func AppendJournal(b []byte, at int64, fields map[string]string) ([]byte, error) {
	if len(fields) >= maxJournalFields {
		return b, fmt.Errorf("a journal entry of %d fields, more than %d", len(fields), maxJournalFields-1)
	}
	size := 0
	for name, value := range fields {
		if !journalName(name) {
			return b, fmt.Errorf("journal field name %q", name)
		}
		if len(value) > maxFieldBytes {
			return b, fmt.Errorf("journal field %s of %d bytes, more than %d", name, len(value), maxFieldBytes)
		}
		size += len(name) + len(value) + 10
	}
	if size > maxEvent-256 {
		return b, fmt.Errorf("a journal entry of %d bytes, more than %d", size, maxEvent-256)
	}
	// The time goes first: readers look for its name, which may also occur
	// in a value.
	b = fmt.Appendf(b, "%s=%d\n", journalTime, max(at, 0)/1000)
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if name == journalTime {
			continue
		}
		value := fields[name]
		b = append(b, name...)
		if lineValue(value) {
			b = append(b, '=')
		} else {
			b = append(b, '\n')
			b = order(false).append64(b, uint64(len(value)))
		}
		b = append(b, value...)
		b = append(b, '\n')
	}
	return b, nil
}

// journalName holds names to journald's rules.
func journalName(s string) bool {
	if s == "" || len(s) > 64 || s[0] >= '0' && s[0] <= '9' {
		return false
	}
	for _, c := range []byte(s) {
		if c != '_' && (c < 'A' || c > 'Z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

// lineValue says whether a value can stand in a line as text.
func lineValue(s string) bool {
	for _, c := range []byte(s) {
		if c < ' ' && c != '\t' {
			return false
		}
	}
	return utf8.ValidString(s)
}

// Flush writes what is buffered.
func (w *Writer) Flush() error {
	if w.err == nil && w.done > 0 && w.dst != nil {
		_, w.err = w.dst.Write(w.block[:w.done])
		w.block, w.done = w.block[:0], 0
	}
	return w.err
}

// Take returns the blocks that dst has not got, which it then never gets. They
// are the caller's, and next is the Writer's, as memory for those that follow;
// it may be nil.
func (w *Writer) Take(next []byte) []byte {
	blocks := w.block[:w.done]
	w.block, w.done = next[:0], 0
	return blocks
}

// Written returns the bytes of the file so far, those buffered included.
func (w *Writer) Written() int64 { return w.written }

// begin starts a block, in the place of one that was not ended; end fills in
// its length. Blocks being multiples of 4 bytes, padding is the same from the
// first one's beginning.
func (w *Writer) begin(typ uint32) {
	w.block = w.order.append32(w.block[:w.done], typ)
	w.block = w.order.append32(w.block, 0)
}

func (w *Writer) u16(v uint16) { w.block = w.order.append16(w.block, v) }
func (w *Writer) u32(v uint32) { w.block = w.order.append32(w.block, v) }
func (w *Writer) u64(v uint64) { w.block = w.order.append64(w.block, v) }

func (w *Writer) splitTime(ns int64) {
	w.u32(uint32(uint64(ns) >> 32))
	w.u32(uint32(ns))
}

func (w *Writer) pad() {
	w.block = append(w.block, padding[:-len(w.block)&3]...)
}

var padding [3]byte

// header writes the code and length of an option or name record.
func (w *Writer) header(code uint16, n int) {
	w.u16(code)
	w.u16(uint16(n))
}

func (w *Writer) option(code uint16, value ...byte) {
	w.header(code, len(value))
	w.block = append(w.block, value...)
	w.pad()
}

func (w *Writer) textOption(code uint16, s string) {
	if s == "" {
		return
	}
	s = cutText(s, math.MaxUint16)
	w.header(code, len(s))
	w.block = append(w.block, s...)
	w.pad()
}

// cutText shortens a text to n bytes, between characters.
func cutText(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

func (w *Writer) endOptions() error {
	w.header(optEnd, 0)
	return w.end()
}

func (w *Writer) end() error {
	total := len(w.block) - w.done + 4
	w.u32(uint32(total))
	w.order.put32(w.block[w.done+4:], uint32(total))
	if w.err != nil {
		return w.err
	}
	w.done = len(w.block)
	w.written += int64(total)
	if w.done >= writeBytes {
		return w.Flush()
	}
	return nil
}
