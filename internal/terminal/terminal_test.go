package terminal

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/olekukonko/tablewriter/pkg/twwidth"
)

func env(pairs ...string) func(string) string {
	return func(k string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == k {
				return pairs[i+1]
			}
		}
		return ""
	}
}

func TestColor(t *testing.T) {
	tests := []struct {
		name string
		mode ColorMode
		env  func(string) string
		want bool
	}{
		{"a pipe gets none", Auto, env(), false},
		{"always", Always, env(), true},
		{"always outranks NO_COLOR", Always, env("NO_COLOR", "1"), true},
		{"CLICOLOR_FORCE", Auto, env("CLICOLOR_FORCE", "1"), true},
		{"CLICOLOR_FORCE=0 forces nothing", Auto, env("CLICOLOR_FORCE", "0"), false},
		{"NO_COLOR outranks CLICOLOR_FORCE", Auto, env("CLICOLOR_FORCE", "1", "NO_COLOR", "1"), false},
		{"an empty NO_COLOR counts as unset", Auto, env("CLICOLOR_FORCE", "1", "NO_COLOR", ""), true},
		{"never outranks CLICOLOR_FORCE", Never, env("CLICOLOR_FORCE", "1"), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := Detect(new(bytes.Buffer), tt.mode, tt.env)
			if o.Color != tt.want || o.Terminal {
				t.Errorf("Detect = %+v, want colour %v", o, tt.want)
			}
			if painted := o.Paint(Red, "x") != "x"; painted != tt.want {
				t.Errorf("Paint paints: %v, want %v", painted, tt.want)
			}
		})
	}
	for _, s := range []string{"auto", "always", "never", ""} {
		if _, err := ParseColorMode(s); err != nil {
			t.Error(err)
		}
	}
	if _, err := ParseColorMode("\x1b[1m"); err == nil || strings.Contains(err.Error(), "\x1b") {
		t.Errorf("ParseColorMode of an escape sequence: %v", err)
	}
}

func TestColumns(t *testing.T) {
	for v, want := range map[string]int{"": PipeColumns, "80": 80, "10": MinColumns, "-3": PipeColumns, "x": PipeColumns, "99999": 400} {
		if o := Detect(new(bytes.Buffer), Auto, env("COLUMNS", v)); o.Columns != want {
			t.Errorf("COLUMNS=%q: %d columns, want %d", v, o.Columns, want)
		}
	}
}

func TestShorten(t *testing.T) {
	tests := []struct {
		in   string
		n    int
		want string
	}{
		{"goproxy.cn", 10, "goproxy.cn"}, {"goproxy.cn", 9, "goproxy.~"}, {"包裹包裹", 8, "包裹包裹"},
		{"包裹包裹", 7, "包裹包~"}, {"包裹包裹", 6, "包裹~"}, {"abc", 1, "~"}, {"abc", 0, ""},
	}
	for _, tt := range tests {
		if got := Shorten(tt.in, tt.n); got != tt.want {
			t.Errorf("Shorten(%q, %d) = %q, want %q", tt.in, tt.n, got, tt.want)
		}
	}
}

func TestWrap(t *testing.T) {
	got := Wrap("one two three averyveryverylongword four", 12, "  - ", "    ")
	want := "  - one two\n    three\n    averyveryverylongword\n    four"
	if got != want {
		t.Errorf("Wrap = %q, want %q", got, want)
	}
}

func TestWrapChinese(t *testing.T) {
	twwidth.SetEastAsian(false) // whatever the terminal that tests run in
	for _, tt := range []struct {
		in    string
		width int
		want  string
	}{
		{"握手已经完成。", 8, "握手已经|完成。"},
		// No line begins with what closes.
		{"握手已完成，然后", 10, "握手已完|成，然后"},
		{"握手已完成”，然后", 10, "握手已完|成”，然后"},
		{"说（即这里）完", 8, "说（即这|里）完"},
		// None ends with what opens.
		{"握手时（PID 20）结束", 8, "握手时|（PID|20）结束"},
		{"他说“握手”了", 6, "他说|“握手”|了"},
		// Words of other scripts stay whole, beside Chinese ones too.
		{"连接 proxy.example 的", 14, "连接|proxy.example|的"},
		{"连接proxy.example的", 14, "连接|proxy.example|的"},
		{"位于3.14之后", 8, "位于3.14|之后"},
		{"it’s “quoted” – done…", 5, "it’s|“quoted”|–|done…"},
		{"用 `go mod` 再试", 10, "用 `go|mod` 再试"},
	} {
		got := strings.ReplaceAll(Wrap(tt.in, tt.width, "", ""), "\n", "|")
		if got != tt.want {
			t.Errorf("%q in %d columns: %q, want %q", tt.in, tt.width, got, tt.want)
		}
	}
	// The same text at every width: nothing is lost, no line is too wide or
	// begins with what closes.
	const text = "与 proxy.example（203.0.113.10:443）的 TLS 握手失败：其 ClientHello 已被确认，但在 10.0 秒内始终没有应答；“网络”或“远端”都有可能……"
	for width := 16; width < 130; width++ {
		lines := strings.Split(Wrap(text, width, "  - ", "    "), "\n")
		joined := strings.ReplaceAll(strings.Join(lines, ""), " ", "")
		if joined != strings.ReplaceAll("-"+text, " ", "") {
			t.Errorf("%d columns: %q", width, lines)
		}
		for _, l := range lines {
			body := strings.TrimLeft(l, " -")
			if n := Width(l); n > width && strings.ContainsFunc(body, ideographic) && !strings.Contains(body, "203.0.113.10") {
				t.Errorf("%d columns: line of %d: %q", width, n, l)
			}
			if r := []rune(body); strings.ContainsRune("，。、；：！？）”…", r[0]) {
				t.Errorf("%d columns: a line begins with %c", width, r[0])
			}
		}
	}
}

func TestStatus(t *testing.T) {
	var b bytes.Buffer
	now := time.Unix(0, 0)
	s := newStatus(&b, 40, "a-capture-with-quite-a-long-name.pcapng", func() time.Time { return now })
	now = now.Add(900 * time.Millisecond)
	s.Update(10e6, 100e6)
	if b.Len() > 0 {
		t.Errorf("shown before a second is over: %q", b.String())
	}
	now = now.Add(1100 * time.Millisecond)
	s.Update(50e6, 100e6)
	if got := b.String(); !strings.Contains(got, "50%  25 MB/s") || Width(strings.Trim(got, "\r")) > 39 {
		t.Errorf("status line %q", got)
	}
	b.Reset()
	s.Update(51e6, 100e6)
	if b.Len() > 0 {
		t.Errorf("updated at once: %q", b.String())
	}
	s.Clear()
	if got := b.String(); strings.Trim(got, "\r ") != "" || !strings.HasSuffix(got, "\r") {
		t.Errorf("Clear wrote %q", got)
	}
	now = now.Add(time.Second)
	b.Reset()
	s.Update(60e6, 0)
	if got := b.String(); !strings.Contains(got, "60 MB  20 MB/s") {
		t.Errorf("status line of a pipe %q", got)
	}
	var none *Status
	none.Update(1, 2)
	none.Clear()
	if NewStatus(&b, Output{}, "x") != nil {
		t.Error("a pipe gets a status line")
	}
}

func TestIsBrokenPipe(t *testing.T) {
	if !IsBrokenPipe(fmt.Errorf("write: %w", &os.PathError{Err: syscall.EPIPE})) || !IsBrokenPipe(io.ErrClosedPipe) {
		t.Error("a broken pipe is not recognised")
	}
	if IsBrokenPipe(errors.New("disk full")) || IsBrokenPipe(nil) || IsBrokenPipe(io.EOF) {
		t.Error("another error is taken for a broken pipe")
	}
}
