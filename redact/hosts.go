package redact

import (
	"net/netip"
	"strconv"
	"strings"
)

// zone holds the pseudonyms of the labels below one domain.
type zone struct {
	labels map[string]string // label to pseudonym
	taken  map[string]struct{}
	counts map[int]int // by length
}

// suffixes are last labels that say nothing about whose a name is.
var suffixes = set("com net org io dev app cn arpa corp example home internal intranet invalid lan lab local localdomain localhost onion private test")

// services are first labels that say what a host does; what a go command may
// want of one depends on it.
var services = set("www git gitlab gitea hg svn bzr fossil gerrit gopkg")

func set(words string) map[string]bool {
	m := make(map[string]bool)
	for _, w := range strings.Fields(words) {
		m[w] = true
	}
	return m
}

// Host returns the pseudonym of a host name: of the same length, label by
// label, in lower case. An address becomes that address's pseudonym.
func (r *Redactor) Host(name string) string {
	if r.reveal[Hosts] || name == "" {
		return name
	}
	if a, err := netip.ParseAddr(strings.Trim(name, "[]")); err == nil {
		return r.Endpoint(bracketed(a, name))
	}
	rest, dot := strings.CutSuffix(name, ".")
	rest = lower(rest)
	if p, ok := r.hosts[rest]; ok {
		if dot {
			p += "."
		}
		return p
	}
	whole := rest
	kept := r.publicEnd(rest)
	if len(kept) == len(rest) {
		return name
	}
	out := ""
	if kept != "" {
		out = kept
		rest = strings.TrimSuffix(rest[:len(rest)-len(kept)], ".")
	}
	for parent, more := kept, kept != ""; ; more = true {
		i := strings.LastIndexByte(rest, '.')
		label := rest[i+1:]
		p := r.label(parent, label, i < 0)
		if more {
			p += "." + out
		}
		out, parent = p, label+"."+parent
		if i < 0 {
			break
		}
		rest = rest[:i]
	}
	r.hosts[whole] = out
	if dot {
		out += "."
	}
	return out
}

func bracketed(a netip.Addr, as string) string {
	if strings.HasPrefix(as, "[") {
		return "[" + a.String() + "]"
	}
	return a.String()
}

func (r *Redactor) publicEnd(name string) string {
	if r.public != nil {
		if end := r.public(name); end != "" && (end == name || strings.HasSuffix(name, "."+end)) {
			return end
		}
	}
	return ""
}

// label returns the pseudonym of a label below parent (its labels, each with a
// dot behind it); first is true for a name's first label.
func (r *Redactor) label(parent, label string, first bool) string {
	switch {
	case label == "" || label == "*":
		return label
	case parent == "" && (!first || label == "localhost") && suffixes[label]:
		return label
	case parent != "" && first && services[label]:
		return label
	}
	z := r.zones[parent]
	if z == nil {
		z = &zone{labels: make(map[string]string), taken: make(map[string]struct{}), counts: make(map[int]int)}
		r.zones[parent] = z
	}
	if p, ok := z.labels[label]; ok {
		return p
	}
	n := len(label)
	p := ""
	// Where all of a length are given, two labels become one.
	for try := 0; try < 100; try++ {
		if r.key != nil {
			p = sizedHash(r.mac("host", label+"."+parent+"/"+strconv.Itoa(try)), n)
		} else {
			z.counts[n]++
			p = sized(z.counts[n], n)
		}
		if _, taken := z.taken[p]; !taken && !(n > 1 && (services[p] || suffixes[p])) {
			break
		}
	}
	z.labels[label], z.taken[p] = p, struct{}{}
	return p
}

const base36 = "0123456789abcdefghijklmnopqrstuvwxyz"

// sized writes a number as a label of n bytes: "host-0001", "host1", "h1".
func sized(number, n int) string {
	d := strconv.Itoa(number)
	switch room := n - len(d); {
	case room >= len("host-"):
		return "host-" + strings.Repeat("0", room-len("host-")) + d
	case room == len("host"):
		return "host" + d
	case room >= 1:
		return "h" + strings.Repeat("0", room-1) + d
	}
	b := make([]byte, n)
	for i := n - 1; i >= 0; i-- {
		b[i] = base36[number%len(base36)]
		number /= len(base36)
	}
	return string(b)
}

// sizedHash writes a hash as a label of n bytes.
func sizedHash(h [32]byte, n int) string {
	prefix := ""
	if n >= 10 {
		prefix = "host-"
	}
	b := []byte(prefix)
	for i := 0; len(b) < n; i++ {
		b = append(b, base36[int(h[i%len(h)])%len(base36)])
	}
	return string(b)
}

// HostList returns a list of host names with each replaced.
func (r *Redactor) HostList(list []string) []string {
	if list == nil {
		return nil
	}
	out := make([]string, len(list))
	for i, h := range list {
		out[i] = r.Host(h)
	}
	return out
}
