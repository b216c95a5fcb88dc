package page

import (
	"slices"

	"goproxytrace/analyze/diagnose"
	"goproxytrace/report"
	"goproxytrace/report/charts"
)

// verdictView is the head of the page.
type verdictView struct {
	Tone    string // died, ok or unknown
	Class   string
	Title   []span // the class in a few words
	Summary []span
	Notes   [][]span
	Level   []span
	Unsure  []span // what of it is not proven where the event is
	Places  []placeView
	Stages  []stageView
}

type placeView struct {
	Name, What []span
	Here       bool
	Sure       bool   // it is proven that it died there
	Said       []span // of a place that is marked
}

func (b *book) verdict() (v verdictView, err error) {
	d := b.docs[0]
	x := &d.Verdict
	v = verdictView{
		Class:   x.Class,
		Summary: b.spans(b.each(func(d *report.Document) string { return d.Verdict.Summary })),
		Tone:    "unknown",
	}
	title := make(charts.Words, len(b.docs))
	for i, d := range b.docs {
		title[i] = d.Language.ClassTitle(diagnose.Class(x.Class))
	}
	v.Title = b.spans(title)
	switch {
	case x.Died:
		v.Tone = "died"
	case x.Class == string(diagnose.OK):
		v.Tone = "ok"
	}
	v.Notes = b.all(b.lists((*report.Document).Notes))
	if x.Level != "" && x.Level != string(diagnose.None) {
		v.Level = b.spans(b.join("colon", b.say("level."+x.Level), b.say("document.level."+x.Level)))
	}
	if !x.Died {
		return v, nil
	}
	sure := len(x.Place) == 1 && x.Level == string(diagnose.Proven)
	said := b.spans(b.say(whereLabel(x)))
	if len(x.Place) > 1 && x.Level == string(diagnose.Proven) {
		v.Unsure = b.spans(b.say("page.place-open"))
	}
	for _, p := range []diagnose.Place{diagnose.Client, diagnose.Host, diagnose.Network, diagnose.Remote} {
		here := slices.Contains(x.Place, string(p))
		v.Places = append(v.Places, placeView{b.spans(b.say("place." + string(p))), b.spans(b.say("document.place." + string(p))), here, here && sure, said})
	}
	v.Stages, err = b.stages(x)
	return v, err
}

// whereLabel names the label of a marked place: how sure it is that the request
// died there.
func whereLabel(v *report.Verdict) string {
	switch {
	case len(v.Place) == 2:
		return "page.at"
	case len(v.Place) > 2:
		return "page.at-one"
	case v.Level == string(diagnose.Proven):
		return "page.died"
	case v.Level == string(diagnose.Suggested):
		return "page.died-likely"
	}
	return "page.died-maybe"
}
