// Package htmltest opens the HTML page in a browser.
//
// It holds tests alone: captures become pages, Chromium opens them from a file,
// and what a person would do with them is done: following the evidence, looking
// closer, switching the language, printing, reading without script. axe-core
// looks for what shuts people out, html-validate for what is no HTML. What
// these need is installed from testdata/browser by npm ci.
package htmltest
