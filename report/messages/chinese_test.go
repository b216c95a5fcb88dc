package messages

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// Values whose texts end in a Chinese unit or are Chinese words: no space
// stands behind or in front of them.
var (
	endsChinese = []string{
		"acknowledged", "after", "beside", "bytes", "delay", "first", "have", "late", "least", "length", "mean", "most", "mtu", "quiet", "rate", "rtt",
		"received", "second", "span", "took", "unread", "waited", "connections", "records", "frames", "packets", "more", "questions",
	}
	isChinese = []string{"separator", "source", "places", "level", "stage"}
)

var (
	codeSpan    = regexp.MustCompile("`[^`]*`")
	placeholder = regexp.MustCompile(`\{([a-z_]+)\}`)
	beforeLatin = regexp.MustCompile(`\p{Han}[A-Za-z0-9<]`)
	afterLatin  = regexp.MustCompile(`[A-Za-z0-9>%]\p{Han}`)
	halfWidth   = regexp.MustCompile(`\p{Han}[,;:?!().]|[,;:?!()]\p{Han}|[,;:?!] ?\p{Han}`)
	besideFull  = regexp.MustCompile(`[，。；：！？、（）“”] | [，。；：！？、（）]`)
	composedArg = regexp.MustCompile(`%(\[\d\])?s`)
)

// sample puts something like a value in the place of each.
func sample(s string) string {
	s = codeSpan.ReplaceAllString(s, "X")
	return placeholder.ReplaceAllStringFunc(s, func(p string) string {
		switch name := p[1 : len(p)-1]; {
		case slices.Contains(isChinese, name):
			return "词"
		case slices.Contains(endsChinese, name):
			return "8 秒"
		}
		return "X"
	})
}

// Chinese text has full-width punctuation, and spaces between Chinese and other
// scripts but not beside punctuation.
func TestChineseTypography(t *testing.T) {
	all := entries(&chinese)
	for _, p := range phrasesChinese {
		// Numbers stand in the place of numbers; text may be Chinese.
		verbs, n := verb.FindAllString(p.english, -1), 0
		words, rest := "", p.own
		for rest != "" {
			m := composedArg.FindStringIndex(rest)
			if m == nil {
				words += rest
				break
			}
			i := n
			if n++; m[1]-m[0] > 2 {
				i = int(rest[m[0]+2] - '1')
			}
			words, rest = words+rest[:m[0]], rest[m[1]:]
			switch {
			case strings.HasSuffix(verbs[i], "d"):
				words += "8"
			case strings.HasSuffix(words, " ") || strings.HasPrefix(rest, " "):
				words += "X"
			}
		}
		all["phrase "+p.english] = words
	}
	for name, text := range wordsChinese {
		all["word "+name] = text
	}
	for _, id := range slices.Sorted(maps.Keys(all)) {
		if strings.HasPrefix(id, ".labels[unit.") || id == ".labels[step.or]" {
			continue
		}
		for _, s := range []string{sample(all[id]), sample(strings.NewReplacer("[", "", "]", "").Replace(all[id]))} {
			s = strings.NewReplacer("[", "", "]", "").Replace(s)
			// Values may be text of any kind, where the test cannot know.
			for what, rule := range map[string]*regexp.Regexp{
				"no space in front of Latin": beforeLatin, "no space behind Latin": afterLatin, "half-width punctuation": halfWidth, "a space beside punctuation": besideFull,
			} {
				if m := rule.FindString(s); m != "" {
					t.Errorf("%s: %s at %q: %s", id, what, m, all[id])
				}
			}
		}
	}
}

// Nothing was left in English: each sentence that has words in English has
// Chinese characters.
func TestChineseIsWhole(t *testing.T) {
	same := []string{"PowerShell", "Windows", "UTC", "CONNECT", "TLS", "PID", "Linux", "macOS", "SYN", "FIN", "JA"}
	own, all := entries(&chinese), entries(&english)
	for id, s := range own {
		e := all[id]
		words := strings.FieldsFunc(placeholder.ReplaceAllString(e, ""), func(r rune) bool { return !unicode.IsLetter(r) })
		words = slices.DeleteFunc(words, func(w string) bool { return slices.Contains(same, strings.ToUpper(w)) || slices.Contains(same, w) })
		if fieldName.MatchString(id) {
			continue // of a protocol, and the same everywhere
		}
		if len(words) > 0 && !strings.ContainsFunc(s, func(r rune) bool { return unicode.Is(unicode.Han, r) }) {
			t.Errorf("%s: %q is %q in English", id, s, e)
		}
	}
}

// Names that stay as they are in English stand in the Chinese sentence too:
// flags, variables, protocols, numbers and units of the wire.
func TestChineseKeepsNames(t *testing.T) {
	kept := regexp.MustCompile(`--[a-z-]+(?:=FILE)?|\b(?:GOPROXY|GOSUMDB|GONOSUMDB|HTTPS_PROXY|GODEBUG)\b|\bRFC \d+|\b198\.18\.0\.0/15|\b(?:ClientHello|ServerHello|SYN/ACK|SACK|ICMP|CONNECT|close_notify|Finished|EncryptedExtensions|Defender|Wireshark|Send-Q)\b|\b[a-z]+\.[a-z]+(?:-[a-z]+)+|\b[a-z]+[A-Z]\w+`)
	number := regexp.MustCompile(`\d+(?:\.\d+)?`)
	own := entries(&chinese)
	for id, e := range entries(&english) {
		s := own[id]
		for _, name := range kept.FindAllString(e, -1) {
			if name == "ClientHellos" || strings.Contains(s, name) {
				continue
			}
			t.Errorf("%s: %s is missing: %q is %q in English", id, name, s, e)
		}
		a, b := number.FindAllString(e, -1), number.FindAllString(s, -1)
		slices.Sort(a)
		slices.Sort(b)
		if !slices.Equal(a, b) {
			t.Errorf("%s: numbers %v, and %v in English: %q, %q", id, b, a, s, e)
		}
	}
}

// The hedge of a sentence is the same in both languages.
func TestChineseKeepsHedges(t *testing.T) {
	for place, s := range mayBeChinese {
		if !strings.Contains(s, "相符") || strings.Contains(s, "表明") {
			t.Errorf("%s: %q claims more than that the evidence fits", place, s)
		}
	}
	for _, c := range []struct{ level, want string }{{"proven", "已证实"}, {"strongly-suggested", "强烈表明"}, {"consistent", "相符"}, {"none", "无结论"}} {
		if got := Chinese.Label("level." + c.level); got != c.want {
			t.Errorf("%s is %q, want %q", c.level, got, c.want)
		}
	}
}

// fieldName matches labels that are names of flags, fields and fingerprints.
var fieldName = regexp.MustCompile(`^\.labels\[page\.(?:mark-(?:syn|fin)|column-(?:ack|seq|findings)|fact-ja[34])\]$`)
