package analyze

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"sort"
	"strconv"

	"goproxytrace/analyze/decode"
	"goproxytrace/analyze/dnswire"
	"goproxytrace/analyze/tcpflow"
	"goproxytrace/analyze/tlswire"
	"goproxytrace/capture"
)

// FramesHeader is the first line of WriteFrames' output.
const FramesHeader = "frame\tstream\tflags\tsni\thandshake\tja3\talert\n"

// frameLine is the line of one TCP segment.
type frameLine struct {
	frame  int64
	stream int64
	flags  tcpflow.Flags
	tls    int32 // index into frameTable.tls plus one, zero for none
}

type frameTLS struct {
	sni       []string
	handshake []uint8
	ja3       []string
	alerts    []uint8
}

// frameTable collects the lines of one capture. A handshake message that
// waits for bytes out of order is reported on the frame that holds its last
// byte, which may lie behind; lines are therefore kept until the end.
type frameTable struct {
	lines    []frameLine
	hidden   map[int64]struct{} // streams outside the view
	messages []frameMessage     // those whose line may not be there yet
	tls      []frameTLS
}

type frameMessage struct {
	stream, frame int64
	tlswire.Message
}

func (t *frameTable) add(frame, stream int64, flags tcpflow.Flags) {
	t.lines = append(t.lines, frameLine{frame: frame, stream: stream, flags: flags})
	t.settle()
}

// settle puts the messages that wait on their lines. A message is larger than
// what a line keeps of it: kept until the end, tiny ones would take many times
// the memory of the capture.
func (t *frameTable) settle() {
	for i := range t.messages {
		t.attach(&t.messages[i])
	}
	clear(t.messages)
	t.messages = t.messages[:0]
}

// message keeps a TLS message for the line of its frame and stream.
func (t *frameTable) message(stream, frame int64, m tlswire.Message) {
	if m.Kind == tlswire.KindHandshake || m.Kind == tlswire.KindAlert {
		t.messages = append(t.messages, frameMessage{stream, frame, m})
	}
}

// attach puts a message on the line of its frame and stream.
func (t *frameTable) attach(m *frameMessage) {
	stream, frame := m.stream, m.frame
	i := sort.Search(len(t.lines), func(i int) bool { return t.lines[i].frame >= frame })
	for i < len(t.lines) && t.lines[i].frame == frame && t.lines[i].stream != stream {
		i++
	}
	if i == len(t.lines) || t.lines[i].frame != frame {
		return
	}
	l := &t.lines[i]
	if l.tls == 0 {
		t.tls = append(t.tls, frameTLS{})
		l.tls = int32(len(t.tls))
	}
	f := &t.tls[l.tls-1]
	if m.Kind == tlswire.KindAlert {
		f.alerts = append(f.alerts, m.Alert)
		return
	}
	f.handshake = append(f.handshake, m.Type)
	if h := m.ClientHello; h != nil {
		f.sni = append(f.sni, h.ServerNames...)
		if h.JA3Hash != "" {
			f.ja3 = append(f.ja3, h.JA3Hash)
		}
	}
}

// write prints the header and all lines.
func (t *frameTable) write(w io.Writer) error {
	bw := bufio.NewWriterSize(w, 64<<10)
	if _, err := bw.WriteString(FramesHeader); err != nil {
		return err
	}
	t.settle()
	var b []byte
	for i := range t.lines {
		if _, hidden := t.hidden[t.lines[i].stream]; hidden {
			continue
		}
		b = t.appendLine(b[:0], &t.lines[i])
		if _, err := bw.Write(b); err != nil {
			return err
		}
	}
	return bw.Flush()
}

func (t *frameTable) appendLine(b []byte, l *frameLine) []byte {
	b = strconv.AppendInt(b, l.frame, 10)
	b = append(b, '\t')
	b = strconv.AppendInt(b, l.stream, 10)
	b = append(b, '\t')
	b = l.flags.Append(b)
	if l.tls == 0 {
		return append(b, "\t\t\t\t\n"...)
	}
	f := &t.tls[l.tls-1]
	b = append(b, '\t')
	for i, s := range f.sni {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendFrameValue(b, s)
	}
	b = append(b, '\t')
	b = appendNumbers(b, f.handshake)
	b = append(b, '\t')
	for i, s := range f.ja3 {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, s...)
	}
	b = append(b, '\t')
	b = appendNumbers(b, f.alerts)
	return append(b, '\n')
}

func appendNumbers(b []byte, l []uint8) []byte {
	for i, n := range l {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendUint(b, uint64(n), 10)
	}
	return b
}

// appendFrameValue appends s with tab, newline, comma, backslash, control and
// non-ASCII bytes written \xNN, so that a line stays a line on any terminal.
func appendFrameValue(b []byte, s string) []byte {
	const digits = "0123456789abcdef"
	for i := range len(s) {
		c := s[i]
		if c < 0x20 || c >= 0x7f || c == ',' || c == '\\' {
			b = append(b, '\\', 'x', digits[c>>4], digits[c&15])
			continue
		}
		b = append(b, c)
	}
	return b
}

// frameHandler feeds the TLS readers of a frame table. It keeps no facts.
type frameHandler struct {
	opts  Options
	names addressNames
	table frameTable
	conns *tcpflow.Table
}

func (h *frameHandler) app(c *tcpflow.Conn) *app {
	if a, ok := c.User.(*app); ok {
		return a
	}
	a := &app{tls: tlswire.New()}
	id := c.ID
	a.tls.OnMessage = func(_ int, frame int64, m tlswire.Message) { h.table.message(id, frame, m) }
	c.User = a
	return a
}

func (h *frameHandler) Data(c *tcpflow.Conn, d uint8, at tcpflow.Point, b []byte, start bool) {
	h.app(c).data(d, at, b, start)
	if start && opensVNC(c, b) {
		h.conns.Split(c)
	}
}

// opensVNC reports whether Wireshark's VNC dissector, which recognises the
// protocol version message by content outside its own ports, takes b for the
// beginning of a session: it then makes a second conversation (tcp.stream) of
// what follows on the same tuple.
func opensVNC(c *tcpflow.Conn, b []byte) bool {
	if c.Continued || len(b) != 12 || !bytes.EqualFold(b[:4], []byte("RFB ")) || b[7] != '.' {
		return false
	}
	for _, e := range c.End {
		switch e.Port {
		case 5500, 5501, 5900, 5901:
			return false
		}
	}
	return true
}

func (h *frameHandler) Missing(c *tcpflow.Conn, d uint8, at tcpflow.Point, n uint32) {
	h.app(c).missing(d, at, n)
}

// Done leaves out connections that Options.Hosts and Options.Ports do not name.
func (h *frameHandler) Done(c *tcpflow.Conn) {
	if len(h.opts.Hosts)+len(h.opts.Ports) == 0 {
		return
	}
	name := ""
	if a, ok := c.User.(*app); ok {
		a.finish()
		name = a.serverName(a.tls.Facts())
	}
	if name == "" {
		name = h.names[c.ServerEnd().Addr]
	}
	if !h.opts.inView(c, name) {
		h.table.hidden[c.ID] = struct{}{}
	}
}

// WriteFrames writes one tab-separated line for each TCP segment of src to w:
// frame, stream, findings and TLS facts (analyze --frames), of the connections
// that o.Hosts and o.Ports leave in view. Streams are numbered from 0 in order
// of appearance. What was read before an error of src is written before that
// error is returned.
func WriteFrames(ctx context.Context, src capture.Source, w io.Writer, o Options) error {
	h := &frameHandler{opts: o, names: make(addressNames)}
	h.table.hidden = make(map[int64]struct{})
	t := tcpflow.NewTable(h, tcpflow.Options{KeepAll: true})
	h.conns = t
	lookups := dnswire.Tracker{Done: h.names.learn}
	err := forEachBatch(ctx, src, decode.New(), &o, func(w *work) {
		for i := range w.segments {
			switch s := &w.segments[i]; s.Proto {
			case decode.ProtoTCP:
				c, _, flags := t.Segment(s)
				h.table.add(s.Frame, c.ID, flags)
			case decode.ProtoUDP:
				feedLookup(&lookups, s)
			}
		}
	})
	lookups.Flush()
	t.Finish()
	return errors.Join(h.table.write(w), err)
}
