package main

import (
	"archive/zip"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf16"

	"golang.org/x/net/dns/dnsmessage"

	"goproxytrace/capture"
	"goproxytrace/capture/hostlog"
	"goproxytrace/capture/pcapfile"
	"goproxytrace/internal/packets"
)

// planted are words that stand in one field of the capture each, so that what
// leaks tells where it came from.
var planted = strings.Fields(`quokka marsupial wombat numbat bilby dunnart potoroo quoll kowari tasmania antechinus mulgara bandicoot kultarr
	ningaui planigale phascogale dibbler kaluta wallaby pademelon bettong ningbing tammar pygmy cuscus glider echidna platypus thylacine
	honeypossum ringtail brushtail marlo`)

const (
	plantedClient = "10.77.66.55"
	plantedGlobal = "198.51.100.77"
	plantedV6     = "2001:db8:77::7766"
	plantedProxy  = "10.77.99.88"
	plantedMAC    = "\xb8\x27\xeb\x77\x66\x55"
)

// recorded is one direction's turn in a conversation.
type recorded struct {
	client bool
	data   []byte
}

// converse records a TLS 1.2 handshake with a request.
func converse(t *testing.T) (turns []recorded) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ip := net.ParseIP(plantedProxy)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<32, 0),
		Subject:  pkix.Name{CommonName: "bilby.marsupial.internal", Organization: []string{"Dunnart Works"}},
		DNSNames: []string{"bilby.marsupial.internal"}, EmailAddresses: []string{"potoroo@marsupial.internal"}, IPAddresses: []net.IP{ip},
		OCSPServer: []string{"http://bandicoot.marsupial.internal/ocsp"}, CRLDistributionPoints: []string{"http://bandicoot.marsupial.internal/crl"},
	}
	issuer := &x509.Certificate{SerialNumber: big.NewInt(2), NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<32, 0), IsCA: true, BasicConstraintsValid: true,
		Subject: pkix.Name{CommonName: "Inspection CA", Organization: []string{"Vendor"}}}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	a, b := net.Pipe()
	var mu sync.Mutex
	tap := func(c net.Conn, client bool) net.Conn {
		return tapped{c, func(p []byte) {
			mu.Lock()
			turns = append(turns, recorded{client, bytes.Clone(p)})
			mu.Unlock()
		}}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		s := tls.Server(tap(b, false), &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MaxVersion: tls.VersionTLS12, NextProtos: []string{"h2"}})
		_, _ = io.ReadFull(s, make([]byte, 10))
		_, _ = s.Write([]byte("answer"))
		b.Close()
	}()
	c := tls.Client(tap(a, true), &tls.Config{ServerName: "quokka.marsupial.internal", InsecureSkipVerify: true, NextProtos: []string{"h2", "x-pygmy"}})
	if _, err := c.Write([]byte("0123456789")); err != nil {
		t.Fatal(err)
	}
	_, _ = io.ReadAll(c)
	<-done
	return turns
}

type tapped struct {
	net.Conn
	wrote func([]byte)
}

func (c tapped) Write(p []byte) (int, error) {
	c.wrote(p)
	return c.Conn.Write(p)
}

// plantedCapture writes a capture with a secret in each field there is.
func plantedCapture(t *testing.T, path string) {
	t.Helper()
	var out bytes.Buffer
	w, err := pcapfile.NewWriter(&out, pcapfile.WriterOptions{Hardware: "bettong laptop", OS: "Linux bettong 6.1", Application: "Dumpcap of bettong", Comment: "a wallaby of marsupial"})
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	check(err)
	in := capture.Interface{Name: "marsupial-vpn0", Description: "pademelon", Filter: "host " + plantedClient + " and host cuscus.marsupial.internal", OS: "Linux bettong", Hardware: "bettong", LinkType: 1}
	_, err = w.AddInterface(&in)
	check(err)
	now := int64(1_700_000_000e9)
	record := func(r hostlog.Record) { check(w.WriteJournal(now, hostlog.Fields(r))) }
	number := int64(0)
	frame := func(p *packets.Packet, comment string) {
		number++
		now += 1e6
		b := p.MAC([6]byte([]byte(plantedMAC)), [6]byte{0xb8, 0x27, 0xeb, 1, 2, 3}).Ethernet()
		b = append(b, "trailer honeypossum"...)
		check(w.WritePacket(&capture.Packet{Number: number, Time: now, HasTime: true, Data: b, Length: len(b), LinkType: 1, FCSLen: -1, ProcessID: 4120, Comment: comment}))
	}

	record(&hostlog.Process{Time: now, PID: 4120, Name: "go", Path: "/home/ningaui/planigale/bin/go", Args: []string{"/home/ningaui/planigale/bin/go", "mod", "download", "marsupial.internal/glider", "--token", "tasmania"}, Source: hostlog.KernelEvent})
	for _, s := range [][2]string{{"GOPROXY", "https://kowari:tasmania@quokka.marsupial.internal/echidna,direct"}, {"GOPRIVATE", "*.marsupial.internal"}, {"HTTPS_PROXY", "http://kowari:tasmania@" + plantedProxy + ":3128"}, {"GOMODCACHE", "/home/ningaui/planigale"}, {"MY_OWN", "platypus"}} {
		record(&hostlog.Setting{Time: now, Name: s[0], Value: s[1], From: "go env"})
	}
	record(&hostlog.Claim{Local: netip.MustParseAddrPort(plantedClient + ":40000"), Remote: netip.MustParseAddrPort(plantedProxy + ":443"), Time: now, PID: 4120, Source: hostlog.KernelEvent})
	record(&hostlog.Attempt{Time: now, PID: 4120, Local: netip.MustParseAddrPort(plantedClient + ":40009"), Remote: netip.MustParseAddrPort(plantedProxy + ":8443"), Error: "EPERM", Ended: now + 1, Source: hostlog.KernelEvent})
	record(&hostlog.Event{Time: now, Origin: "NetworkManager", Text: "marlo.marsupial.internal at " + plantedClient + " of ningaui, /home/ningaui/planigale, link b8:27:eb:77:66:55"})
	record(&hostlog.Block{Time: now, Action: hostlog.Blocked, PID: 4120, Path: `C:\Users\ningaui\planigale\go.exe`, Remote: netip.MustParseAddrPort(plantedProxy + ":443"), Host: "quokka.marsupial.internal", Origin: "Security 5157", Rule: "block marsupial.internal", Provider: "Vendor"})
	record(&hostlog.Line{Time: now, PID: 4120, Stream: "stderr", Text: `go: marsupial.internal/phascogale@v1.0.0: Get "https://kowari:tasmania@quokka.marsupial.internal/echidna/marsupial.internal/phascogale/@v/v1.0.0.mod?sig=tasmania": read tcp ` + plantedClient + ":40000->" + plantedProxy + ":443: read: connection reset by peer"})
	check(w.WriteJournal(now, map[string]string{"MESSAGE": "dibbler in sudo of ningaui", "SYSLOG_IDENTIFIER": "dibbler", "_HOSTNAME": "bettong", "_CMDLINE": "dibbler tasmania"}))

	name := dnsmessage.MustNewName("wombat.marsupial.internal.")
	alias := dnsmessage.MustNewName("numbat.marsupial.internal.")
	question := dnsmessage.Question{Name: name, Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}
	header := func(n dnsmessage.Name) dnsmessage.ResourceHeader {
		return dnsmessage.ResourceHeader{Name: n, Class: dnsmessage.ClassINET, TTL: 1}
	}
	address := netip.MustParseAddr(plantedProxy).As4()
	query := dnsmessage.Message{Header: dnsmessage.Header{ID: 7, RecursionDesired: true}, Questions: []dnsmessage.Question{question}}
	reply := dnsmessage.Message{Header: dnsmessage.Header{ID: 7, Response: true}, Questions: []dnsmessage.Question{question}, Answers: []dnsmessage.Resource{
		{Header: header(name), Body: &dnsmessage.CNAMEResource{CNAME: alias}}, {Header: header(alias), Body: &dnsmessage.AResource{A: address}},
		{Header: header(name), Body: &dnsmessage.TXTResource{TXT: []string{"thylacine"}}},
	}}
	pointer := dnsmessage.Message{Header: dnsmessage.Header{ID: 8}, Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName("55.66.77.10.in-addr.arpa."), Type: dnsmessage.TypePTR, Class: dnsmessage.ClassINET}}}
	pack := func(m dnsmessage.Message) []byte {
		b, err := m.Pack()
		check(err)
		return b
	}
	frame(packets.UDP(plantedClient+":5353", "10.77.66.1:53").Payload(pack(query)), "PID: 4120\nCmd: /home/ningaui/planigale/bin/go\nArgs: tasmania")
	frame(packets.UDP("10.77.66.1:53", plantedClient+":5353").Payload(pack(reply)), "a kaluta")
	frame(packets.UDP(plantedClient+":5353", "10.77.66.1:53").Payload(pack(pointer)), "owner: go (PID 4120): go tasmania")
	frame(packets.UDP(plantedClient+":5353", "224.0.0.251:5353").Text("mDNS of ringtail"), "")
	frame(packets.IP(plantedClient, "10.77.66.1", 47).Text("tunnel of brushtail"), "")

	// A CONNECT exchange in front of the handshake.
	flow := func(client, server string, turns []recorded) {
		c, s := uint32(1000), uint32(5000)
		frame(packets.TCP(client, server).Flags(packets.SYN).Seq(c).MSS(1460).Option(254, []byte("brushtail")...), "")
		frame(packets.TCP(server, client).Flags(packets.SYN).Seq(s).Ack(c+1).MSS(1460), "")
		c, s = c+1, s+1
		route := []byte{7, 8, 4, 10, 77, 66, 55, 0} // record route (RFC 791, section 3.1)
		if client[0] == '[' {
			route = nil
		}
		for _, turn := range turns {
			for len(turn.data) > 0 {
				n := min(len(turn.data), 700)
				if turn.client {
					frame(packets.TCP(client, server).Flags(packets.PSH).Seq(c).Ack(s).Payload(turn.data[:n]).IPOptions(route), "")
					c += uint32(n)
				} else {
					frame(packets.TCP(server, client).Flags(packets.PSH).Seq(s).Ack(c).Payload(turn.data[:n]), "")
					s += uint32(n)
				}
				turn.data = turn.data[n:]
			}
		}
		if client[0] != '[' {
			frame(packets.ICMPError("10.77.66.1", client[:strings.LastIndexByte(client, ':')], 3, 13, packets.TCP(client, server).Seq(c).Ack(s).Text("cuscus quoted")), "")
		}
		frame(packets.TCP(server, client).Flags(packets.RST).Seq(s).Ack(c), "")
	}
	credentials := base64.StdEncoding.EncodeToString([]byte("kowari:tasmania"))
	handshake := converse(t)
	flow(plantedClient+":40000", plantedProxy+":443", append([]recorded{
		{true, []byte("CONNECT quoll.marsupial.internal:443 HTTP/1.1\r\nHost: quoll.marsupial.internal:443\r\nUser-Agent: Go of " + plantedClient + "\r\nProxy-Authorization: Basic " + credentials + "\r\nX-Bandicoot: bandicoot\r\n\r\n")},
		{false, []byte("HTTP/1.1 200 Connection established\r\nVia: 1.1 mulgara.marsupial.internal\r\n\r\n")},
	}, handshake...))
	flow(plantedGlobal+":40001", "203.0.113.10:443", []recorded{
		{true, []byte("GET /echidna/private?token=tasmania HTTP/1.1\r\nHost: antechinus.marsupial.internal\r\nAuthorization: Bearer tasmania\r\nCookie: kowari=tasmania\r\nReferer: http://mulgara.marsupial.internal/\r\n\r\n")},
		{false, []byte("HTTP/1.1 302 Found of marsupial\r\nServer: squid of mulgara.marsupial.internal\r\nLocation: http://kowari:tasmania@mulgara.marsupial.internal/echidna?x=tasmania\r\nWWW-Authenticate: Basic realm=\"kultarr\"\r\nSet-Cookie: kultarr\r\n\r\n<html>kultarr</html>")},
	})
	// The ClientHello alone, refused, and one whose answer is no TLS.
	flow(plantedClient+":40002", plantedProxy+":444", handshake[:1])
	flow("["+plantedV6+"]:40003", "[2001:db8:113::10]:443", []recorded{handshake[0], {false, []byte("SSH-2.0-kultarr of marsupial\r\n")}})

	check(w.WriteNames(map[string][]string{plantedClient: {"ningbing.marsupial.internal"}}))
	check(w.WriteSecrets(pcapfile.SecretsTLSKeyLog, []byte("CLIENT_RANDOM tammar tasmania\n")))
	check(w.Flush())
	block := func(typ uint32, body string) {
		body += strings.Repeat("\x00", -len(body)&3)
		b := binary.LittleEndian.AppendUint32(nil, typ)
		b = binary.LittleEndian.AppendUint32(b, uint32(len(body)+12))
		b = append(b, body...)
		out.Write(binary.LittleEndian.AppendUint32(b, uint32(len(body)+12)))
	}
	block(0xbad, "\x01\x02\x03\x04custom cuscus")
	block(0x7fedcba9, "unknown cuscus")
	check(os.WriteFile(path, out.Bytes(), 0o600))
}

// leaks returns the forms in which a secret is in b.
func leaks(b []byte, secret string) (found []string) {
	low := bytes.ToLower(b)
	for form, s := range forms(secret) {
		if bytes.Contains(low, bytes.ToLower([]byte(s))) {
			found = append(found, form)
		}
	}
	return found
}

func forms(s string) map[string]string {
	reversed := []byte(s)
	for i, j := 0, len(reversed)-1; i < j; i, j = i+1, j-1 {
		reversed[i], reversed[j] = reversed[j], reversed[i]
	}
	var little, big []byte
	for _, u := range utf16.Encode([]rune(s)) {
		little, big = binary.LittleEndian.AppendUint16(little, u), binary.BigEndian.AppendUint16(big, u)
	}
	percent := ""
	for _, c := range []byte(s) {
		percent += fmt.Sprintf("%%%02x", c)
	}
	out := map[string]string{"plain": s, "reversed": string(reversed), "hex": hex.EncodeToString([]byte(s)), "UTF-16LE": string(little), "UTF-16BE": string(big), "percent": percent}
	// In base64 a word looks another way at each place among three bytes; what
	// its neighbours have no part in is looked for.
	for shift := range 3 {
		e := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("\x00", shift) + s))
		e = e[(shift*8+5)/6:]
		e = strings.TrimRight(e, "=")
		if (shift+len(s))%3 != 0 {
			e = e[:len(e)-1]
		}
		out[fmt.Sprintf("base64 at %d", shift)] = e
	}
	return out
}

// plantedAddresses are the forms of the private addresses.
func plantedAddresses() map[string]string {
	out := map[string]string{"MAC": plantedMAC, "MAC text": "b8:27:eb:77:66:55", "reverse name": "55.66.77.10", "reverse labels": "\x0255\x0266\x0277\x0210"}
	for _, s := range []string{plantedClient, plantedGlobal, plantedV6, plantedProxy, "10.77.66.1"} {
		a := netip.MustParseAddr(s)
		out[s] = s
		out[s+" in bytes"] = string(a.AsSlice())
		out[s+" in hex"] = hex.EncodeToString(a.AsSlice())
		out[s+" expanded"] = a.StringExpanded()
	}
	return out
}

// TestNothingLeaks greps all that is made to be given away for what was planted
// in the capture, in every form, in all languages.
func TestNothingLeaks(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "kaluta-marsupial.pcapng")
	plantedCapture(t, path)
	words := filepath.Join(dir, "go.txt")
	if err := os.WriteFile(words, []byte("go: marsupial.internal/phascogale@v1.0.0: Get \"https://kowari:tasmania@quokka.marsupial.internal/marsupial.internal/phascogale/@v/v1.0.0.mod\": read tcp "+
		plantedClient+":40000->"+plantedProxy+":443: read: connection reset by peer\n\tserver response: no glider at quoll.marsupial.internal for ningaui in /home/ningaui/planigale\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	exe := program(t)
	run := func(args ...string) []byte {
		t.Helper()
		cmd := exec.Command(exe, args...)
		cmd.Dir = dir
		cmd.Env = append(testEnv(), "GOPROXY=https://quokka.marsupial.internal,direct")
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, os.Stderr
		if err := cmd.Run(); err != nil {
			t.Fatalf("%q: %v", args, err)
		}
		return out.Bytes()
	}
	artefacts := map[string][]byte{}
	for _, lang := range languages() {
		artefacts["text "+lang] = run("analyze", "--redact", "--lang", lang, path)
		artefacts["text with go's output "+lang] = run("analyze", "--redact", "--lang", lang, "--go-output", words, path)
		artefacts["markdown "+lang] = run("analyze", "--markdown", "--lang", lang, "--go-output", words, path)
		run("analyze", "--html=report.html", "--lang", lang, "--go-output", words, path)
		page, err := os.ReadFile(filepath.Join(dir, "report.html"))
		if err != nil {
			t.Fatal(err)
		}
		artefacts["html "+lang] = page
		run("bundle", "--lang", lang, "--go-output", words, path, "bundle-"+lang+".zip")
		z, err := zip.OpenReader(filepath.Join(dir, "bundle-"+lang+".zip"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range z.File {
			r, err := f.Open()
			if err != nil {
				t.Fatal(err)
			}
			if artefacts["bundle "+lang+" "+f.Name], err = io.ReadAll(r); err != nil {
				t.Fatal(err)
			}
			r.Close()
		}
		z.Close()
	}
	artefacts["json"] = run("analyze", "--redact", "--json", path)
	artefacts["json with go's output"] = run("analyze", "--redact", "--json", "--go-output", words, path)
	artefacts["csv"] = run("analyze", "--redact", "--connections=-", path)
	artefacts["capture"] = run("scrub", path, "-")
	artefacts["capture with a key"] = func() []byte {
		if err := os.WriteFile(filepath.Join(dir, "key"), []byte("0123456789abcdef0123456789abcdef\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return run("scrub", "--redact-key", "key", path, "-")
	}()
	for what, b := range artefacts {
		if len(b) < 100 {
			t.Errorf("%s has %d bytes only", what, len(b))
		}
		for _, w := range planted {
			if found := leaks(b, w); found != nil {
				t.Errorf("%s leaks %s (%s)%s", what, w, strings.Join(found, ", "), around(b, w))
			}
		}
		for form, s := range plantedAddresses() {
			if bytes.Contains(b, []byte(s)) {
				t.Errorf("%s leaks %s%s", what, form, around(b, s))
			}
		}
	}
	// The test can fail: what is not redacted shows what was planted.
	whole := append(run("analyze", "--json", path), run("analyze", "--json", "--go-output", words, path)...)
	original, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	whole = append(whole, original...)
	for _, w := range planted {
		if leaks(whole, w) == nil {
			t.Errorf("%s was not planted", w)
		}
	}
	// And what is public, or the finding, stays.
	for what, s := range map[string]string{"json": "Inspection CA", "capture": "Inspection CA", "text en": "direct"} {
		if !bytes.Contains(artefacts[what], []byte(s)) {
			t.Errorf("%s lost %q", what, s)
		}
	}
}

// around shows where something stands.
func around(b []byte, s string) string {
	i := bytes.Index(bytes.ToLower(b), bytes.ToLower([]byte(s)))
	if i < 0 {
		return ""
	}
	return fmt.Sprintf(": %.160q", b[max(i-80, 0):min(i+80, len(b))])
}

// A copy that lacks what the verdict rests on says so.
func TestScrubWarns(t *testing.T) {
	dir := t.TempDir()
	f, err := os.Create(filepath.Join(dir, "tunnel.pcap"))
	if err != nil {
		t.Fatal(err)
	}
	w, err := pcapfile.NewPcapWriter(f, pcapfile.PcapOptions{LinkType: 1})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		syn := packets.TCP("10.1.2.3:40000", "203.0.113.10:443").Flags(packets.SYN).Seq(1).MSS(1460).Ethernet()
		b := packets.UDP("10.9.9.1:4789", "10.9.9.2:4789").Payload(append([]byte{8, 0, 0, 0, 0, 0, 1, 0}, syn...)).Ethernet()
		if err := w.WritePacket(&capture.Packet{Number: int64(i + 1), Time: 1_700_000_000e9 + int64(i*i)*1e9, HasTime: true, Data: b, Length: len(b), LinkType: 1, FCSLen: -1}); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Flush(), f.Close()); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program(t), "scrub", "tunnel.pcap", "out.pcapng")
	cmd.Dir, cmd.Env = dir, testEnv()
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("warning: the copy is judged as no-traffic")) {
		t.Errorf("%v: %s", err, out)
	}
}
