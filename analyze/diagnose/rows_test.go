package diagnose

import (
	"bufio"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// groups are the groups of rows with the number of rows in each.
var groups = []struct {
	letter string
	n      int
}{{"K", 9}, {"L", 10}, {"D", 6}, {"S", 8}, {"P", 6}, {"R", 7}, {"A", 6}, {"H", 6}, {"T", 14}, {"O", 4}, {"N", 2}}

func TestRows(t *testing.T) {
	var want, have []string
	for _, g := range groups {
		for i := range g.n {
			want = append(want, g.letter+strconv.Itoa(i+1))
		}
	}
	emitted := map[string]bool{}
	for _, s := range readSource(t) {
		for id := range s.evidence {
			emitted[id] = true
		}
	}
	for i := range Rows {
		r := &Rows[i]
		have = append(have, r.ID)
		if len(r.Classes)+len(r.Notes)+len(r.Health) == 0 && !r.AnyDeath {
			t.Errorf("%s leads nowhere", r.ID)
		}
		for _, c := range r.Classes {
			if Descriptions[c] == nil {
				t.Errorf("%s: unknown class %s", r.ID, c)
			}
		}
		for _, n := range r.Notes {
			if !slices.Contains(Notes, n) {
				t.Errorf("%s: unknown note %s", r.ID, n)
			}
		}
		for _, id := range r.Evidence {
			if !emitted[id] {
				t.Errorf("%s: no rule observes %s", r.ID, id)
			}
			if configured(id) {
				continue // it joins a verdict of any class
			}
			if !slices.ContainsFunc(r.Classes, func(c Class) bool { return slices.Contains(Descriptions[c].Evidence, id) }) {
				t.Errorf("%s: %s belongs to none of %v", r.ID, id, r.Classes)
			}
		}
	}
	if !slices.Equal(have, want) {
		t.Errorf("rows are\n%v, want\n%v", have, want)
	}
	if got := RowsOf(LinkGatewaySilent); !slices.Equal(got, []string{"S2"}) {
		t.Errorf("rows of %s: %v", LinkGatewaySilent, got)
	}
}

// The health facts that rows name are those that package analyze yields.
func TestRowHealth(t *testing.T) {
	src, err := os.ReadFile(filepath.Join("..", "health.go"))
	if err != nil {
		t.Fatal(err)
	}
	var yielded, named []string
	for _, m := range regexp.MustCompile(`"((?:K[0-9]|host)\.[a-z-]+)"`).FindAllStringSubmatch(string(src), -1) {
		yielded = append(yielded, m[1])
	}
	for i := range Rows {
		named = append(named, Rows[i].Health...)
	}
	slices.Sort(yielded)
	slices.Sort(named)
	if yielded, named = slices.Compact(yielded), slices.Compact(named); len(yielded) == 0 || !slices.Equal(yielded, named) {
		t.Errorf("analyze yields %v, rows name %v", yielded, named)
	}
}

// contract opens one of the papers that the classes are agreed in, which are
// not part of the project.
func contract(t *testing.T, name string) *bufio.Scanner {
	t.Helper()
	dir := os.Getenv("GOPROXYTRACE_CONTRACT")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared")
	}
	f, err := os.Open(filepath.Join(dir, name))
	if err != nil {
		t.Skipf("no %s: set GOPROXYTRACE_CONTRACT to its directory (%v)", name, err)
	}
	t.Cleanup(func() { f.Close() })
	s := bufio.NewScanner(f)
	s.Buffer(nil, 1<<20)
	return s
}

// placesInWords are the widest places of classes for which the agreed table
// says them in words.
var placesInWords = map[Class][]Place{
	OK: nil, NoTraffic: nil, CaptureUnusable: nil,
	ProxySilent: beyond, HTTPNoResponse: beyond, TransferRemoteIdle: beyond,
	TLSNotTLS: {Client, Network, Remote},
}

// The classes, their stages, widest places and rows are the agreed ones.
func TestAgreedClasses(t *testing.T) {
	s := contract(t, "VERDICTS.md")
	found := map[Class]bool{}
	slug := regexp.MustCompile("`([a-z0-9.-]+)`")
	rowRange := regexp.MustCompile(`\b([A-Z])([0-9]+)(?:-([A-Z])([0-9]+))?\b`)
	in := false
	for s.Scan() {
		line := s.Text()
		if strings.HasPrefix(line, "## ") {
			in = line == "## Classes"
		}
		if !in || !strings.HasPrefix(line, "| `") {
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		var rows []string
		for _, m := range rowRange.FindAllStringSubmatch(cells[3], -1) {
			from, _ := strconv.Atoi(m[2])
			to := from
			if m[4] != "" {
				to, _ = strconv.Atoi(m[4])
			}
			for i := from; i <= to; i++ {
				rows = append(rows, m[1]+strconv.Itoa(i))
			}
		}
		classes := slug.FindAllStringSubmatch(cells[0], -1)
		var inCell []string
		for _, m := range classes {
			c := Class(m[1])
			found[c] = true
			if Descriptions[c] == nil {
				t.Errorf("%s is not described", c)
				continue
			}
			if stage := strings.TrimSpace(cells[1]); stage != "any" && stage != string(Classes[c].Stage) {
				t.Errorf("%s: stage %s, agreed %s", c, Classes[c].Stage, stage)
			}
			want, words := placesInWords[c]
			if !words {
				for p := range strings.SplitSeq(regexp.MustCompile(`\(.*`).ReplaceAllString(cells[2], ""), ",") {
					want = append(want, Place(strings.TrimSpace(p)))
				}
			}
			have := slices.Clone(Descriptions[c].Widest)
			slices.Sort(have)
			if want = slices.Clone(want); !slices.Equal(have, slices.Sorted(slices.Values(want))) {
				t.Errorf("%s: widest places %v, agreed %v", c, have, want)
			}
			inCell = append(inCell, RowsOf(c)...)
		}
		for _, id := range rows {
			if !slices.Contains(inCell, id) {
				t.Errorf("%s: row %s is not mapped to it", strings.TrimSpace(cells[0]), id)
			}
		}
	}
	if len(found) != len(Classes) {
		t.Errorf("%d classes agreed, %d known", len(found), len(Classes))
	}
}

// The rows are those of the agreed taxonomy.
func TestAgreedRows(t *testing.T) {
	s := contract(t, "DOMAIN.md")
	in, n := false, 0
	row := regexp.MustCompile(`^\| ([KLDSPRAHTON][0-9]+) \|`)
	for s.Scan() {
		if line := s.Text(); strings.HasPrefix(line, "### ") {
			in = strings.HasPrefix(line, "### 3.3")
		} else if m := row.FindStringSubmatch(line); in && m != nil {
			n++
			if !slices.ContainsFunc(Rows, func(r Row) bool { return r.ID == m[1] }) {
				t.Errorf("row %s is not mapped", m[1])
			}
		}
	}
	if n != len(Rows) {
		t.Errorf("%d rows agreed, %d mapped", n, len(Rows))
	}
}
