package probe

import (
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"goproxytrace/analyze/diagnose"
)

func answerBytes(t testing.TB, id uint16, code dnsmessage.RCode, list ...string) []byte {
	t.Helper()
	name := dnsmessage.MustNewName("proxy.example.")
	m := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: id, Response: true, RCode: code},
		Questions: []dnsmessage.Question{{Name: name, Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}},
	}
	for _, s := range list {
		h := dnsmessage.ResourceHeader{Name: name, Class: dnsmessage.ClassINET, TTL: 60}
		m.Answers = append(m.Answers, dnsmessage.Resource{Header: h, Body: &dnsmessage.AResource{A: netip.MustParseAddr(s).As4()}})
	}
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// What came back decides; a second copy of the same answer is no forgery, and
// no address of a family is how most names are.
func TestJudgeAnswers(t *testing.T) {
	const ok, none, failed, refused = dnsmessage.RCodeSuccess, dnsmessage.RCodeNameError, dnsmessage.RCodeServerFailure, dnsmessage.RCodeRefused
	one := func(code dnsmessage.RCode, list ...string) []byte { return answerBytes(t, 7, code, list...) }
	for name, tt := range map[string]struct {
		answers [][]byte
		want    diagnose.Class
	}{
		"one answer":              {[][]byte{one(ok, "203.0.113.10")}, diagnose.OK},
		"the same twice":          {[][]byte{one(ok, "203.0.113.10", "203.0.113.11"), one(ok, "203.0.113.11", "203.0.113.10")}, diagnose.OK},
		"no address":              {[][]byte{one(ok)}, diagnose.OK},
		"a private address":       {[][]byte{one(ok, "192.168.1.9")}, diagnose.OK},
		"two answers":             {[][]byte{one(ok, "198.51.100.66"), one(ok, "203.0.113.10")}, diagnose.DNSForged},
		"a denial and an answer":  {[][]byte{one(none), one(ok, "203.0.113.10")}, diagnose.DNSForged},
		"nowhere":                 {[][]byte{one(ok, "0.0.0.0")}, diagnose.DNSSinkhole},
		"this machine":            {[][]byte{one(ok, "127.0.0.1")}, diagnose.DNSSinkhole},
		"no such name":            {[][]byte{one(none)}, diagnose.DNSNXDomain},
		"failure":                 {[][]byte{one(failed)}, diagnose.DNSServFail},
		"refusal":                 {[][]byte{one(refused)}, diagnose.DNSRefused},
		"another question's only": {[][]byte{answerBytes(t, 8, ok, "203.0.113.10")}, diagnose.DNSNoAnswer},
	} {
		a := &Attempt{Arm: AskA}
		for _, b := range tt.answers {
			if answer, ok := readAnswer(b, 7, dnsmessage.TypeA); ok {
				a.Answers = append(a.Answers, answer)
			}
		}
		a.judgeAnswers(t.Context(), errTimeout{})
		if a.Class != tt.want {
			t.Errorf("%s: %s (%s), want %s", name, a.Class, a.Detail, tt.want)
		}
		if a.Died() && a.Level != diagnose.Consistent {
			t.Errorf("%s: level %s by a socket alone", name, a.Level)
		}
	}
}

type errTimeout struct{}

func (errTimeout) Error() string { return "i/o timeout" }
func (errTimeout) Timeout() bool { return true }

// Answers come from anywhere.
func FuzzReadAnswer(f *testing.F) {
	f.Add(answerBytes(f, 7, dnsmessage.RCodeSuccess, "203.0.113.10"))
	f.Add([]byte{})
	f.Add([]byte(strings.Repeat("\x00\x07\x80", 9)))
	f.Fuzz(func(t *testing.T, b []byte) {
		answer, ok := readAnswer(b, 7, dnsmessage.TypeA)
		if !ok {
			return
		}
		a := &Attempt{Arm: AskA, Answers: []Answer{answer}}
		a.judgeAnswers(t.Context(), nil)
		if a.Class == "" || a.End == "" {
			t.Errorf("%q is not judged", b)
		}
	})
}
