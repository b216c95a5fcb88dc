package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"goproxytrace/analyze/diagnose"
	"goproxytrace/report/messages"
)

// Topic is something that can be explained: a class, a note on a verdict, or
// a fact about a capture's health.
type Topic struct {
	// ID is the class, note or fact as reports show it.
	ID string
	// Title is a few words.
	Title string

	language messages.Language
	class    diagnose.Class // empty for a note or fact
	note     *messages.Note // nil for a class
	kind     string         // what note is: kindNote or kindHealth
}

// The kinds of topics that are no class, as labels.
const (
	kindNote   = "topic.note"
	kindHealth = "topic.health"
)

// Topics returns everything that can be explained: classes in the order of a
// request's way, then notes, then facts about the capture's health.
func Topics(l messages.Language) []Topic {
	var out []Topic
	for _, c := range diagnose.ClassOrder {
		out = append(out, Topic{ID: string(c), Title: l.ClassTitle(c), language: l, class: c})
	}
	for _, n := range l.Notes() {
		out = append(out, Topic{ID: n.ID, Title: n.Title, language: l, kind: kindNote, note: &n})
	}
	for _, n := range l.HealthFacts() {
		out = append(out, Topic{ID: n.ID, Title: n.Title, language: l, kind: kindHealth, note: &n})
	}
	return out
}

// FindTopics returns the topics of a name: one that is equal to it, or all
// that begin with a prefix that ends in a dot ("tls.", or "tls.*"). The error
// of an unknown name is an *UnknownTopicError.
func FindTopics(name string, l messages.Language) ([]Topic, error) {
	all := Topics(l)
	prefix := strings.TrimSuffix(name, "*")
	var out []Topic
	for _, t := range all {
		if t.ID == name || strings.HasSuffix(prefix, ".") && strings.HasPrefix(t.ID, prefix) {
			out = append(out, t)
		}
	}
	if len(out) == 0 {
		return nil, &UnknownTopicError{Name: name, Near: near(name, all)}
	}
	return out, nil
}

// UnknownTopicError says that there is nothing of a name.
type UnknownTopicError struct {
	Name string
	// Near lists what may have been meant, the nearest first, at most 3.
	Near []string
}

func (e *UnknownTopicError) Error() string { return fmt.Sprintf("unknown class %q", e.Name) }

// near returns the topics that a mistyped name may stand for.
func near(name string, all []Topic) []string {
	const most, longest = 3, 64
	name = strings.ToLower(strings.TrimRight(strings.TrimSpace(name), ".*"))
	if name == "" || len(name) > longest {
		return nil
	}
	type match struct {
		id       string
		distance int
	}
	var found []match
	groups := map[string]bool{}
	for _, t := range all {
		id := strings.ToLower(t.ID)
		group, rest, _ := strings.Cut(id, ".")
		if group == name && rest != "" {
			// A group is asked for with its dot.
			if !groups[group] {
				groups[group] = true
				found = append(found, match{t.ID[:len(group)+1], -1})
			}
			continue
		}
		d := min(distance(name, id), distance(name, rest))
		if strings.Contains(id, name) && len(name) >= 3 {
			d = min(d, 1)
		}
		if d <= max(2, len(name)/4) {
			found = append(found, match{t.ID, d})
		}
	}
	slices.SortStableFunc(found, func(a, b match) int { return cmp.Compare(a.distance, b.distance) })
	var out []string
	for _, m := range found[:min(len(found), most)] {
		out = append(out, m.id)
	}
	return out
}

// distance is the number of bytes to insert, delete or replace to get from a
// to b (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			d := diagonal
			if a[i] != b[j] {
				d++
			}
			diagonal = row[j+1]
			row[j+1] = min(d, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
