package live

import (
	"encoding/json"
	"io"
	"slices"
	"sync"
	"time"

	"goproxytrace/analyze"
	"goproxytrace/capture"
)

// Events writes what happens in a session as NDJSON: one object a line, whose
// member "event" says what it is.
type Events struct {
	mu   sync.Mutex
	enc  *json.Encoder
	now  func() time.Time
	seen map[int64]string // a connection's state as last told
	err  error
}

// NewEvents writes to w. A nil *Events writes nothing.
func NewEvents(w io.Writer, now func() time.Time) *Events {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return &Events{enc: enc, now: now, seen: map[int64]string{}}
}

// Started is the event "start".
type Started struct {
	Mode       string   `json:"mode"` // "command" or "attach"
	Command    []string `json:"command,omitempty"`
	Interfaces []string `json:"interfaces"`
	Ports      []uint16 `json:"ports,omitempty"`
	Filter     string   `json:"filter,omitempty"`
	Engine     string   `json:"engine"`
	// Owners names the mechanism that finds owners.
	Owners string `json:"owners"`
	File   string `json:"file,omitempty"`
}

// Seen is the event "connection.opened", "connection.changed" or
// "connection.closed".
type Seen struct {
	ID         int64    `json:"id"`
	Client     string   `json:"client"`
	Server     string   `json:"server"`
	ServerName string   `json:"server_name,omitempty"`
	PID        uint32   `json:"pid,omitempty"`
	Process    string   `json:"process,omitempty"`
	Stage      string   `json:"stage"`
	FromClient uint64   `json:"from_client"`
	FromServer uint64   `json:"from_server"`
	Flags      []string `json:"flags,omitempty"`
	// Class is the verdict's once the connection is closed.
	Class string `json:"class,omitempty"`
	// QuietMS is the time since the last payload.
	QuietMS int64 `json:"quiet_ms"`
}

// Judged is the event "verdict", the last one.
type Judged struct {
	Class   string   `json:"class"`
	Stage   string   `json:"stage"`
	Place   []string `json:"place"`
	Level   string   `json:"level"`
	Summary string   `json:"summary"`
	// Exit is the command's exit code, absent where none was run; 128 and the
	// signal's number where a signal ended it.
	Exit     *int  `json:"exit,omitempty"`
	Captured int64 `json:"captured"`
	Received int64 `json:"received"`
	Dropped  int64 `json:"dropped"`
}

// Write writes an event with its time; body's members follow.
func (e *Events) Write(event string, body any) {
	if e == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.write(event, body)
}

func (e *Events) write(event string, body any) {
	if e.err != nil {
		return // the reader has gone
	}
	head := struct {
		Event string    `json:"event"`
		Time  time.Time `json:"time"`
		Body  any       `json:"body,omitempty"`
	}{event, e.now().UTC(), body}
	e.err = e.enc.Encode(head)
}

// Err is the first error of writing.
func (e *Events) Err() error {
	if e == nil {
		return nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.err
}

// View tells what has changed about the connections.
func (e *Events) View(v *analyze.View) {
	if e == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.now().UnixNano()
	for i := range v.Connections {
		c := &v.Connections[i]
		flags := flagsOf(c)
		state := string(c.Stage) + " " + c.ServerName + " " + c.Process
		for _, f := range flags {
			state += " " + f
		}
		before, known := e.seen[c.ID]
		if known && before == state {
			continue
		}
		if len(e.seen) >= maxOpen {
			clear(e.seen)
		}
		e.seen[c.ID] = state
		name := "connection.changed"
		switch {
		case c.Stage == analyze.ViewDone:
			name = "connection.closed"
		case !known:
			name = "connection.opened"
		}
		e.write(name, Seen{
			ID: c.ID, Client: c.Client, Server: c.Server, ServerName: c.ServerName, PID: c.PID, Process: c.Process,
			Stage: string(c.Stage), FromClient: c.FromClient, FromServer: c.FromServer, Flags: flags, Class: string(c.Class),
			QuietMS: quiet(c, now).Milliseconds(),
		})
	}
}

// flagsOf names what is unusual about a connection.
func flagsOf(c *analyze.ViewConnection) []string {
	var out []string
	for _, f := range []struct {
		is   bool
		name string
	}{{c.Reset, "reset"}, {c.ZeroWindow, "zero-window"}, {c.Retransmitted, "resent"}, {c.Closed && !c.Reset, "closed"}} {
		if f.is {
			out = append(out, f.name)
		}
	}
	return slices.Clip(out)
}

// quiet is the time since a connection's last payload, or since its start.
func quiet(c *analyze.ViewConnection, now int64) time.Duration {
	last := max(c.LastPayload, c.Start)
	if last == 0 || now < last {
		return 0
	}
	return capture.Timestamp(now).Sub(capture.Timestamp(last))
}
