package hostevents

import (
	"strconv"
	"strings"
	"time"
)

// maxData bounds the values of one event.
const maxData = 128

// event is one record of a Windows event log: what stands in its System and its
// EventData or UserData elements.
type event struct {
	provider string
	id       int
	time     int64 // Unix nanoseconds, zero where unknown
	data     []attribute
}

// get returns the value of a name, trimmed; empty where there is none.
func (e *event) get(names ...string) string {
	for _, name := range names {
		for i := range e.data {
			if strings.EqualFold(e.data[i].name, name) {
				return strings.TrimSpace(e.data[i].value)
			}
		}
	}
	return ""
}

// number returns a value in decimal, or in hexadecimal with 0x before it.
func (e *event) number(names ...string) uint64 {
	n, _ := strconv.ParseUint(e.get(names...), 0, 64)
	return n
}

// eventReader makes events of Event elements.
type eventReader struct {
	emit func(*event)
	// path are the names of the open elements from Event on.
	path []string
	ev   event
	name string // of the Data element that is open
	val  builder
}

func (r *eventReader) start(name string, attrs []attribute) {
	if len(r.path) == 0 {
		if name != "Event" {
			return
		}
		r.ev = event{data: r.ev.data[:0]}
	}
	r.path = append(r.path, name)
	r.val.reset()
	switch {
	case r.at("System", "Provider"):
		r.ev.provider = value(attrs, "Name")
	case r.at("System", "TimeCreated"):
		r.ev.time = parseTime(value(attrs, "SystemTime"))
	default:
		r.name = name
		if name == "Data" {
			r.name = value(attrs, "Name")
		}
	}
}

func (r *eventReader) text(s string) {
	if len(r.path) > 0 {
		r.val.add(s)
	}
}

func (r *eventReader) end(string) {
	if len(r.path) == 0 {
		return
	}
	switch {
	case r.at("System", "EventID"):
		r.ev.id, _ = strconv.Atoi(strings.TrimSpace(string(r.val.b)))
	case len(r.path) >= 3 && (r.path[1] == "EventData" || r.path[1] == "UserData") && r.name != "" && len(r.ev.data) < maxData:
		r.ev.data = append(r.ev.data, attribute{r.name, string(r.val.b)})
	}
	r.name = ""
	r.val.reset()
	if r.path = r.path[:len(r.path)-1]; len(r.path) == 0 {
		r.emit(&r.ev)
	}
}

// at reports whether the open elements are Event and these.
func (r *eventReader) at(names ...string) bool {
	if len(r.path) != len(names)+1 {
		return false
	}
	for i, n := range names {
		if r.path[i+1] != n {
			return false
		}
	}
	return true
}

func value(attrs []attribute, name string) string {
	for _, a := range attrs {
		if a.name == name {
			return a.value
		}
	}
	return ""
}

// The forms of time in event logs, all of them UTC unless they say otherwise.
var timeForms = []string{time.RFC3339Nano, "2006-01-02 15:04:05.999999999", "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999Z07:00"}

// parseTime returns a time in Unix nanoseconds, zero where it is none.
func parseTime(s string) int64 {
	s = strings.TrimSpace(s)
	for _, form := range timeForms {
		if t, err := time.Parse(form, s); err == nil && t.Year() >= 1971 && t.Year() < 2262 {
			return t.UnixNano()
		}
	}
	return 0
}
