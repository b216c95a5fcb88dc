package messages

import (
	"regexp"
	"strings"
	"testing"

	"goproxytrace/analyze/diagnose"
)

// everyText yields all texts that explanations consist of, by what they are of.
func everyText() map[string]string {
	out := map[string]string{}
	for c, e := range explanations {
		out[string(c)+" seen"] = e.Seen
		for _, a := range e.Alikes {
			out[string(c)+" alike "+a.What] = a.What + ". " + a.Told
		}
		if e.Unreported != "" {
			out[string(c)+" unreported"] = e.Unreported
		}
	}
	for id, s := range whens {
		out[id] = s
	}
	for id, s := range thresholdReasons {
		out["threshold "+id] = s
	}
	for _, m := range []map[string]Note{noteTexts, healthTexts} {
		for id, n := range m {
			out[id+" seen"], out[id+" means"] = n.Seen, n.Means
		}
	}
	return out
}

func TestEveryClassExplained(t *testing.T) {
	for _, c := range diagnose.ClassOrder {
		e, ok := Explain(c)
		if !ok || e.Seen == "" || len(e.Alikes) == 0 {
			t.Errorf("%s is not explained, or nothing looks like it", c)
		}
		if d := diagnose.Descriptions[c]; d == nil || d.Unreported != (e.Unreported != "") {
			t.Errorf("%s: described as unreported and explained so differ (%q)", c, e.Unreported)
		}
	}
	if len(explanations) != len(diagnose.ClassOrder) {
		t.Errorf("%d classes explained, %d known", len(explanations), len(diagnose.ClassOrder))
	}
	if _, ok := Explain("tls.unheard-of"); ok {
		t.Error("an unknown class is explained")
	}
}

// Each identifier that descriptions use has its text, and no text is left over.
func TestEveryExplanationText(t *testing.T) {
	used := map[string]bool{}
	for c, d := range diagnose.Descriptions {
		for _, r := range d.Reach {
			used[r.When] = true
			if When(r.When) == "" {
				t.Errorf("%s: no text for %s", c, r.When)
			}
		}
		for _, id := range d.Evidence {
			if evidence[id] == "" || Pattern(id) == "" {
				t.Errorf("%s: no sentence for evidence %s", c, id)
			}
		}
		for _, list := range [][]string{diagnose.Classes[c].NextSteps, diagnose.Classes[c].RefutedBy} {
			for _, id := range list {
				if texts[id] == "" {
					t.Errorf("%s: no sentence for %s", c, id)
				}
			}
		}
	}
	for id := range whens {
		if !used[id] {
			t.Errorf("%s is said of no class", id)
		}
	}
	known := map[string]bool{}
	for i := range diagnose.Thresholds {
		v, reason := Threshold(&diagnose.Thresholds[i])
		name := diagnose.Thresholds[i].Value.Name
		known[name] = true
		if v == "" || reason == "" {
			t.Errorf("threshold %s: value %q, reason %q", name, v, reason)
		}
	}
	for name := range thresholdReasons {
		if !known[name] {
			t.Errorf("%s is no threshold", name)
		}
	}
	for i := range diagnose.Rows {
		r := &diagnose.Rows[i]
		if RowName(r.ID) == "" {
			t.Errorf("row %s has no name", r.ID)
		}
		for _, id := range r.Evidence {
			if evidence[id] == "" {
				t.Errorf("row %s: no sentence for evidence %s", r.ID, id)
			}
		}
	}
	if len(rowNames) != len(diagnose.Rows) {
		t.Errorf("%d rows named, %d known", len(rowNames), len(diagnose.Rows))
	}
	for _, list := range [][]Note{Notes(), HealthFacts()} {
		for _, n := range list {
			if n.Title == "" || n.Seen == "" || n.Means == "" {
				t.Errorf("%s is not explained", n.ID)
			}
		}
	}
	if len(Notes()) != len(noteTexts) || len(HealthFacts()) != len(healthTexts) {
		t.Errorf("%d notes of %d, %d health facts of %d", len(Notes()), len(noteTexts), len(HealthFacts()), len(healthTexts))
	}
	for _, n := range HealthFacts() {
		if evidence[n.ID] == "" {
			t.Errorf("health fact %s has no sentence", n.ID)
		}
	}
	for _, n := range Notes() {
		unreported := strings.Contains(n.Means, "No rule gives this note")
		listed := false
		for _, id := range diagnose.UnreportedNotes {
			listed = listed || id == n.ID
		}
		if unreported != listed {
			t.Errorf("note %s: explained as unreported %v, listed so %v", n.ID, unreported, listed)
		}
		if !listed && texts[n.ID] == "" {
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
			if thresholdReasons[w] == "" {
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
		if got := Pattern(c[0]); got != c[1] {
			t.Errorf("%s: %q, want %q", c[0], got, c[1])
		}
	}
	if got := Pattern("icmp.too-big"); got != "<router> says that the packet is too big[ (next link: <mtu>)]" {
		t.Errorf("got %q", got)
	}
}
