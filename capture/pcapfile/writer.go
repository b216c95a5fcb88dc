package pcapfile

import (
	"bufio"
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
	w       *bufio.Writer
	order   order
	block   []byte
	ifaces  []capture.LinkType
	written int64
}

// NewWriter begins a pcapng file.
func NewWriter(dst io.Writer, opts WriterOptions) (*Writer, error) {
	w := &Writer{w: bufio.NewWriterSize(dst, 64<<10), order: order(opts.BigEndian)}
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
	var ts uint64
	if p.HasTime {
		ts = uint64(p.Time)
	}
	w.begin(blockEnhanced)
	w.u32(uint32(p.Interface))
	w.u32(uint32(ts >> 32))
	w.u32(uint32(ts))
	w.u32(uint32(len(p.Data)))
	w.u32(uint32(min(max(p.Length, 0), math.MaxInt32)))
	w.block = append(w.block, p.Data...)
	w.pad()
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
	any := false
	if flags != 0 {
		any = true
		w.header(optPacketFlags, 4)
		w.u32(flags)
	}
	if p.Dropped {
		any = true
		w.header(optPacketVerdict, verdictLength)
		w.block = append(w.block, verdictXDP)
		w.u64(xdpDrop)
		w.pad()
	}
	if p.ProcessID != 0 {
		any = true
		w.header(optPacketProcess, 8)
		w.u32(p.ProcessID)
		w.u32(0) // the thread is not known
	}
	if p.Comment != "" {
		any = true
		w.textOption(optComment, cutText(p.Comment, maxComment))
	}
	if any {
		return w.endOptions()
	}
	return w.end()
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
			if len(w.block) > nameBlockBytes {
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

// WriteJournal writes a journal entry of the time at (Unix nanoseconds,
// stored in microseconds) as a systemd journal export block. Field names
// consist of capitals, digits and underscores; values may hold any bytes.
func (w *Writer) WriteJournal(at int64, fields map[string]string) error {
	if len(fields) >= maxJournalFields {
		return fmt.Errorf("a journal entry of %d fields, more than %d", len(fields), maxJournalFields-1)
	}
	size := 0
	for name, value := range fields {
		if !journalName(name) {
			return fmt.Errorf("journal field name %q", name)
		}
		if len(value) > maxFieldBytes {
			return fmt.Errorf("journal field %s of %d bytes, more than %d", name, len(value), maxFieldBytes)
		}
		size += len(name) + len(value) + 10
	}
	if size > maxEvent-256 {
		return fmt.Errorf("a journal entry of %d bytes, more than %d", size, maxEvent-256)
	}
	w.begin(blockJournal)
	// The time goes first: readers look for its name, which may also occur
	// in a value.
	w.block = fmt.Appendf(w.block, "%s=%d\n", journalTime, max(at, 0)/1000)
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if name == journalTime {
			continue
		}
		value := fields[name]
		w.block = append(w.block, name...)
		if lineValue(value) {
			w.block = append(w.block, '=')
		} else {
			w.block = append(w.block, '\n')
			w.block = order(false).append64(w.block, uint64(len(value)))
		}
		w.block = append(w.block, value...)
		w.block = append(w.block, '\n')
	}
	w.pad()
	return w.end()
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
func (w *Writer) Flush() error { return w.w.Flush() }

// Written returns the bytes of the file so far, those buffered included.
func (w *Writer) Written() int64 { return w.written }

// begin starts a block; end fills in its length.
func (w *Writer) begin(typ uint32) {
	w.block = w.order.append32(w.block[:0], typ)
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
	for len(w.block)%4 != 0 {
		w.block = append(w.block, 0)
	}
}

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
	total := len(w.block) + 4
	w.u32(uint32(total))
	w.order.append32(w.block[:4], uint32(total))
	n, err := w.w.Write(w.block)
	w.written += int64(n)
	return err
}
