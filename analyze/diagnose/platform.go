package diagnose

import (
	"strings"

	"goproxytrace/analyze/goproxy"
)

// Platform is an operating system for which next steps name commands.
type Platform string

// The platforms. The empty one stands for not known.
const (
	AnyPlatform Platform = ""
	Linux       Platform = "linux"
	Windows     Platform = "windows"
	Darwin      Platform = "darwin"
)

// Platforms lists those that a user may name.
var Platforms = []Platform{Linux, Windows, Darwin}

// windowsWords are what only Windows puts into a Go program's error texts: the
// names of the calls that failed, and the system's own sentences.
var windowsWords = []string{
	"connectex:", "wsarecv:", "wsasend:", "getaddrinfow:", "socket in a way forbidden by its access permissions",
	"forcibly closed by the remote host", "target machine actively refused", "did not properly respond after a period of time",
}

// PlatformOfText returns the platform that an error text of the go command
// speaks for. Linux and macOS use the same words, so that it is Windows or not
// known.
func PlatformOfText(out *goproxy.Output) Platform {
	if out == nil {
		return AnyPlatform
	}
	for i := range out.Statements {
		text := strings.ToLower(out.Statements[i].Text)
		for _, w := range windowsWords {
			if strings.Contains(text, w) {
				return Windows
			}
		}
	}
	return AnyPlatform
}

// PlatformOfSystem returns the platform that a capture file's description of
// its machine names.
func PlatformOfSystem(os string) Platform {
	os = strings.ToLower(os)
	for _, s := range []struct {
		word string
		p    Platform
	}{{"windows", Windows}, {"linux", Linux}, {"macos", Darwin}, {"mac os", Darwin}, {"darwin", Darwin}} {
		if strings.Contains(os, s.word) {
			return s.p
		}
	}
	return AnyPlatform
}

// Senders are the initial times to live that clients were seen to use.
type Senders struct{ unix, windows bool }

// Add takes the least time to live seen of a client. Windows begins with 128,
// Linux and macOS with 64; no path is longer than the gap between them.
func (s *Senders) Add(ttl uint8) {
	switch {
	case ttl > 64 && ttl <= 128:
		s.windows = true
	case ttl > 32 && ttl <= 64:
		s.unix = true
	}
}

// Platform joins what the packets and the capture file say: system is the
// machine that captured, which is not always the one that asks. Where the two
// differ, the packets count; where clients differ, none is named.
func (s Senders) Platform(system Platform) Platform {
	switch {
	case s.unix && s.windows:
		return AnyPlatform
	case s.windows:
		return Windows
	case s.unix && system == Windows:
		return AnyPlatform // Linux or macOS behind a Windows machine
	}
	return system
}
