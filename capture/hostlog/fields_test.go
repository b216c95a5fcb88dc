package hostlog

import (
	"errors"
	"math"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"goproxytrace/capture/pcapfile"
)

// random fills records with any values that the fields' comments allow.
type random struct{ *rand.Rand }

func (r random) text() string {
	const alphabet = "go\x00\n\t\x1b\xffü…\u202e \"\\,|x"
	b := []byte(alphabet)
	out := make([]byte, r.IntN(20))
	for i := range out {
		out[i] = b[r.IntN(len(b))]
	}
	return string(out)
}

func (r random) time() int64 {
	if r.IntN(4) == 0 {
		return 0
	}
	return r.Int64()
}

func (r random) addr() netip.AddrPort {
	port := uint16(r.Uint32())
	switch r.IntN(4) {
	case 0:
		return netip.AddrPort{}
	case 1:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(r.Uint32())}), port)
	case 2:
		return netip.AddrPortFrom(netip.MustParseAddr("fe80::1%eth0"), port)
	}
	return netip.AddrPortFrom(netip.MustParseAddr("::ffff:192.0.2.9"), port)
}

func (r random) source() Source { return sources[r.IntN(len(sources))] }

func (r random) p64() *uint64 {
	if v := r.Uint64(); r.IntN(2) == 0 {
		return &v
	}
	return nil
}

func (r random) p32() *uint32 {
	if v := r.Uint32(); r.IntN(2) == 0 {
		return &v
	}
	return nil
}

func (r random) record() Record {
	switch r.IntN(11) {
	case 0:
		return &Claim{Local: r.addr(), Remote: r.addr(), Time: r.time(), Until: r.time(), Cookie: r.Uint64(),
			PID: r.Uint32(), TID: r.Uint32(), Server: r.IntN(2) == 0, Source: r.source()}
	case 1:
		p := &Process{Time: r.time(), PID: r.Uint32(), Parent: r.Uint32(), Start: r.time(), Name: r.text(), Path: r.text(),
			Container: r.text(), PIDInContainer: r.Uint32(), Source: r.source()}
		if p.HasUID = r.IntN(2) == 0; p.HasUID {
			p.UID = r.Uint32N(2) * r.Uint32()
		}
		if r.IntN(3) > 0 {
			p.Args = []string{}
			for range r.IntN(4) {
				p.Args = append(p.Args, r.text())
			}
		}
		return p
	case 2:
		return &Exit{Time: r.time(), PID: r.Uint32(), Code: []int{-1, 0, 1, 0xC0000005}[r.IntN(4)], Signal: r.IntN(65)}
	case 3:
		return &Attempt{Time: r.time(), PID: r.Uint32(), Local: r.addr(), Remote: r.addr(), Cookie: r.Uint64(),
			Error: r.text(), Ended: r.time(), Source: r.source()}
	case 4:
		return &Socket{Time: r.time(), PID: r.Uint32(), Local: r.addr(), Remote: r.addr(), Cookie: r.Uint64(), State: r.text(),
			Unread: r.Uint32(), Unsent: r.Uint32(), BytesAcked: r.p64(), BytesReceived: r.p64(), BytesSent: r.p64(),
			Unacked: r.Uint32(), Retransmits: r.Uint32(), TotalRetransmits: r.Uint32(), Probes: r.Uint32(),
			RTT: r.Uint32(), MinRTT: r.Uint32(), LastDataSent: r.p32(), LastDataReceived: r.p32(), LastAckReceived: r.p32(),
			SendWindow: r.p32(), ReceiveWindow: r.p32()}
	case 5:
		return &Line{Time: r.time(), PID: r.Uint32(), Stream: r.text(), Text: r.text()}
	case 6:
		return &Setting{Time: r.time(), Name: r.text(), Value: r.text(), From: r.text()}
	case 9:
		return &Unread{Time: r.time(), Source: r.text(), Why: r.text()}
	case 8:
		return &Subject{Time: r.time(), PID: r.Uint32()}
	case 7:
		return &Block{Time: r.time(), Action: []Action{"", Blocked, Audited, Logged}[r.IntN(4)], PID: r.Uint32(), Path: r.text(),
			Local: r.addr(), Remote: r.addr(), Host: r.text(), Inbound: r.IntN(2) == 0, Origin: r.text(),
			Rule: r.text(), Provider: r.text(), Layer: r.text(), Packets: r.Uint32(), Until: r.time(),
			Segment: append(segments, "")[r.IntN(len(segments)+1)]}
	}
	return &Event{Time: r.time(), Origin: r.text(), Text: r.text(), PID: r.Uint32()}
}

// throughFile passes an entry through the journal's export format.
func throughFile(t testing.TB, r Record) map[string]string {
	t.Helper()
	entry, err := pcapfile.AppendJournal(nil, r.When(), Fields(r))
	if err != nil {
		t.Fatalf("%#v: %v", r, err)
	}
	return pcapfile.JournalFields(entry)
}

func TestRoundTrip(t *testing.T) {
	rnd := random{rand.New(rand.NewPCG(4, 4))}
	kinds := map[string]int{}
	for range 20_000 {
		want := rnd.record()
		fields := throughFile(t, want)
		got, err := Parse(fields)
		if err != nil {
			t.Fatalf("%#v: %v", want, err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("got  %#v\nwant %#v", got, want)
		}
		kinds[fields[KindField]]++
		checkMessage(t, fields["MESSAGE"])
		if fields["SYSLOG_IDENTIFIER"] != Identifier {
			t.Fatalf("identifier %q", fields["SYSLOG_IDENTIFIER"])
		}
	}
	if len(kinds) != 11 {
		t.Errorf("kinds %v, want 11", kinds)
	}
}

// TestEveryFieldIsWritten finds a field of a record type that Fields or Parse
// forgets.
func TestEveryFieldIsWritten(t *testing.T) {
	for _, r := range []Record{&Claim{}, &Process{HasUID: true}, &Exit{}, &Attempt{}, &Socket{}, &Subject{}, &Line{}, &Setting{}, &Event{}, &Block{}, &Unread{}} {
		typ := reflect.TypeOf(r).Elem()
		for i := range typ.NumField() {
			v := reflect.New(typ)
			v.Elem().Set(reflect.ValueOf(r).Elem())
			f := v.Elem().Field(i)
			switch f.Interface().(type) {
			case netip.AddrPort:
				f.Set(reflect.ValueOf(netip.MustParseAddrPort("[2001:db8::1]:443")))
			case Source:
				f.SetString(string(SocketTable))
			case Action:
				f.SetString(string(Audited))
			case Segment:
				f.SetString(string(SegmentData))
			case string:
				f.SetString("value")
			case []string:
				f.Set(reflect.ValueOf([]string{"a b", ""}))
			case int64, int:
				f.SetInt(7)
			case uint32, uint64:
				f.SetUint(7)
			case bool:
				f.SetBool(true)
			case *uint64:
				f.Set(reflect.ValueOf(new(uint64)))
			case *uint32:
				f.Set(reflect.ValueOf(new(uint32)))
			default:
				t.Fatalf("%s.%s is of a type that this test does not know", typ.Name(), typ.Field(i).Name)
			}
			got, err := Parse(throughFile(t, v.Interface().(Record)))
			if err != nil || !reflect.DeepEqual(got, v.Interface()) {
				t.Errorf("%s.%s: got %+v (%v)", typ.Name(), typ.Field(i).Name, got, err)
			}
		}
	}
}

func checkMessage(t testing.TB, m string) {
	t.Helper()
	if len(m) > maxMessage || !utf8.ValidString(m) || strings.ContainsFunc(m, func(r rune) bool {
		return r < ' ' || r == 0x7f || r == 0x202e
	}) {
		t.Fatalf("message %q of %d bytes", m, len(m))
	}
}

func TestLongValuesAreCut(t *testing.T) {
	long := strings.Repeat("ü", 1<<20)
	for _, r := range []Record{
		&Line{Time: 1, Text: long},
		&Setting{Time: 1, Name: long, Value: long, From: long},
		&Process{Time: 1, Name: long, Path: long, Args: []string{long, long}},
		&Process{Time: 1, Args: strings.Split(strings.Repeat("\xff ", 1<<18), " ")},
		&Event{Time: 1, Origin: long, Text: long},
		&Block{Time: 1, Path: long, Host: long, Origin: long, Rule: long, Provider: long, Layer: long},
	} {
		fields := throughFile(t, r)
		for name, v := range fields {
			if len(v) > maxText {
				t.Errorf("%T: %s has %d bytes", r, name, len(v))
			}
		}
		once, err := Parse(fields)
		if err != nil {
			t.Fatalf("%T: %v", r, err)
		}
		twice, err := Parse(throughFile(t, once))
		if err != nil || !reflect.DeepEqual(once, twice) {
			t.Errorf("%T: what was cut is cut again (%v)", r, err)
		}
		if p, ok := once.(*Process); ok && (len(p.Args) < 2 || p.Args[len(p.Args)-1] != "…") {
			t.Errorf("%d arguments, the last of which does not say that some were cut", len(p.Args))
		}
		if l, ok := once.(*Line); ok && !utf8.ValidString(l.Text) {
			t.Error("cut within a character")
		}
	}
}

func TestForeignAndLaterEntries(t *testing.T) {
	systemd := map[string]string{"MESSAGE": "Started Session 4 of user.", "_PID": "1", "SYSLOG_IDENTIFIER": "systemd", "PRIORITY": "6"}
	if r, err := Parse(systemd); !errors.Is(err, ErrForeign) || r != nil {
		t.Errorf("systemd's entry: %v, %v", r, err)
	}
	if _, err := Parse(nil); !errors.Is(err, ErrForeign) {
		t.Errorf("no fields: %v", err)
	}
	later := Fields(&Exit{Time: 1, PID: 2})
	later[VersionField] = "2"
	var unknown *UnknownError
	if _, err := Parse(later); !errors.As(err, &unknown) || unknown.Version != 2 || unknown.Kind != "exit" {
		t.Errorf("a later version: %v", err)
	}
	unknown = nil
	if _, err := Parse(map[string]string{KindField: "route\x1b", prefix + "TIME": "1"}); !errors.As(err, &unknown) || strings.Contains(err.Error(), "\x1b") {
		t.Errorf("an unknown kind: %v", err)
	}
	more := Fields(&Exit{Time: 1, PID: 2, Code: 1})
	more[prefix+"CORE"] = "dumped"
	if r, err := Parse(more); err != nil || !reflect.DeepEqual(r, &Exit{Time: 1, PID: 2, Code: 1}) {
		t.Errorf("an additional field: %v, %v", r, err)
	}
}

func TestSenselessFields(t *testing.T) {
	for name, v := range map[string]string{
		"TIME": "-1", "UNTIL": "9223372036854775808", "PID": "4294967296", "LOCAL": "192.0.2.1",
		"REMOTE": strings.Repeat("1", 300), "COOKIE": "x", "SERVER": "2", "VERSION": "one",
	} {
		fields := Fields(&Claim{Time: 5})
		fields[prefix+name] = v
		var fault *FieldError
		if r, err := Parse(fields); !errors.As(err, &fault) || fault.Field != prefix+name || r != nil {
			t.Errorf("%s=%.20s: %v, %v", name, v, r, err)
		}
	}
	for _, args := range []string{`go`, `"go" mod`, "`go`", `"go`, strings.Repeat(`"a"`, maxText)} {
		fields := Fields(&Process{Time: 5})
		fields[prefix+"ARGS"] = args
		if r, err := Parse(fields); err == nil {
			t.Errorf("arguments %.20q: %v", args, r)
		}
	}
	fields := Fields(&Event{})
	delete(fields, prefix+"TIME")
	if _, err := Parse(fields); err == nil {
		t.Error("a record without a time")
	}
	fields = Fields(&Claim{Time: math.MaxInt64})
	fields[prefix+"SOURCE"] = "a friend"
	if r, err := Parse(fields); err != nil || r.(*Claim).Source != Annotation {
		t.Errorf("an unknown source: %+v, %v", r, err)
	}
}

func FuzzParse(f *testing.F) {
	rnd := random{rand.New(rand.NewPCG(5, 5))}
	for range 64 {
		r := rnd.record()
		entry, err := pcapfile.AppendJournal(nil, r.When(), Fields(r))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(entry)
	}
	f.Add([]byte("GOPROXYTRACE_RECORD=setting\nGOPROXYTRACE_TIME=1\nGOPROXYTRACE_NAME=HTTPS_PROXY\nGOPROXYTRACE_VALUE=u:p@h\n"))
	f.Fuzz(func(t *testing.T, entry []byte) {
		r, err := Parse(pcapfile.JournalFields(entry))
		if err != nil {
			return
		}
		// What a hostile file holds may be unlike what Fields writes; from
		// then on nothing changes.
		once, err := Parse(throughFile(t, r))
		if err != nil {
			t.Fatalf("%#v: %v", r, err)
		}
		twice, err := Parse(throughFile(t, once))
		if err != nil || !reflect.DeepEqual(once, twice) {
			t.Fatalf("%#v\nthen %#v (%v)", once, twice, err)
		}
		checkMessage(t, r.Message())
	})
}
