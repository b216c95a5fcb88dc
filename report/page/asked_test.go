package page

import (
	"path/filepath"
	"strings"
	"testing"

	"goproxytrace/analyze/diagnose"
)

// The packets of a lookup that failed are listed with what each says, and the
// evidence leads to them; a lookup that went well lists none.
func TestAsked(t *testing.T) {
	docs := documents(t, filepath.Join(pcaps, "dns-forged-refused.pcapng"))
	p := checkPage(t, write(t, docs))
	for _, want := range []string{
		"asks 203.0.113.53:53 for A of proxy.example", "answer: 203.0.113.80", "answer: 203.0.113.10", "ICMP 3/3", "nobody listened for the answer any more",
		"应答：203.0.113.10", "client ← resolver",
	} {
		if !strings.Contains(squeeze(p.text), want) {
			t.Errorf("%q is not on the page", want)
		}
	}
	for i := range docs[0].Verdict.Evidence {
		for _, f := range docs[0].Verdict.Evidence[i].Frames {
			if l := linkTo(f, map[int64]bool{f: true}); !p.ids[strings.TrimPrefix(l.Href, "#")] {
				t.Errorf("frame %d has no row", f)
			}
		}
	}
	if p = checkPage(t, write(t, documents(t, filepath.Join(pcaps, "healthy-h2.pcapng")))); p.ids["asked"] {
		t.Error("a page without a failed lookup lists its packets")
	}
}

// Evidence in a frame that no table shows leads to the filter that shows it.
func TestEvidenceElsewhere(t *testing.T) {
	r := hostileResult("proxy.example")
	defer r.Close()
	r.Verdict.Evidence = []diagnose.Evidence{{ID: "elsewhere", Frames: []int64{1, 4711}}}
	page := write(t, build(r, "x.pcapng"))
	checkPage(t, page)
	for _, want := range []string{`<a class="frame" href="#f1">#1</a>`, `<a class="frame" href="#w1">#4711</a>`} {
		if !strings.Contains(page, want) {
			t.Errorf("%s is not on the page", want)
		}
	}
}
