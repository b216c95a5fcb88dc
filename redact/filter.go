package redact

import "strings"

// filterWords are those of a capture filter (pcap-filter).
var filterWords = set(`and or not host net port portrange src dst tcp udp icmp icmp6 ip ip6 arp rarp vlan ether proto broadcast multicast
	inbound outbound less greater mask gateway sctp pppoes mpls`)

// Filter returns a capture filter with everything replaced that is no word of
// its language, no number and no public address.
func (r *Redactor) Filter(s string) string {
	if s == "" {
		return ""
	}
	words := strings.FieldsFunc(s, func(c rune) bool { return c == ' ' || c == '\t' || c == '\n' })
	for i, w := range words {
		core := strings.Trim(w, "()!")
		if core == "" || filterWords[core] || strings.Trim(core, "0123456789-<>=&|[]:+*/x") == "" && len(core) < 12 {
			continue
		}
		p := r.Text(core)
		if p == core && strings.Trim(core, "0123456789.:abcdef/") != "" {
			p = r.Host(core)
		}
		words[i] = strings.Replace(w, core, p, 1)
	}
	return strings.Join(words, " ")
}
