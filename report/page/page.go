// Package page writes the report as one HTML file.
//
// In come the documents of one result, one for each language that the page can
// be read in; out comes a file that needs nothing else and asks nobody for
// anything. It is complete without its script, which adds what a pointer
// shows, closer looks, sorting and copying. Everything from a capture is
// escaped, and nothing in the page may load or run but what is named by its
// hash.
package page

import (
	"bufio"
	"bytes"
	_ "embed"
	"errors"
	"html/template"
	"io"
	"slices"
	"strings"

	"goproxytrace/analyze/diagnose"
	"goproxytrace/report"
	"goproxytrace/report/charts"
	"goproxytrace/report/messages"
	"goproxytrace/report/page/frame"
)

//go:embed page.gohtml
var pageSource string

//go:embed page.js
var scriptSource string

// Bounds on a page.
const (
	mostTraced  = 8    // connections with diagrams
	mostListed  = 1000 // connections in the table
	mostLookups = 500
	mostEvents  = 200
	mostFrames  = 32      // linked behind one sentence
	mostData    = 3 << 20 // bytes of the report as JSON
)

var pageTemplate = template.Must(template.New("page").Parse(pageSource))

// Write writes the page of documents that were built from one result, each in
// another language; the page opens in the first one's. One of them is English.
func Write(w io.Writer, docs ...*report.Document) error {
	v, err := newView(docs)
	if err != nil {
		return err
	}
	b := bufio.NewWriterSize(w, 64<<10)
	if err := pageTemplate.Execute(b, v); err != nil {
		return err
	}
	return b.Flush()
}

// view is what the template shows.
type view struct {
	b         *book
	Lang      string
	Languages []language
	Policy    string
	// Style, Script and Data are whole elements.
	Style, Script, Data template.HTML

	Title   string
	L       map[string][]span // labels of the page without values
	Verdict verdictView
	Proofs  []proofView
	// Filter shows all frames of the evidence.
	Filter string
	// Replaced says that names are pseudonyms, empty where they are not.
	Replaced    []span
	Steps       [][]span
	Refuted     [][]span
	NotAssessed [][]span
	Conns       []connView
	Trouble     []span
	Fall        template.HTML
	FallOmitted []span
	Swatches    []legend
	Table       []tableRow
	TableHas    tableColumns
	TableMore   []span
	Asked       []askedView
	AskedFirst  bool // they are what the verdict is about
	Lookups     []lookupRow
	LookupsMore []span
	Attempts    []attemptRow
	Processes   []processRow
	GoOutput    []goRow
	Events      []eventRow
	EventsMore  []span
	Capture     captureView
	Facts       []fact
}

type language struct {
	ID, Tag, Name string
	First         bool
}

type legend struct {
	Shape template.HTML
	Text  []span
}

// fact is a name and what is known under it.
type fact struct {
	Name []span
	Text []span
	Mono bool
}

type frameLink struct {
	Frame string
	Href  string // empty where the page does not show the frame
}

func newView(docs []*report.Document) (*view, error) {
	if len(docs) == 0 {
		return nil, errors.New("html: no document")
	}
	b := &book{docs: docs}
	english := -1
	v := &view{b: b, Policy: frame.Policy(frame.Style, scriptSource)}
	for i, d := range docs {
		b.tags = append(b.tags, d.Language.Tag())
		if d.Language == messages.English {
			english = i
		}
		v.Languages = append(v.Languages, language{"lang-" + d.Language.String(), d.Language.Tag(), d.Language.Label("page.language"), i == 0})
	}
	if english < 0 {
		return nil, errors.New("html: no document in English")
	}
	d := docs[0]
	v.Lang = b.tags[0]
	v.Style = frame.Element("style", "", frame.Style)
	v.Script = frame.Element("script", "", scriptSource)
	v.labels()
	v.Title = frame.Tame(d.Verdict.Class + " – " + frame.Name(d.Capture.File) + " – goproxytrace")
	var err error
	if v.Verdict, err = b.verdict(); err != nil {
		return nil, err
	}
	v.Steps = b.all(b.lists(func(d *report.Document) []string { return d.Verdict.NextSteps }))
	if len(v.Steps) == 0 && d.Verdict.Class == string(diagnose.OK) {
		v.Steps = [][]span{b.spans(b.say("page.ok-step"))}
	}
	if d.Redacted() {
		v.Replaced = b.spans(b.say("page.replaced"))
		if i := slices.IndexFunc(d.Targets, func(s string) bool { return strings.HasSuffix(s, ".example") }); i >= 0 {
			v.Replaced = b.spans(b.say("page.replaced-target", diagnose.Text("name", frame.Name(d.Targets[i]))))
		}
	}
	v.Refuted = b.all(b.lists(func(d *report.Document) []string { return d.Verdict.RefutedBy }))
	v.NotAssessed = b.all(b.lists(func(d *report.Document) []string { return d.Verdict.NotAssessed }))
	anchors := map[int64]bool{}
	if err := v.connections(anchors); err != nil {
		return nil, err
	}
	v.asked(anchors)
	if err := v.tables(anchors); err != nil {
		return nil, err
	}
	v.proofs(anchors)
	v.capture()
	raw, err := data(docs[english])
	if err != nil {
		return nil, err
	}
	v.Data = frame.Element("script", ` type="application/json" id="`+dataID+`"`, raw)
	return v, nil
}

// data returns a document as JSON, without the connections, lookups and events
// that matter least where it would be too long.
func data(d *report.Document) (string, error) {
	var raw bytes.Buffer
	for _, limit := range [...]int{mostListed, 300, 100, 30, 10, 1} {
		excerpt, err := d.Excerpt(limit)
		if err != nil {
			return "", err
		}
		raw.Reset()
		if err := report.WriteJSON(&raw, excerpt, false); err != nil {
			return "", err
		}
		if raw.Len() <= mostData {
			break
		}
	}
	return raw.String(), nil
}

// dataID is the identifier of the element that holds the report as JSON.
const dataID = "goproxytrace-report"

// pageLabels are the labels without values that the template shows.
var pageLabels = []string{
	"page.report", "page.where", "page.how-far", "page.copy-filter", "page.copied", "page.all-evidence", "page.wireshark",
	"page.wireshark-how", "page.sequence", "page.packets", "page.own-evidence", "page.timeline", "page.timeline-what",
	"page.filter", "page.no-match", "page.environment", "page.data", "page.host-said", "page.go-said", "page.others",
	"page.skip", "page.zoom-what", "page.to-far", "page.to-client", "page.no-arrival",
	"heading.evidence", "heading.next-steps", "heading.refuted-by", "heading.processes", "heading.connections", "heading.capture", "heading.not-assessed",
	"page.lookups", "page.asked", "page.dns-to", "page.dns-from", "page.attempts", "page.footer",
	"column.frame", "column.server", "column.address", "column.process", "column.connect", "column.tls", "column.first-byte", "column.sent",
	"column.received", "column.resent", "column.verdict",
	"page.column-time", "page.column-from", "page.column-what", "page.column-seq", "page.column-ack", "page.column-len", "page.column-window", "page.column-findings",
	"page.column-name", "page.column-span", "page.column-type", "page.column-answer", "page.column-took", "page.column-resolver", "page.column-error", "page.column-source",
	"page.column-text", "page.column-line", "page.column-packets", "page.column-exit", "page.column-command", "page.column-dropped",
	"page.column-interface", "page.column-link",
}

func (v *view) labels() {
	v.L = make(map[string][]span, len(pageLabels))
	for _, id := range pageLabels {
		_, key, _ := strings.Cut(id, ".")
		if strings.HasPrefix(id, "column.") {
			key = "col-" + key
		}
		v.L[strings.ReplaceAll(key, "-", "_")] = v.b.spans(v.b.say(id))
	}
}

func (b *book) all(list []charts.Words) (out [][]span) {
	for _, w := range list {
		out = append(out, b.spans(w))
	}
	return out
}
