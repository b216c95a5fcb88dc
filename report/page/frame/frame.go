// Package frame is what the program's HTML pages have in common: the style sheet,
// the policy that lets nothing load or run but what is named by its hash, and what
// makes text from outside fit to be shown.
package frame

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
)

// Style is the style sheet of all pages.
//
//go:embed frame.css
var Style string

// hash returns the source of a Content-Security-Policy for an inline element
// of this content (CSP Level 3, section 2.3.1).
func hash(content string) string {
	sum := sha256.Sum256([]byte(content))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// Policy lets a page load nothing, and have one style sheet and one script of its
// own; empty for none.
func Policy(style, script string) string {
	p := "default-src 'none'; style-src " + hash(style)
	if script != "" {
		p += "; script-src " + hash(script)
	}
	return p + "; base-uri 'none'; form-action 'none'"
}

// Element makes an element whose content is not to be escaped: a page's own
// style and script, and JSON in which <, > and & are escaped already.
func Element(name, attrs, content string) template.HTML {
	return template.HTML("<" + name + attrs + ">" + content + "</" + name + ">")
}
