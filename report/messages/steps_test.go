package messages

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"goproxytrace/analyze/diagnose"
)

// programs are those that steps may call on each platform.
var programs = map[diagnose.Platform][]string{
	diagnose.Linux: {
		"go", "goproxytrace", "openssl", "nc", "env", "grep", "nslookup", "nft", "journalctl", "ss", "tcpdump", "ip", "date", "cp", "update-ca-certificates", "top", "kill", "ps",
	},
	diagnose.Darwin: {
		"go", "goproxytrace", "openssl", "nc", "env", "grep", "nslookup", "pfctl", "systemextensionsctl", "netstat", "tcpdump", "route", "arp", "ifconfig", "date", "security",
		"top", "kill", "scutil", "ps",
	},
	diagnose.Windows: {
		"go", "goproxytrace", "openssl.exe", "dumpcap.exe", "Remove-Item", "set", "Test-NetConnection", "Get-ChildItem", "Where-Object", "nslookup", "netsh", "wevtutil",
		"(Get-MpPreference).EnableNetworkProtection", "Set-MpPreference", "Find-NetRoute", "Get-NetRoute", "Get-NetNeighbor", "w32tm", "certutil", "resmon",
		"Ctrl+Break", "Get-Process", "Format-List",
	},
}

var (
	quoted     = regexp.MustCompile("`([^`]+)`")
	inQuotes   = regexp.MustCompile(`"[^"]*"`)
	install    = regexp.MustCompile(`& "\$env:ProgramFiles\\[A-Za-z\\]+\\([a-z]+\.exe)"`)
	separators = regexp.MustCompile(`[;|&]+`)
	assign     = regexp.MustCompile(`^(\$env:)?[A-Z]+=`)
)

// called returns the programs that the commands of a step call.
func called(step string) (out []string) {
	for _, m := range quoted.FindAllStringSubmatch(step, -1) {
		command := inQuotes.ReplaceAllString(install.ReplaceAllString(m[1], "$1"), "TEXT")
		for _, part := range separators.Split(command, -1) {
			words := strings.Fields(part)
			for len(words) > 0 && (words[0] == "sudo" || words[0] == "TEXT" || assign.MatchString(words[0])) {
				words = words[1:]
			}
			if len(words) > 0 {
				out = append(out, words[0])
			}
		}
	}
	return out
}

// Every platform has its steps for every death, and none has another's.
func TestStepsByPlatform(t *testing.T) {
	found := map[string]bool{}
	for _, p := range diagnose.Platforms {
		for c, info := range diagnose.Classes {
			if c != diagnose.OK && len(English.Steps(info.NextSteps, p)) == 0 {
				t.Errorf("%s: nothing to do on %s", c, p)
			}
		}
		for id := range english.steps {
			for _, name := range called(English.Step(id, p)) {
				found[name] = true
				if !slices.Contains(programs[p], name) {
					t.Errorf("%s calls %s on %s", id, name, p)
				}
			}
		}
	}
	for p, list := range programs {
		for _, name := range list {
			if !found[name] {
				t.Errorf("no step calls %s, listed for %s", name, p)
			}
		}
	}
	for _, c := range []struct{ step, want string }{
		{"`GODEBUG=a=0 go mod download`", "go"}, {"`sudo nft list ruleset`", "nft"}, {"`ip route; ip neigh` (Linux)", "ip ip"},
		{"`" + `$env:A="b;c"; go env; Remove-Item Env:A` + "`", "go Remove-Item"}, {"`" + `"" | & "$env:ProgramFiles\Git\usr\bin\openssl.exe" s_client` + "`", "openssl.exe"},
	} {
		if got := strings.Join(called(c.step), " "); got != c.want {
			t.Errorf("%s calls %q, want %q", c.step, got, c.want)
		}
	}
}

// Where the platform is not known, the commands of all stand there.
func TestStepsOfNoPlatform(t *testing.T) {
	for id, text := range english.steps {
		all, s := English.Step(id, diagnose.AnyPlatform), stepCommands[id]
		if all == "" || strings.Contains(all, "{") {
			t.Errorf("%s: %q", id, all)
		}
		if strings.Contains(text, "{command}") != (s != commands{}) {
			t.Errorf("%s: text and commands do not go together", id)
		}
		for _, command := range []string{s.every, s.linux, s.darwin, s.windows, s.prompt} {
			if !strings.Contains(all, command) {
				t.Errorf("%s leaves out %s", id, command)
			}
			if strings.ContainsAny(command, "`{}") && !strings.Contains(command, "(Get-") {
				t.Errorf("%s: %q cannot stand between backquotes", id, command)
			}
		}
		for _, p := range diagnose.Platforms {
			if s.prompt != "" && strings.Contains(English.Step(id, p), s.prompt) != (p == diagnose.Windows) {
				t.Errorf("%s on %s: %s", id, p, English.Step(id, p))
			}
		}
	}
	if got := English.Step("next.unknown", diagnose.Linux); got != "next.unknown" {
		t.Errorf("got %q", got)
	}
}

// The cheapest control comes first where the handshake died in the network.
func TestSmallHelloFirst(t *testing.T) {
	for _, c := range []diagnose.Class{
		diagnose.TLSClientHelloLost, diagnose.TLSLargePacketsLost, diagnose.TLSNoServerHello, diagnose.TLSServerFlightStalled, diagnose.TLSReset, diagnose.TLSClosed,
	} {
		for _, p := range diagnose.Platforms {
			if list := English.Steps(diagnose.Classes[c].NextSteps, p); !strings.Contains(list[0], "tlsmlkem=0,tlssecpmlkem=0") {
				t.Errorf("%s on %s begins with %q", c, p, list[0])
			}
		}
	}
}

// falseAdvice are pieces of advice in circulation that are wrong or harmful.
var falseAdvice = []string{
	"GOEXPERIMENT", "-NetworkProtectionEnabled", "GONOSUMCHECK", "DisableRealtimeMonitoring", "Exclusion", "Get-MpThreatDetection", "1116",
	"GOSUMDB=off", "GOINSECURE", "ufw ", "DONT_VERIFY_PEER", "telnet", "InsecureSkipVerify", "curl", "perf trace", "promiscuous", "port 8080", "GOFLAGS=-insecure",
}

func TestNoFalseAdvice(t *testing.T) {
	all := maps.Clone(english.texts)
	for id := range english.steps {
		all[id] = English.Step(id, diagnose.AnyPlatform)
	}
	for id, s := range all {
		for _, bad := range falseAdvice {
			if strings.Contains(strings.ToLower(s), strings.ToLower(bad)) {
				t.Errorf("%s advises %q", id, bad)
			}
		}
	}
}

// The host of a verdict goes into the commands of control tests where it is a
// plain name or address; what a shell would read otherwise does not.
func TestProbeStepsNameTheHost(t *testing.T) {
	for host, want := range map[string]string{
		"goproxy.cn": "`goproxytrace probe --arms dns goproxy.cn`", "2001:db8::1": "`goproxytrace probe --arms dns 2001:db8::1`",
		"": "dns HOST`", "a;reboot": "dns HOST`", "$(id)": "dns HOST`", "`id`": "dns HOST`", "--yes": "dns HOST`", "a b": "dns HOST`", "代理": "dns HOST`",
	} {
		for _, l := range Languages {
			if s := l.Step("next.probe-lookup", diagnose.Linux, diagnose.Text("host", host)); !strings.Contains(s, want) {
				t.Errorf("%s, %q: %s", l, host, s)
			}
		}
	}
	if s := English.Step("next.other-resolver", diagnose.Linux, diagnose.Text("host", "goproxy.cn")); !strings.Contains(s, "HOST") {
		t.Errorf("another program's command: %s", s)
	}
}
