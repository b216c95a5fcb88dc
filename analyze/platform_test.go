package analyze

import (
	"strings"
	"testing"

	"goproxytrace/analyze/diagnose"
	"goproxytrace/analyze/goproxy"
	"goproxytrace/capture"
)

func TestPlatform(t *testing.T) {
	const windowsWords = `Get "https://proxy.example/m": dial tcp 203.0.113.10:443: connectex: No connection could be made`
	for _, x := range []struct {
		name          string
		ttl           uint8
		file          string
		cards         []string
		words         string
		want          diagnose.Platform
		alien, target uint8 // time to live of a second client, of one of a host looked for
	}{
		{name: "nothing tells", want: diagnose.AnyPlatform},
		{name: "the file alone", file: "Linux 6.1.0", want: diagnose.Linux},
		{name: "as Linux begins", ttl: 64, file: "Linux 6.1.0", want: diagnose.Linux},
		{name: "the same on macOS", ttl: 64, file: "macOS 14.2, build 23C64", want: diagnose.Darwin},
		{name: "the same and no word of which", ttl: 64, want: diagnose.AnyPlatform},
		{name: "as Windows begins", ttl: 128, want: diagnose.Windows},
		{name: "Windows behind a Linux router", ttl: 127, file: "Linux 6.1.0", want: diagnose.Windows},
		{name: "Linux behind a Windows machine", ttl: 63, file: "64-bit Windows 11", want: diagnose.AnyPlatform},
		{name: "the interface before the writer", ttl: 64, file: "Linux 6.1.0", cards: []string{"macOS 14"}, want: diagnose.Darwin},
		{name: "files of two systems joined", cards: []string{"macOS 14", "Linux"}, want: diagnose.AnyPlatform},
		{name: "two kinds of clients", ttl: 64, alien: 128, file: "Linux", want: diagnose.AnyPlatform},
		{name: "two kinds, one of them asks a target", ttl: 64, target: 128, file: "Linux", want: diagnose.Windows},
		{name: "go's own words", ttl: 64, file: "Linux", words: windowsWords, want: diagnose.Windows},
		{name: "words of Linux and macOS", ttl: 64, words: "dial tcp 203.0.113.10:443: connect: connection refused", want: diagnose.AnyPlatform},
	} {
		w := newWire()
		w.info.OS = x.file
		w.info.Interfaces = nil
		for _, s := range x.cards {
			w.info.Interfaces = append(w.info.Interfaces, capture.Interface{LinkType: linkEthernet, OS: s})
		}
		talk := func(client, name string, ttl uint8) {
			if ttl > 0 {
				k := w.talk(client, healthServer)
				k.ttl = ttl
				k.connect().send(0, clientHello(name), 0)
			}
		}
		talk("192.0.2.1:1001", "a.example", x.ttl)
		talk("192.0.2.2:1002", "b.example", x.alien)
		talk("192.0.2.3:1003", "looked-for.example", x.target)
		o := Options{Targets: []string{"looked-for.example"}}
		if x.words != "" {
			var err error
			if o.GoOutput, err = goproxy.ReadOutput(strings.NewReader("go: m@v1.0.0: " + x.words + "\n")); err != nil {
				t.Fatal(err)
			}
		}
		if got := analyse(t, w, o).Platform; got != x.want {
			t.Errorf("%s: %q, want %q", x.name, got, x.want)
		}
	}
}
