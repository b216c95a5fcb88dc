package hostevents

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"

	"goproxytrace/capture/hostlog"
)

// Bounds on one journal entry.
const (
	maxFields     = 512
	maxFieldBytes = 64 << 10
)

// isJournalExport reports whether a file is in the journal export format:
// systemd writes each entry's cursor first, and other trusted fields have two
// underscores too.
func isJournalExport(head []byte) bool {
	line, _, _ := bytes.Cut(head, []byte("\n"))
	name, _, ok := bytes.Cut(line, []byte("="))
	return ok && (string(name) == "__CURSOR" || string(name) == "__REALTIME_TIMESTAMP")
}

// journalExport reads entries in systemd's Journal Export Format: lines
// NAME=value, or NAME, a length of 64 bits and so many bytes; an empty line
// ends an entry.
func (l *Log) journalExport(r *bufio.Reader) error {
	l.seen = true
	fields := make(map[string]string)
	var at int64
	for {
		line, err := r.ReadSlice('\n')
		begin := at
		at += int64(len(line))
		if errors.Is(err, bufio.ErrBufferFull) {
			// No field that is looked at has a line as long as that.
			n, skipErr := skipLine(r)
			at += n
			if err = skipErr; err == nil {
				continue
			}
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		last := err != nil
		line = bytes.TrimSuffix(line, []byte("\n"))
		if name, value, ok := bytes.Cut(line, []byte("=")); ok {
			keep(fields, string(name), value)
		} else if len(line) > 0 && !last {
			var size [8]byte
			if _, err := io.ReadFull(r, size[:]); err != nil {
				l.broken(begin, "a field without its length")
				return nil
			}
			n := binary.LittleEndian.Uint64(size[:])
			value, err := field(r, n)
			if err != nil {
				l.broken(begin, "a field of %d bytes is cut", n)
				return nil
			}
			at += 9 + int64(n)
			keep(fields, string(line), value)
		}
		if len(line) == 0 || last {
			if len(fields) > 0 {
				l.entry(fields)
				clear(fields)
			}
			if last || l.full {
				return nil
			}
		}
	}
}

func skipLine(r *bufio.Reader) (n int64, err error) {
	for {
		line, err := r.ReadSlice('\n')
		n += int64(len(line))
		if !errors.Is(err, bufio.ErrBufferFull) {
			return n, err
		}
	}
}

// field reads a binary field with the line end behind it; of a long one only the
// beginning is kept.
func field(r *bufio.Reader, n uint64) ([]byte, error) {
	if n > 1<<40 {
		return nil, io.ErrUnexpectedEOF
	}
	value := make([]byte, min(n, maxFieldBytes))
	if _, err := io.ReadFull(r, value); err != nil {
		return nil, err
	}
	_, err := io.CopyN(io.Discard, r, int64(n)-int64(len(value))+1)
	return value, err
}

func keep(fields map[string]string, name string, value []byte) {
	if len(fields) < maxFields && len(name) <= maxName {
		fields[name] = string(value[:min(len(value), maxFieldBytes)])
	}
}

// entry takes a journal entry: goproxytrace's own, or a line of the kernel. What
// another program logged is not the kernel's word, whatever it says.
func (l *Log) entry(fields map[string]string) {
	l.seen = true
	if _, own := fields[hostlog.KindField]; own {
		if r, err := hostlog.Parse(fields); err == nil {
			l.take(r)
		}
		return
	}
	us, err := strconv.ParseInt(fields["__REALTIME_TIMESTAMP"], 10, 64)
	if err != nil || us <= 0 || us > 1<<53 {
		return
	}
	if fields["_TRANSPORT"] == "kernel" {
		l.packetLine(us*1000, fields["MESSAGE"])
	}
}

// jsonEntry reads one line of journalctl -o json.
func (l *Log) jsonEntry(at int64, line []byte) {
	var values map[string]any
	if err := json.Unmarshal(line, &values); err != nil {
		l.broken(at, "no journal entry: %v", err)
		return
	}
	fields := make(map[string]string)
	for name, v := range values {
		switch v := v.(type) {
		case string:
			keep(fields, name, []byte(v))
		case []any: // bytes that are no text
			b := make([]byte, 0, len(v))
			for _, c := range v {
				n, ok := c.(float64)
				if !ok {
					break
				}
				b = append(b, byte(n))
			}
			keep(fields, name, b)
		}
	}
	if _, dated := fields["__REALTIME_TIMESTAMP"]; dated {
		l.entry(fields)
	}
}

// lines reads JSON lines and lines of the kernel's log.
func (l *Log) lines(t *textReader) error {
	t.limit = maxToken
	var buf []byte
	for !l.full {
		at := t.read
		line, err := t.line(buf)
		buf = line
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, errLong):
			l.broken(at, "%v", err)
			return nil
		case err != nil:
			return err
		}
		if trimmed := bytes.TrimSpace(line); len(trimmed) > 0 && trimmed[0] == '{' {
			l.jsonEntry(at, trimmed)
			continue
		}
		l.logLine(string(line))
	}
	return nil
}

// logLine takes a line with a full date at its beginning, as rsyslog and dmesg
// write it: "2026-01-02T15:04:05.000000+00:00 host kernel: ...", or with a comma
// and without host and name. Lines without a year cannot be placed.
func (l *Log) logLine(line string) {
	stamp, rest, ok := strings.Cut(strings.TrimSpace(line), " ")
	if !ok {
		return
	}
	at := parseTime(strings.Replace(stamp, ",", ".", 1))
	if at == 0 {
		return
	}
	// Behind the date stand a host and "kernel:", or the message itself.
	if _, message, named := strings.Cut(rest, " kernel: "); named && strings.Count(rest[:len(rest)-len(message)], " ") == 2 {
		rest = strings.TrimSpace(message)
		if strings.HasPrefix(rest, "[") { // seconds since the system started
			if _, behind, ok := strings.Cut(rest, "] "); ok && !strings.ContainsAny(rest[:len(rest)-len(behind)], "=:") && bootTime(rest) {
				rest = behind
			}
		}
	} else if !strings.Contains(stamp, ",") {
		return // of a program, not of the kernel
	}
	l.seen = true
	l.packetLine(at, rest)
}

// bootTime reports whether s begins with "[  123.456789]".
func bootTime(s string) bool {
	end := strings.IndexByte(s, ']')
	return end > 0 && strings.Trim(s[1:end], " .0123456789") == ""
}
