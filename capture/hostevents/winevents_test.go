package hostevents

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"

	"goproxytrace/capture/hostlog"
)

// Event XML as Microsoft's documentation prints it, with the dashes of the
// viewer that it was copied from (MicrosoftDocs/windows-itpro-docs,
// windows/security/threat-protection/auditing/event-5157.md, event-5152.md and
// event-5156.md, "Event XML").
const (
	doc5157 = `- <Event xmlns="http://schemas.microsoft.com/win/2004/08/events/event">
- <System>
 <Provider Name="Microsoft-Windows-Security-Auditing" Guid="{54849625-5478-4994-A5BA-3E3B0328C30D}" /> 
 <EventID>5157</EventID> 
 <Version>1</Version> 
 <Level>0</Level> 
 <Task>12810</Task> 
 <Opcode>0</Opcode> 
 <Keywords>0x8010000000000000</Keywords> 
 <TimeCreated SystemTime="2015-09-22T03:46:51.662750400Z" /> 
 <EventRecordID>304390</EventRecordID> 
 <Correlation /> 
 <Execution ProcessID="4" ThreadID="4520" /> 
 <Channel>Security</Channel> 
 <Computer>DC01.contoso.local</Computer> 
 <Security /> 
 </System>
- <EventData>
 <Data Name="ProcessID">4556</Data> 
 <Data Name="Application">\\device\\harddiskvolume2\\documents\\listener.exe</Data> 
 <Data Name="Direction">%%14592</Data> 
 <Data Name="SourceAddress">10.0.0.10</Data> 
 <Data Name="SourcePort">3333</Data> 
 <Data Name="DestAddress">10.0.0.100</Data> 
 <Data Name="DestPort">49218</Data> 
 <Data Name="Protocol">6</Data> 
 <Data Name="FilterRTID">110398</Data> 
 <Data Name="LayerName">%%14610</Data> 
 <Data Name="LayerRTID">44</Data> 
 <Data Name="RemoteUserID">S-1-0-0</Data> 
 <Data Name="RemoteMachineID">S-1-0-0</Data> 
 </EventData>
 </Event>
`
	doc5152 = `- <Event xmlns="http://schemas.microsoft.com/win/2004/08/events/event">
- <System>
 <Provider Name="Microsoft-Windows-Security-Auditing" Guid="{54849625-5478-4994-A5BA-3E3B0328C30D}" /> 
 <EventID>5152</EventID> 
 <TimeCreated SystemTime="2015-09-22T16:52:37.274367300Z" /> 
 <Channel>Security</Channel> 
 </System>
- <EventData>
 <Data Name="ProcessId">4556</Data> 
 <Data Name="Application">\\device\\harddiskvolume2\\documents\\listener.exe</Data> 
 <Data Name="Direction">%%14592</Data> 
 <Data Name="SourceAddress">10.0.0.100</Data> 
 <Data Name="SourcePort">49278</Data> 
 <Data Name="DestAddress">10.0.0.10</Data> 
 <Data Name="DestPort">3333</Data> 
 <Data Name="Protocol">6</Data> 
 <Data Name="FilterRTID">0</Data> 
 <Data Name="LayerName">%%14610</Data> 
 <Data Name="LayerRTID">44</Data> 
 </EventData>
 </Event>
`
	doc5156 = `- <Event xmlns="http://schemas.microsoft.com/win/2004/08/events/event">
- <System>
 <Provider Name="Microsoft-Windows-Security-Auditing" Guid="{54849625-5478-4994-A5BA-3E3B0328C30D}" /> 
 <EventID>5156</EventID> 
 <TimeCreated SystemTime="2015-09-22T05:24:22.622090200Z" /> 
 <Channel>Security</Channel> 
 </System>
- <EventData>
 <Data Name="ProcessID">4556</Data> 
 <Data Name="Application">\\device\\harddiskvolume2\\documents\\listener.exe</Data> 
 <Data Name="Direction">%%14592</Data> 
 <Data Name="SourceAddress">10.0.0.10</Data> 
 <Data Name="SourcePort">3333</Data> 
 <Data Name="DestAddress">10.0.0.100</Data> 
 <Data Name="DestPort">49278</Data> 
 <Data Name="Protocol">6</Data> 
 <Data Name="FilterRTID">70201</Data> 
 <Data Name="LayerName">%%14610</Data> 
 <Data Name="LayerRTID">44</Data> 
 <Data Name="RemoteUserID">S-1-0-0</Data> 
 <Data Name="RemoteMachineID">S-1-0-0</Data> 
 </EventData>
 </Event>
`
	// Sysmon 3 of an outgoing connection, with the names of OTRF/OSSEM,
	// data_dictionaries/windows/sysmon/events/event-3.md, and addresses for
	// documentation.
	sysmon3 = `<Event xmlns="http://schemas.microsoft.com/win/2004/08/events/event">
  <System>
    <Provider Name="Microsoft-Windows-Sysmon" Guid="{5770385F-C22A-43E0-BF4C-06F5698FFBD9}" />
    <EventID>3</EventID>
    <TimeCreated SystemTime="2019-04-27T00:10:33.000000000Z" />
    <Channel>Microsoft-Windows-Sysmon/Operational</Channel>
  </System>
  <EventData>
    <Data Name="RuleName" /> 
    <Data Name="UtcTime">2019-04-27 00:10:31.843</Data> 
    <Data Name="ProcessGuid">{1c9fdc81-9d71-5cc3-0000-001029c30000}</Data> 
    <Data Name="ProcessId">820</Data> 
    <Data Name="Image">C:\Program Files\Go\bin\go.exe</Data> 
    <Data Name="User">NT AUTHORITY\SYSTEM</Data> 
    <Data Name="Protocol">tcp</Data> 
    <Data Name="Initiated">true</Data> 
    <Data Name="SourceIsIpv6">false</Data> 
    <Data Name="SourceIp">192.168.64.137</Data> 
    <Data Name="SourceHostname">host.example</Data> 
    <Data Name="SourcePort">49767</Data> 
    <Data Name="SourcePortName" /> 
    <Data Name="DestinationIsIpv6">false</Data> 
    <Data Name="DestinationIp">203.0.113.178</Data> 
    <Data Name="DestinationHostname"></Data> 
    <Data Name="DestinationPort">443</Data> 
    <Data Name="DestinationPortName">https</Data> 
  </EventData>
</Event>`
)

// defender is an event of Microsoft Defender. The names of 1125's and 1126's
// values are those that their message text gives for parameters 4 to 7 and that
// its other events print ("Detection Time", "User", "Process Name":
// MicrosoftDocs/microsoft-365-docs issue 6818 shows 1127's XML).
func defender(id, values string) string {
	return `<Event xmlns="http://schemas.microsoft.com/win/2004/08/events/event"><System>
  <Provider Name="Microsoft-Windows-Windows Defender" Guid="{11cd958a-c507-4ef3-b3f2-5fd9dfbd2c78}" />
  <EventID>` + id + `</EventID><TimeCreated SystemTime="2021-11-05T21:31:02.2198731Z" />
  <Channel>Microsoft-Windows-Windows Defender/Operational</Channel></System><EventData>` + values + `</EventData></Event>`
}

func connection1126(destination string) string {
	return `<Data Name="Product Name">Microsoft Defender Antivirus</Data><Data Name="Product Version">4.18.2110.6</Data>
  <Data Name="Unused" /><Data Name="Detection Time">2021-11-05T21:31:02.100Z</Data><Data Name="User">LAB\user</Data>
  <Data Name="Destination">` + destination + `</Data><Data Name="Process Name">C:\Program Files\Go\bin\go.exe</Data>`
}

func read(t *testing.T, files ...string) []hostlog.Record {
	t.Helper()
	var l Log
	for _, f := range files {
		if err := l.Add(strings.NewReader(f)); err != nil {
			t.Fatal(err)
		}
	}
	return l.Records()
}

func ap(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

func ns(s string) int64 { return parseTime(s) }

func TestSecurityEvents(t *testing.T) {
	const path = `\device\harddiskvolume2\documents\listener.exe`
	got := read(t, doc5157+doc5152+doc5156)
	// In 5156 and 5157 the source is this host's end, in 5152 of an incoming
	// packet the sender's.
	want := []hostlog.Record{
		&hostlog.Process{Time: ns("2015-09-22T03:46:51.6627504Z"), PID: 4556, Path: path, Source: hostlog.EventLog},
		&hostlog.Block{
			Time: ns("2015-09-22T03:46:51.6627504Z"), Action: hostlog.Blocked, PID: 4556, Path: path, Local: ap("10.0.0.10:3333"), Remote: ap("10.0.0.100:49218"),
			Inbound: true, Origin: "Security 5157", Rule: "filter 110398", Layer: "ALE_AUTH_RECV_ACCEPT_V4",
		},
		&hostlog.Claim{Time: ns("2015-09-22T05:24:22.6220902Z"), PID: 4556, Local: ap("10.0.0.10:3333"), Remote: ap("10.0.0.100:49278"), Server: true, Source: hostlog.EventLog},
		&hostlog.Block{
			Time: ns("2015-09-22T16:52:37.2743673Z"), Action: hostlog.Blocked, PID: 4556, Path: path, Local: ap("10.0.0.10:3333"), Remote: ap("10.0.0.100:49278"),
			Inbound: true, Origin: "Security 5152", Layer: "ALE_AUTH_RECV_ACCEPT_V4",
		},
	}
	if diff := cmp.Diff(want, got, sameAddr); diff != "" {
		t.Error(diff)
	}
	// What Windows 11 25H2 wrote of an outgoing connection that a filter of a VPN
	// blocked, as public tests of such a program have it ("un evenement reel du
	// banc", its machine's name and time cut out): direction and layer's name are
	// those of incoming ones, number and ends are not.
	odd := `<Event xmlns='x'><System><Provider Name='Microsoft-Windows-Security-Auditing'/><EventID>5157</EventID><TimeCreated SystemTime='2026-09-01T10:00:00Z'/></System>
		<EventData><Data Name='ProcessID'>6508</Data><Data Name='Application'>\\device\\harddiskvolume3\\essai\\bifrost-daemon.exe</Data><Data Name='Direction'>%%14592</Data>
		<Data Name='SourceAddress'>192.0.2.9</Data><Data Name='SourcePort'>50682</Data><Data Name='DestAddress'>1.1.1.1</Data><Data Name='DestPort'>443</Data><Data Name='Protocol'>6</Data>
		<Data Name='InterfaceIndex'>24</Data><Data Name='FilterOrigin'>Unknown</Data><Data Name='FilterRTID'>299508</Data><Data Name='LayerName'>%%14610</Data><Data Name='LayerRTID'>48</Data></EventData></Event>`
	if b := blocksIn(read(t, odd)); len(b) != 1 || b[0].Inbound || b[0].Local != ap("192.0.2.9:50682") || b[0].Remote != ap("1.1.1.1:443") || b[0].Layer != "ALE_AUTH_CONNECT_V4" {
		t.Errorf("%+v", b)
	}
	// A packet that the kernel dropped is nobody's.
	kernels := strings.NewReplacer(`"ProcessId">4556<`, `"ProcessId">4<`, `\\device\\harddiskvolume2\\documents\\listener.exe`, "System").Replace(doc5152)
	if got := read(t, kernels); len(got) != 1 || got[0].(*hostlog.Block).PID != 0 || got[0].(*hostlog.Block).Path != "" {
		t.Errorf("the kernel's: %v", got)
	}
	// The look-alikes: another protocol, another event, another provider.
	for _, s := range []string{
		strings.Replace(doc5157, `"Protocol">6<`, `"Protocol">17<`, 1),
		strings.Replace(doc5157, "<EventID>5157<", "<EventID>5158<", 1),
		strings.Replace(doc5157, "Microsoft-Windows-Security-Auditing", "Contoso", 1),
	} {
		if got := read(t, s); len(got) > 0 {
			t.Errorf("records %v", got)
		}
	}
}

func TestSysmonConnection(t *testing.T) {
	want := []hostlog.Record{
		&hostlog.Process{Time: ns("2019-04-27T00:10:31.843Z"), PID: 820, Path: `C:\Program Files\Go\bin\go.exe`, Source: hostlog.EventLog},
		&hostlog.Claim{Time: ns("2019-04-27T00:10:31.843Z"), PID: 820, Local: ap("192.168.64.137:49767"), Remote: ap("203.0.113.178:443"), Source: hostlog.EventLog},
	}
	if diff := cmp.Diff(want, read(t, sysmon3), sameAddr); diff != "" {
		t.Error(diff)
	}
	if got := read(t, strings.Replace(sysmon3, ">tcp<", ">udp<", 1)); len(got) > 0 {
		t.Errorf("of UDP: %v", got)
	}
}

func TestDefenderEvents(t *testing.T) {
	want := &hostlog.Block{
		Time: ns("2021-11-05T21:31:02.1Z"), Action: hostlog.Blocked, Path: `C:\Program Files\Go\bin\go.exe`, Host: "goproxy.cn",
		Origin: "Defender 1126", Provider: "Microsoft Defender network protection",
	}
	for _, destination := range []string{"https://goproxy.cn/m/@v/list", "goproxy.cn", "GOPROXY.cn:443"} {
		if diff := cmp.Diff([]hostlog.Record{want}, read(t, defender("1126", connection1126(destination))), sameAddr); diff != "" {
			t.Errorf("%s: %s", destination, diff)
		}
	}
	audit := *want
	audit.Action, audit.Origin = hostlog.Audited, "Defender 1125"
	if diff := cmp.Diff([]hostlog.Record{&audit}, read(t, defender("1125", connection1126("goproxy.cn"))), sameAddr); diff != "" {
		t.Error(diff)
	}
	if b := blocksIn(read(t, defender("1126", connection1126("http://203.0.113.9:8080/x")))); len(b) != 1 || b[0].Remote != ap("203.0.113.9:8080") || b[0].Host != "" {
		t.Errorf("an address: %+v", b)
	}
	if got := read(t, defender("1126", connection1126(""))); len(got) > 0 {
		t.Errorf("without a destination: %v", got)
	}
	// The names are those of public samples of 1117. A path outside the module cache
	// is none of this program's business.
	found := `<Data Name="Threat Name">Exploit:HTML/IframeRef.gen</Data><Data Name="Path">file:_C:\Users\u\go\pkg\mod\cache\download\m\@v\v1.0.0.zip</Data><Data Name="Action Name">Quarantine</Data>`
	if got := read(t, defender("1117", found)); len(got) != 1 || !strings.Contains(got[0].Message(), "IframeRef.gen") {
		t.Errorf("in the module cache: %v", got)
	}
	if got := read(t, defender("1116", strings.Replace(found, `go\pkg\mod`, "Downloads", 1))); len(got) > 0 {
		t.Errorf("elsewhere: %v", got)
	}
	got := read(t, defender("5007", `<Data Name="Old Value">Default\Exclusions\Paths = </Data><Data Name="New Value">HKLM\SOFTWARE\Microsoft\Windows Defender\Exclusions\Paths\C:\x = 0x0</Data>`))
	if len(got) != 1 || !strings.Contains(got[0].Message(), "HKLM") {
		t.Errorf("a setting: %v", got)
	}
}

// TestFormsOfXML wants the same from every way in which the XML is saved.
func TestFormsOfXML(t *testing.T) {
	want := read(t, doc5157)
	plain := strings.NewReplacer("- <", "<").Replace(doc5157)
	utf16Of := func(order binary.AppendByteOrder, mark bool, s string) string {
		var b []byte
		if mark {
			b = order.AppendUint16(b, 0xfeff)
		}
		for _, u := range utf16.Encode([]rune(s)) {
			b = order.AppendUint16(b, u)
		}
		return string(b)
	}
	for name, s := range map[string]string{
		"one after the other":     plain,
		"in Events":               `<?xml version="1.0" encoding="utf-8" standalone="yes"?><Events>` + plain + "</Events>",
		"with a mark":             "\ufeff" + plain,
		"UTF-16":                  utf16Of(binary.LittleEndian, true, `<?xml version="1.0" encoding="utf-16"?>`+plain),
		"UTF-16, big endian":      utf16Of(binary.BigEndian, true, plain),
		"UTF-16 without mark":     utf16Of(binary.LittleEndian, false, plain),
		"another code page":       strings.Replace(plain, "DC01", "D\xe9C\x9001", 1),
		"a control character":     strings.Replace(plain, "DC01", "D\x01", 1),
		"with rendered texts":     strings.Replace(plain, "</EventData>", `</EventData><RenderingInfo Culture="en-US"><Message>a &lt;b&gt;</Message></RenderingInfo>`, 1),
		"quoted with apostrophes": strings.ReplaceAll(plain, `"`, "'"),
	} {
		if diff := cmp.Diff(want, read(t, s), sameAddr); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// TestHostileXML wants an error with a place, what stood before it, and no more
// memory than a token may take.
func TestHostileXML(t *testing.T) {
	for name, c := range map[string]struct{ xml, reason string }{
		"entities":        {`<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><Event>&b;</Event>`, "invalid character entity"},
		"external":        {`<!DOCTYPE x SYSTEM "file:///etc/passwd" [<!ENTITY e SYSTEM "file:///etc/passwd">]><Event>&e;</Event>`, "invalid character entity"},
		"depth":           {strings.Repeat("<a>", 10_000), "nested more than"},
		"an attribute":    {`<Event a="` + strings.Repeat("x", 4<<20) + `">`, "longer than"},
		"a text":          {`<Event>` + strings.Repeat("x", 4<<20) + `</Event>`, "longer than"},
		"a comment":       {`<!--` + strings.Repeat("x", 4<<20) + `-->`, "longer than"},
		"cut":             {`<Event><System>`, "ends within an element"},
		"a stray end":     {`</Event>`, "did not begin"},
		"an unclosed tag": {`<Event <`, "XML syntax error"},
	} {
		var l Log
		err := l.Add(strings.NewReader(doc5157 + c.xml))
		var damage *DamageError
		if !errors.As(err, &damage) || !strings.Contains(err.Error(), c.reason) || damage.Offset < int64(len(doc5157))-64 {
			t.Errorf("%s: error %v, want %q behind %d", name, err, c.reason, len(doc5157))
		}
		if len(blocksIn(l.Records())) != 1 {
			t.Errorf("%s: %d records, want the one before", name, len(l.Records()))
		}
	}
	var l Log
	many := strings.Repeat(`<Data Name="x">y</Data>`, 100_000)
	if err := l.Add(strings.NewReader(defender("1126", many+connection1126("goproxy.cn")))); err != nil || len(l.Records()) > 0 {
		t.Errorf("values without end: %v, %v", err, l.Records())
	}
}

func TestUnknownFiles(t *testing.T) {
	for _, s := range []string{"", "hello\nworld\n", "\xd4\xc3\xb2\xa1\x02\x00\x04\x00", "<html><body/></html>", "MZ\x90\x00\x03\x00\x00\x00"} {
		var l Log
		if err := l.Add(strings.NewReader(s)); !errors.Is(err, ErrUnknown) {
			t.Errorf("%.20q: error %v", s, err)
		}
	}
}

func FuzzText(f *testing.F) {
	for _, s := range []string{doc5157, sysmon3, defender("1126", connection1126("goproxy.cn")), netEvents, wfpFilters, exported, jsonLine, ufwLine} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var l Log
		_ = l.Add(strings.NewReader(string(b)))
		for _, r := range l.Records() {
			if _, err := hostlog.Parse(hostlog.Fields(r)); err != nil {
				t.Fatalf("%#v: %v", r, err)
			}
		}
	})
}
