package messages

import (
	"fmt"
	"regexp"
	"strings"
	"sync"
)

// phrase is one that readers of captures and rules compose in English: its
// format there, and the one in another language, which names the arguments by
// their number where their order differs.
type phrase struct{ english, own string }

// matcher finds what was put into a phrase.
type matcher struct {
	whole *regexp.Regexp
	own   string
}

var verb = regexp.MustCompile(`%(?:#0?\d*|0?\d*| )[sdvxq]`)

// matcherOf makes the matcher of a phrase. An argument is taken as it stands,
// as text.
func matcherOf(p phrase) matcher {
	var b strings.Builder
	b.WriteString(`^`)
	at := 0
	for _, m := range verb.FindAllStringIndex(p.english, -1) {
		b.WriteString(regexp.QuoteMeta(strings.ReplaceAll(p.english[at:m[0]], "%%", "%")))
		if strings.HasSuffix(p.english[m[0]:m[1]], "d") {
			b.WriteString(`(-?\d+)`)
		} else {
			b.WriteString(`((?s:.*))`)
		}
		at = m[1]
	}
	b.WriteString(regexp.QuoteMeta(strings.ReplaceAll(p.english[at:], "%%", "%")) + `$`)
	return matcher{regexp.MustCompile(b.String()), p.own}
}

var chineseMatchers = sync.OnceValue(func() []matcher {
	out := make([]matcher, len(phrasesChinese))
	for i, p := range phrasesChinese {
		out[i] = matcherOf(p)
	}
	return out
})

// Phrase returns in the language what a reader of captures or a rule has
// composed in English, and anything else as it is.
func (l Language) Phrase(text string) string { return l.catalogue().phrase(text, maxPhraseDepth) }

// maxPhraseDepth bounds phrases that are arguments of phrases.
const maxPhraseDepth = 3

// maxPhraseBytes bounds the text that is compared with phrases; there is none
// as long.
const maxPhraseBytes = 4096

func (c *catalogue) phrase(text string, depth int) string {
	if c.matchers == nil || depth == 0 || text == "" || len(text) > maxPhraseBytes {
		return text
	}
	for _, m := range c.matchers() {
		found := m.whole.FindStringSubmatch(text)
		if found == nil {
			continue
		}
		args := make([]any, len(found)-1)
		for i, s := range found[1:] {
			args[i] = c.phrase(s, depth-1)
		}
		return fmt.Sprintf(m.own, args...)
	}
	return text
}
