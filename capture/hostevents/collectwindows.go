package hostevents

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"goproxytrace/capture/hostlog"
)

// This file reads a Windows host. It is part of every build, so that every system
// can test it.

// windowsInterval is how often the logs are read while a session lasts: net
// events are kept in a small ring. It is shorter than connections that are over
// are kept in mind (two maximum segment lifetimes), so that what is told late is
// not told in vain.
const windowsInterval = 60 * time.Second

// overlap is how much of the time of one reading the next one reads again: logs
// are written a little later than things happen.
const overlap = 5 * time.Second

// channels are the event logs that are read, and which events of them.
var channels = []struct {
	source, channel string
	ids             []int
}{
	{"Defender's operational log", "Microsoft-Windows-Windows Defender/Operational", []int{1116, 1117, 1125, 1126, 5007}},
	{"the Security log", "Security", []int{5152, 5156, 5157}},
	{"Sysmon's log", "Microsoft-Windows-Sysmon/Operational", []int{1, 3}},
}

// Exit codes of wevtutil, which are Windows' error numbers (winerror.h).
const (
	errorAccessDenied    = 5     // ERROR_ACCESS_DENIED
	errorChannelNotFound = 15007 // ERROR_EVT_CHANNEL_NOT_FOUND
)

// errNotAdmin is why net events, filters and filter drivers are not read: their
// programs ask for it in the system's language.
var errNotAdmin = errors.New("it needs an administrator")

// channelError explains how reading an event log failed.
func channelError(err error) error {
	var exit *exitError
	if errors.As(err, &exit) {
		switch exit.code {
		case errorChannelNotFound:
			return errAbsent // Sysmon, or Defender, is not installed
		case errorAccessDenied:
			return errors.New("access is denied: it needs an administrator, or the group Event Log Readers")
		}
	}
	return err
}

func (c *collector) windowsMeanwhile(ctx context.Context) []hostlog.Record {
	from := c.since
	if c.until != 0 {
		from = max(from, c.until-int64(overlap))
	}
	defer c.reading(ctx)()
	c.windowsLogs(from)
	out := c.records()
	// What cannot be read now is told of at the end.
	return slices.DeleteFunc(out, func(r hostlog.Record) bool { _, unread := r.(*hostlog.Unread); return unread })
}

func (c *collector) windowsEnd(ctx context.Context) []hostlog.Record {
	from := c.since
	if c.until != 0 {
		from = max(from, c.until-int64(overlap))
	}
	defer c.reading(ctx)()
	about := []asked{c.ask("WinHTTP's proxy", "netsh", "winhttp", "show", "proxy")}
	if c.admin() {
		about = append(about, c.ask("the filter drivers", "fltmc", "filters"))
	}
	c.windowsLogs(from)
	c.protection()
	c.proxies()
	c.networkFilters()
	c.npcap()
	c.winHTTP(about[0])
	if len(about) > 1 {
		c.filterDrivers(about[1])
	} else {
		c.fail("the filter drivers", errNotAdmin)
	}
	return c.records()
}

// windowsLogs reads the event logs and net events from a time on.
func (c *collector) windowsLogs(from int64) {
	span := max(c.until-from, 0) / 1e6
	// Event queries select by XPath ("Consuming Events", Windows Event Log):
	// timediff is in milliseconds up to now.
	query := func(ids ...int) string {
		var any []string
		for _, id := range ids {
			any = append(any, fmt.Sprintf("EventID=%d", id))
		}
		return fmt.Sprintf("*[System[(%s) and TimeCreated[timediff(@SystemTime) <= %d]]]", strings.Join(any, " or "), span+int64(time.Second/time.Millisecond))
	}
	var logs []asked
	for _, l := range channels {
		logs = append(logs, c.ask(l.source, "wevtutil", "qe", l.channel, "/q:"+query(l.ids...), "/f:xml", "/c:20000"))
	}
	const netEventSource = "the filtering platform's net events"
	if c.admin() {
		logs = append(logs, c.ask(netEventSource, "netsh", "wfp", "show", "netevents", "file=-", "protocol=6"))
	} else {
		c.fail(netEventSource, errNotAdmin)
	}
	for _, a := range logs {
		text, err := c.answer(a)
		if err == nil {
			err = c.add(text)
		}
		if err = channelError(err); err != nil && !errors.Is(err, errAbsent) {
			c.fail(a.source, err)
		}
	}
	if len(c.log.blocks) == 0 {
		return
	}
	if !c.admin() {
		c.fail("whose filters those are that blocked something", errNotAdmin)
		return
	}
	filters := c.ask("the filtering platform's filters", "netsh", "wfp", "show", "filters", "file=-", "verbose=on")
	c.logOf(c.ask("the filtering platform's providers", "netsh", "wfp", "show", "state", "file=-"))
	c.logOf(filters)
}

// filterDrivers lists the file system filters that are loaded, which name the
// security products there are.
func (c *collector) filterDrivers(a asked) {
	out, err := c.answer(a)
	if err != nil {
		c.fail(a.source, err)
		return
	}
	var names []string
	below := false
	for line := range bytes.Lines(out) {
		w := words(line)
		switch {
		case len(w) > 0 && strings.HasPrefix(w[0], "---"):
			below = true
		case below && len(w) > 0 && len(names) < 64:
			names = append(names, clip(w[0], maxName))
		}
	}
	if len(names) > 0 {
		c.note("fltmc", "filter drivers: %s", strings.Join(names, ", "))
	}
}

// netService is the key of what is bound into the network's stack as a service or
// filter (GUID_DEVCLASS_NETSERVICE, devguid.h), which netcfg -s n lists.
const netService = `SYSTEM\CurrentControlSet\Control\Network\{4d36e974-e325-11ce-bfc1-08002be10318}`

// networkFilters lists what others than Windows itself have put into the stack,
// where a filter may sit below the capture.
func (c *collector) networkFilters() {
	const source = "the network filters that are installed"
	keys, err := c.keys("HKLM", netService)
	if err != nil {
		c.fail(source, err)
		return
	}
	var names []string
	for _, k := range keys {
		id, ok, err := c.value("HKLM", netService+`\`+k, "ComponentId")
		if err != nil {
			c.fail(source, err)
			return
		}
		// Windows' own are ms_pacer, vms_vsp and the like.
		if id = clip(id, maxName); !ok || strings.HasPrefix(strings.ToLower(id), "ms_") || strings.HasPrefix(strings.ToLower(id), "vms_") {
			continue
		}
		if text, ok, _ := c.value("HKLM", netService+`\`+k, "Description"); ok && text != "" {
			id += " (" + clip(text, maxName) + ")"
		}
		if len(names) < 64 {
			names = append(names, id)
		}
	}
	slices.Sort(names)
	if len(names) > 0 {
		c.note("registry", "network filters and services beside Windows' own: %s", strings.Join(names, ", "))
	}
}

// protectionModes are the values of EnableNetworkProtection ("Enable network
// protection", Microsoft Defender for Endpoint).
var protectionModes = map[string]string{"0": "off", "1": "blocks", "2": "audits"}

// protection tells Defender's network protection mode: the policy's, else the
// local one.
func (c *collector) protection() {
	const below = `Windows Defender Exploit Guard\Network Protection`
	for _, key := range []string{`SOFTWARE\Policies\Microsoft\Windows Defender\` + below, `SOFTWARE\Microsoft\Windows Defender\` + below} {
		v, ok, err := c.value("HKLM", key, "EnableNetworkProtection")
		if err != nil {
			c.fail("network protection's mode", err)
			return
		}
		if ok {
			mode := protectionModes[v]
			if mode == "" {
				mode = "in mode " + clip(v, 16)
			}
			c.note("registry", "Defender's network protection %s", mode)
			return
		}
	}
	c.note("registry", "Defender's network protection is not set up")
}

// proxies tells the system's proxies beside the environment's: the go command
// knows the environment's only (net/http, ProxyFromEnvironment).
func (c *collector) proxies() {
	const key = `Software\Microsoft\Windows\CurrentVersion\Internet Settings`
	read := func(name string) string {
		v, _, err := c.value("HKCU", key, name)
		if err != nil {
			c.fail("the system's proxy setting "+name, err)
		}
		return v
	}
	proxy := ""
	if read("ProxyEnable") == "1" {
		proxy = read("ProxyServer")
	}
	script := read("AutoConfigURL")
	env := c.env("HTTPS_PROXY")
	if env == "" {
		env = c.env("https_proxy")
	}
	switch {
	case proxy == "" && script == "":
	case env == "":
		if proxy == "" {
			proxy = "a script at " + script
		}
		c.note("registry", "the system uses a proxy (%s) and HTTPS_PROXY is not set: the go command goes without one", userless(proxy))
	default:
		c.note("registry", "the system's proxy is %s, HTTPS_PROXY is %s", userless(proxy+script), userless(env))
	}
}

// winHTTP tells WinHTTP's proxy.
func (c *collector) winHTTP(a asked) {
	out, err := c.answer(a)
	if err != nil {
		c.fail(a.source, err)
		return
	}
	for line := range bytes.Lines(out) {
		// The words around it are in the system's language.
		if w := words(line); len(w) > 1 && strings.Contains(w[len(w)-1], ":") && strings.Trim(w[len(w)-1][strings.LastIndexByte(w[len(w)-1], ':')+1:], "0123456789") == "" && !strings.HasSuffix(w[len(w)-1], ":") {
			c.note("netsh", "WinHTTP's proxy is %s", userless(w[len(w)-1]))
		}
	}
}

// userless cuts user and password off a proxy without a scheme.
func userless(s string) string {
	if i := strings.LastIndexByte(s, '@'); i >= 0 {
		s = s[i+1:]
	}
	return clip(s, maxName)
}

// npcap tells the version of Npcap.
func (c *collector) npcap() {
	const key = `Microsoft\Windows\CurrentVersion\Uninstall\NpcapInst`
	for _, prefix := range []string{`SOFTWARE\WOW6432Node\`, `SOFTWARE\`} {
		v, ok, err := c.value("HKLM", prefix+key, "DisplayVersion")
		if err != nil {
			c.fail("Npcap's version", err)
			return
		}
		if ok {
			c.note("registry", "Npcap %s", clip(v, 64))
			return
		}
	}
}
