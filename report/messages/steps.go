package messages

import (
	"strings"

	"goproxytrace/analyze/diagnose"
)

// commands are one step's commands by platform. A platform without one has no
// such step, unless every is set.
type commands struct {
	every         string
	linux, darwin string
	// windows is for PowerShell, prompt for the command prompt where that
	// takes another one.
	windows, prompt string
}

// on returns the command for a platform, and all of them, each with where it
// is for, where the platform is not known. Backquotes say where a command
// begins and ends.
func (c *commands) on(p diagnose.Platform, words *catalogue) string {
	if c.every != "" {
		return "`" + c.every + "`"
	}
	var parts []string
	add := func(command, where string) {
		switch {
		case command == "":
		case where == "":
			parts = append(parts, "`"+command+"`")
		default:
			parts = append(parts, words.fill(words.labels["step.command-on"], []diagnose.Value{diagnose.Text("command", "`"+command+"`"), diagnose.Text("system", where)}))
		}
	}
	switch p {
	case diagnose.Linux:
		add(c.linux, "")
	case diagnose.Darwin:
		add(c.darwin, "")
	case diagnose.Windows:
		if c.prompt == "" {
			add(c.windows, "")
			break
		}
		add(c.windows, "PowerShell")
		add(c.prompt, words.labels["step.command-prompt"])
	default:
		if c.linux == c.darwin {
			add(c.linux, words.labels["step.linux-macos"])
		} else {
			add(c.linux, "Linux")
			add(c.darwin, "macOS")
		}
		add(c.windows, words.labels["step.windows-powershell"])
		add(c.prompt, words.labels["step.windows-command-prompt"])
	}
	return strings.Join(parts, words.labels["step.or"])
}

// Step returns the sentence of a next step with the commands for a platform,
// with those of all platforms where it is not known; empty where there is
// nothing of the kind to do on it. An unknown identifier is returned as it is.
// Of a verdict's values the host goes into the commands of this program.
func (l Language) Step(id string, p diagnose.Platform, values ...diagnose.Value) string {
	c := l.catalogue()
	t, ok := c.steps[id]
	if !ok {
		return id
	}
	commands, ok := stepCommands[id]
	if !ok {
		return t
	}
	command := commands.on(p, c)
	if command == "" {
		return ""
	}
	if strings.HasPrefix(id, probeStep) {
		if host := hostIn(values); host != "" {
			command = strings.ReplaceAll(command, "HOST", host)
		}
	}
	return strings.ReplaceAll(t, "{command}", command)
}

// probeStep begins the identifiers of steps that are control tests of this
// program.
const probeStep = "next.probe-"

// hostIn is the host that a verdict is about. It may be an attacker's choice
// and is to be pasted into a shell: only what a name or an address consists of
// is let through.
func hostIn(values []diagnose.Value) string {
	for _, name := range []string{"name", "host"} {
		v, ok := find(values, name)
		if !ok || v.Unit != diagnose.UnitText || v.Text == "" || len(v.Text) > 253 || strings.HasPrefix(v.Text, "-") {
			continue
		}
		plain := func(r rune) bool {
			return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '-' || r == ':'
		}
		if strings.IndexFunc(v.Text, func(r rune) bool { return !plain(r) }) < 0 {
			return v.Text
		}
	}
	return ""
}

// Steps returns the sentences of next steps in their order, without those that
// a platform does not have.
func (l Language) Steps(ids []string, p diagnose.Platform, values ...diagnose.Value) (out []string) {
	for _, id := range ids {
		if s := l.Step(id, p, values...); s != "" {
			out = append(out, s)
		}
	}
	return out
}

// same are commands of Linux and macOS alike.
func same(unix, windows string) commands {
	return commands{linux: unix, darwin: unix, windows: windows}
}

// withEnv runs a go command with one variable set for it alone.
func withEnv(name, value, command string) commands {
	c := same(name+"="+value+" "+command, `$env:`+name+`="`+value+`"; `+command+`; Remove-Item Env:`+name)
	c.prompt = `set "` + name + `=` + value + `" & ` + command + ` & set "` + name + `="`
	return c
}

// openssl runs OpenSSL's client once. Windows has it with Git.
func openssl(arguments string) commands {
	return same("openssl s_client "+arguments+" </dev/null", `"" | & "$env:ProgramFiles\Git\usr\bin\openssl.exe" s_client `+arguments)
}

// stepCommands holds the commands of the steps that have some; they are
// complete, but for names in capitals.
var stepCommands = map[string]commands{
	"next.no-mlkem":          withEnv("GODEBUG", "tlsmlkem=0,tlssecpmlkem=0", "go mod download"),
	"next.other-proxy":       withEnv("GOPROXY", "https://goproxy.cn,direct", "go mod download"),
	"next.other-name":        openssl("-connect ADDRESS:443 -servername www.example.com"),
	"next.other-family":      openssl("-4 -connect HOST:443 -servername HOST"),
	"next.other-port":        same("nc -vz -w 5 ADDRESS 80", "Test-NetConnection ADDRESS -Port 80"),
	"next.probe-handshake":   {every: "goproxytrace probe --arms hello-size,name,address HOST"},
	"next.probe-size":        {every: "goproxytrace probe --arms hello-size,mtu HOST"},
	"next.probe-address":     {every: "goproxytrace probe --arms address,family HOST"},
	"next.probe-lookup":      {every: "goproxytrace probe --arms dns HOST"},
	"next.probe-certificate": {every: "goproxytrace probe --arms certificate HOST"},
	"next.probe-proxy":       {every: "goproxytrace probe --arms proxy HOST"},
	"next.probe-request":     {every: "goproxytrace probe --arms request,mtu HOST"},
	"next.read-answer":       {every: "go mod download -x"},
	"next.proxy-credentials": same("env | grep -i proxy", "Get-ChildItem Env: | Where-Object Name -like *proxy*"),
	"next.check-address":     {every: "nslookup HOST RESOLVER"},
	"next.other-resolver":    {every: "nslookup HOST RESOLVER"},
	"next.host-firewall":     {linux: "sudo nft list ruleset", darwin: "sudo pfctl -sr", windows: "netsh wfp show netevents; netsh wfp show filters"},
	"next.host-security": {
		linux: `sudo journalctl --since "15 minutes ago"`, darwin: "systemextensionsctl list",
		windows: `wevtutil qe "Microsoft-Windows-Windows Defender/Operational" /q:"*[System[(EventID=1125 or EventID=1126)]]" /f:text /c:20 /rd:true`,
	},
	"next.audit-mode":    {windows: "(Get-MpPreference).EnableNetworkProtection; Set-MpPreference -EnableNetworkProtection AuditMode"},
	"next.send-queue":    {linux: "ss -tnp", darwin: "netstat -an -p tcp"},
	"next.recapture-any": captureAll,
	"next.recapture":     captureAll,
	"next.check-capture": {linux: "ip route get ADDRESS", darwin: "route -n get ADDRESS", windows: "Find-NetRoute -RemoteIPAddress ADDRESS"},
	"next.check-go-env":  {every: "go env GOPROXY GOSUMDB GONOSUMDB GOPRIVATE"},
	"next.check-link":    {linux: "ip route; ip neigh", darwin: "netstat -rn; arp -an", windows: "Get-NetRoute; Get-NetNeighbor"},
	"next.lower-mtu": {
		linux: "sudo ip link set dev INTERFACE mtu 1280", darwin: "sudo ifconfig INTERFACE mtu 1280",
		windows: `netsh interface ipv4 set subinterface "INTERFACE" mtu=1280 store=active`,
	},
	"next.show-certificate": openssl("-connect HOST:443 -servername HOST -showcerts"),
	"next.check-clock":      same("date -u", "w32tm /query /status"),
	"next.install-ca": {
		linux:   "sudo cp CA.crt /usr/local/share/ca-certificates/ && sudo update-ca-certificates",
		darwin:  "sudo security add-trusted-cert -d -r trustRoot -k /Library/Keychains/System.keychain CA.crt",
		windows: "certutil -addstore Root CA.crt",
	},
	"next.host-load":        same("top", "resmon"),
	"next.cache-scan":       {every: "go env GOMODCACHE"},
	"next.stack-dump":       same("kill -QUIT PID", "Ctrl+Break"),
	"next.allow-revocation": {linux: "env | grep -i proxy", darwin: "scutil --proxy", windows: "netsh winhttp show proxy"},
	"next.name-owner":       same("ps -o pid,ppid,user,args -p PID", "Get-Process -Id PID | Format-List Name,Company,Path"),

	"next.fallback-bar": {every: `go env -w "GOPROXY=FIRST|SECOND"`},
}

// captureAll captures what a module download can die of. On macOS pktap takes
// no filter, on Windows the loopback interface is one of Npcap's.
var captureAll = commands{
	linux:  `sudo tcpdump -i any -s 0 -w stalled.pcap "tcp port 443 or tcp port 80 or port 53 or icmp or icmp6"`,
	darwin: "sudo tcpdump -i pktap,all -s 0 -w stalled.pcapng",
	windows: `& "$env:ProgramFiles\Wireshark\dumpcap.exe" -D; ` +
		`& "$env:ProgramFiles\Wireshark\dumpcap.exe" -i NUMBER -i LOOPBACK -w stalled.pcapng`,
}
