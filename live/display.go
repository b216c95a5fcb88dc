package live

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"goproxytrace/analyze"
	"goproxytrace/capture"
	"goproxytrace/live/screen"
)

// Display keeps a screen up to date.
type Display struct {
	Screen *screen.Screen
	// Phase says what the session waits for at the moment.
	Phase func() string
	// Counters are the engine's.
	Counters func() capture.Counters
	// Table is true where connections are listed if there is room.
	Table bool
	Now   func() time.Time

	mu      sync.Mutex
	view    analyze.View
	begin   time.Time
	painted string // the status, as of the last time
	viewed  bool   // packets or connections came since
}

// View takes the analysis' latest state.
func (d *Display) View(v *analyze.View) {
	d.mu.Lock()
	defer d.mu.Unlock()
	rows := d.view.Connections[:0]
	d.viewed = d.viewed || d.view.Packets != v.Packets || d.view.Finished != v.Finished
	d.view = *v
	d.view.Connections = append(rows, v.Connections...)
}

// Run repaints up to four times a second until done is closed, when something
// has changed that somebody sees, and leaves nothing behind.
func (d *Display) Run(done <-chan struct{}) {
	d.begin = d.Now()
	tick := time.NewTicker(pulse)
	defer tick.Stop()
	defer d.Screen.Close()
	for n := 0; ; n++ {
		// Where nothing is repainted a line is printed now and then.
		if _, rows := d.Screen.Room(); rows > 0 || n%calm == 0 {
			d.paint()
		}
		select {
		case <-done:
			return
		case <-tick.C:
		}
	}
}

func (d *Display) paint() {
	d.mu.Lock()
	now := d.Now()
	status := d.status(now)
	if status == d.painted && !d.viewed {
		d.mu.Unlock()
		return
	}
	d.painted, d.viewed = status, false
	columns, rows := d.Screen.Room()
	lines := []string{status}
	if d.Table && columns >= screen.TableColumns && rows >= screen.TableRows {
		lines = append(screen.Table(d.rows(now), columns, min(rows-3, 16)), status)
	}
	d.mu.Unlock()
	d.Screen.Show(lines, status)
}

// status is the one line that is always there.
func (d *Display) status(now time.Time) string {
	parts := []string{clock(now.Sub(d.begin))}
	if phase := d.Phase(); phase != "" {
		parts = append(parts, phase)
	}
	n := d.Counters()
	packets := fmt.Sprintf("%d packets", n.Received)
	if n.Dropped > 0 {
		packets += fmt.Sprintf(", %d dropped", n.Dropped)
	}
	parts = append(parts, packets)
	if c := d.watched(); c != nil && !d.Table {
		parts = append(parts, fmt.Sprintf("%s %s, quiet for %.0f s", host(c), c.Stage, quiet(c, now.UnixNano()).Seconds()))
	}
	return "goproxytrace: " + strings.Join(parts, "; ")
}

// watched is the open connection that tells most.
func (d *Display) watched() *analyze.ViewConnection {
	i := slices.IndexFunc(d.view.Connections, func(c analyze.ViewConnection) bool { return c.Stage != analyze.ViewDone && !c.Closed })
	if i < 0 {
		return nil
	}
	return &d.view.Connections[i]
}

func (d *Display) rows(now time.Time) []screen.Row {
	var out []screen.Row
	for i := range d.view.Connections {
		c := &d.view.Connections[i]
		r := screen.Row{
			Host: host(c), Stage: string(c.Stage), Bytes: c.FromClient + c.FromServer, Quiet: quiet(c, now.UnixNano()),
			Flags: strings.Join(flagsOf(c), " "),
		}
		if c.PID != 0 {
			r.Process = strings.TrimSpace(fmt.Sprintf("%s %d", c.Process, c.PID))
		}
		if c.Class != "" {
			r.Flags = string(c.Class)
		}
		out = append(out, r)
	}
	return out
}

func host(c *analyze.ViewConnection) string {
	if c.ServerName == "" {
		return c.Server
	}
	return c.ServerName
}

func clock(d time.Duration) string {
	s := int(max(d, 0).Seconds())
	return fmt.Sprintf("%d:%02d", s/60, s%60)
}
