package messages

import (
	"regexp"
	"strings"
	"testing"

	"goproxytrace/analyze/diagnose"
)

// everyText yields all texts that english.explanations consist of, by what they are of.
func everyText() map[string]string {
	out := map[string]string{}
	for c, e := range english.explanations {
		out[string(c)+" seen"] = e.Seen
		for _, a := range e.Alikes {
			out[string(c)+" alike "+a.What] = a.What + ". " + a.Told
		}
	}
	for id, s := range english.whens {
		out[id] = s
	}
	for id, s := range english.thresholdReasons {
		out["threshold "+id] = s
	}
	for _, m := range []map[string]Note{english.notes, english.health} {
		for id, n := range m {
			out[id+" seen"], out[id+" means"] = n.Seen, n.Means
		}
	}
	return out
}

func TestEveryClassExplained(t *testing.T) {
	for _, c := range diagnose.ClassOrder {
		e, ok := English.Explain(c)
		if !ok || e.Seen == "" || len(e.Alikes) == 0 {
			t.Errorf("%s is not explained, or nothing looks like it", c)
		}
		if d := diagnose.Descriptions[c]; d == nil {
			t.Errorf("%s is explained and not described", c)
		}
	}
	if len(english.explanations) != len(diagnose.ClassOrder) {
		t.Errorf("%d classes explained, %d known", len(english.explanations), len(diagnose.ClassOrder))
	}
	if _, ok := English.Explain("tls.unheard-of"); ok {
		t.Error("an unknown class is explained")
	}
}

// Each identifier that descriptions use has its text, and no text is left over.
func TestEveryExplanationText(t *testing.T) {
	used := map[string]bool{}
	for c, d := range diagnose.Descriptions {
		for _, r := range d.Reach {
			used[r.When] = true
			if English.When(r.When) == "" {
				t.Errorf("%s: no text for %s", c, r.When)
			}
		}
		for _, id := range d.Evidence {
			if english.evidence[id] == "" || English.Pattern(id) == "" {
				t.Errorf("%s: no sentence for evidence %s", c, id)
			}
		}
		for _, list := range [][]string{diagnose.Classes[c].NextSteps, diagnose.Classes[c].RefutedBy} {
			for _, id := range list {
				if english.texts[id] == "" && english.steps[id] == "" {
					t.Errorf("%s: no sentence for %s", c, id)
				}
			}
		}
	}
	for id := range english.whens {
		if !used[id] {
			t.Errorf("%s is said of no class", id)
		}
	}
	known := map[string]bool{}
	for i := range diagnose.Thresholds {
		v, reason := English.Threshold(&diagnose.Thresholds[i])
		name := diagnose.Thresholds[i].Value.Name
		known[name] = true
		if v == "" || reason == "" {
			t.Errorf("threshold %s: value %q, reason %q", name, v, reason)
		}
	}
	for name := range english.thresholdReasons {
		if !known[name] {
			t.Errorf("%s is no threshold", name)
		}
	}
	for i := range diagnose.Rows {
		r := &diagnose.Rows[i]
		if English.RowName(r.ID) == "" {
			t.Errorf("row %s has no name", r.ID)
		}
		for _, id := range r.Evidence {
			if english.evidence[id] == "" {
				t.Errorf("row %s: no sentence for evidence %s", r.ID, id)
			}
		}
	}
	if len(english.rows) != len(diagnose.Rows) {
		t.Errorf("%d rows named, %d known", len(english.rows), len(diagnose.Rows))
	}
	for _, list := range [][]Note{English.Notes(), English.HealthFacts()} {
		for _, n := range list {
			if n.Title == "" || n.Seen == "" || n.Means == "" {
				t.Errorf("%s is not explained", n.ID)
			}
		}
	}
	if len(English.Notes()) != len(english.notes) || len(English.HealthFacts()) != len(english.health) {
		t.Errorf("%d notes of %d, %d health facts of %d", len(English.Notes()), len(english.notes), len(English.HealthFacts()), len(english.health))
	}
	for _, n := range English.HealthFacts() {
		if english.evidence[n.ID] == "" {
			t.Errorf("health fact %s has no sentence", n.ID)
		}
	}
	for _, n := range English.Notes() {
		if english.texts[n.ID] == "" {
			t.Errorf("note %s has no sentence", n.ID)
		}
	}
}

// Texts are whole sentences without false advice, numbers that a threshold
// holds, or names of hosts that are nobody's example.
func TestExplanationWording(t *testing.T) {
	host := regexp.MustCompile(`\b[a-z0-9-]+(\.[a-z0-9-]+)*\.(org|com|io|net)\b`)
	for id, s := range everyText() {
		if !strings.HasSuffix(s, ".") {
			t.Errorf("%s does not end as a sentence: %q", id, s)
		}
		for _, bad := range falseAdvice {
			if strings.Contains(s, bad) {
				t.Errorf("%s advises %q", id, bad)
			}
		}
		if m := host.FindString(s); m != "" {
			t.Errorf("%s names the host %s", id, m)
		}
		if strings.ContainsAny(s, "{}\n\t") {
			t.Errorf("%s holds a placeholder or a control byte: %q", id, s)
		}
		// A threshold that an explanation mentions is one.
		for _, w := range regexp.MustCompile(`\b[a-z]+[A-Z]\w+\b`).FindAllString(s, -1) {
			if english.thresholdReasons[w] == "" {
				t.Errorf("%s mentions %s, which is no threshold", id, w)
			}
		}
	}
}

func TestPattern(t *testing.T) {
	for _, c := range [][2]string{
		{"serverflight.incomplete", "the server's part of the handshake stopped after <bytes>"},
		{"synack.damaged", "the answers to the SYN carry a wrong checksum"},
		{"no.such-evidence", "no.such-evidence"},
	} {
		if got := English.Pattern(c[0]); got != c[1] {
			t.Errorf("%s: %q, want %q", c[0], got, c[1])
		}
	}
	if got := English.Pattern("icmp.too-big"); got != "<router> says that the packet is too big[ (next link: <mtu>)]" {
		t.Errorf("got %q", got)
	}
}
