package messages

import (
	"fmt"
	"strings"
)

// Language is one that people read reports in; the zero one is English.
// Identifiers, class names and commands are the same in all of them.
type Language uint8

// The languages. Chinese is Simplified Chinese.
const (
	English Language = iota
	Chinese
)

// Languages are all there are, by the names that ParseLanguage takes.
var Languages = []Language{English, Chinese}

// String returns "en" or "zh".
func (l Language) String() string {
	if l == Chinese {
		return "zh"
	}
	return "en"
}

// Tag returns the language tag for HTML (RFC 5646): "en" or "zh-Hans".
func (l Language) Tag() string {
	if l == Chinese {
		return "zh-Hans"
	}
	return "en"
}

// ParseLanguage reads a name as String gives it.
func ParseLanguage(s string) (Language, error) {
	for _, l := range Languages {
		if s == l.String() {
			return l, nil
		}
	}
	return English, fmt.Errorf("unknown language %q", s)
}

// LanguageOfLocale returns the language for the name of a locale, of POSIX
// (zh_CN.UTF-8) or BCP 47 (zh-Hans-CN). Every Chinese gets the Simplified one,
// since there is no other here; what has no catalogue gets English. known is
// false for a name that asks for no language: an empty one, C and POSIX.
func LanguageOfLocale(name string) (l Language, known bool) {
	name, _, _ = strings.Cut(name, ".")
	name, _, _ = strings.Cut(name, "@")
	code := strings.ToLower(name)
	if i := strings.IndexAny(code, "_-"); i >= 0 {
		code = code[:i]
	}
	switch code {
	case "", "c", "posix":
		return English, false
	case "zh":
		return Chinese, true
	}
	return English, true
}
