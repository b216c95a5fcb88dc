package hostevents

import (
	"encoding/json"
	"fmt"
	"strings"
)

// maxRules bounds the rules that are looked at.
const maxRules = 64 << 10

// chainKey names a chain.
type chainKey struct{ family, table, name string }

func (k chainKey) String() string { return k.family + " " + k.table + " " + k.name }

// ruleKey names a rule.
type ruleKey struct {
	chainKey
	handle int64
}

// rule is a rule that drops or rejects packets.
type rule struct {
	key     ruleKey
	verdict string // "drop" or "reject"
	counted bool
	packets uint64
	comment string
}

// chain is a chain of rules.
type chain struct {
	hook, policy string
	rules        []rule
	next         []chainKey // those that a rule leads to
}

// ruleset is what nftables has of rules that bear on a host's own packets.
type ruleset struct {
	order  []chainKey
	chains map[chainKey]*chain
}

// parseRuleset reads what nft --json list ruleset writes (libnftables-json(5)).
func parseRuleset(text []byte) (*ruleset, error) {
	var doc struct {
		Nftables []struct {
			Chain *struct {
				Family, Table, Name, Hook, Policy string
			}
			Counter *struct {
				Family, Table, Name string
				Packets             uint64
			}
			Rule *struct {
				Family, Table, Chain, Comment string
				Handle                        int64
				Expr                          []map[string]json.RawMessage
			}
		}
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		return nil, fmt.Errorf("what nft wrote: %w", err)
	}
	set := &ruleset{chains: map[chainKey]*chain{}}
	counters := map[chainKey]uint64{}
	for _, o := range doc.Nftables {
		if c := o.Chain; c != nil {
			k := chainKey{c.Family, c.Table, c.Name}
			if set.chains[k] == nil {
				set.order = append(set.order, k)
			}
			set.chains[k] = &chain{hook: c.Hook, policy: c.Policy}
		}
		if c := o.Counter; c != nil {
			counters[chainKey{c.Family, c.Table, c.Name}] = c.Packets
		}
	}
	rules := 0
	for _, o := range doc.Nftables {
		if o.Rule == nil {
			continue
		}
		k := chainKey{o.Rule.Family, o.Rule.Table, o.Rule.Chain}
		c := set.chains[k]
		if rules++; c == nil || rules > maxRules {
			continue
		}
		r := rule{key: ruleKey{k, o.Rule.Handle}, comment: o.Rule.Comment}
		for _, e := range o.Rule.Expr {
			for name, v := range e {
				switch name {
				case "drop", "reject":
					r.verdict = name
				case "jump", "goto":
					var to struct{ Target string }
					if json.Unmarshal(v, &to) == nil {
						c.next = append(c.next, chainKey{k.family, k.table, to.Target})
					}
				case "counter":
					var own struct{ Packets uint64 }
					var named string
					if json.Unmarshal(v, &own) == nil {
						r.packets, r.counted = own.Packets, true
					} else if json.Unmarshal(v, &named) == nil {
						r.packets, r.counted = counters[chainKey{k.family, k.table, named}], true
					}
				}
			}
		}
		if r.verdict != "" {
			c.rules = append(c.rules, r)
		}
	}
	return set, nil
}

// hooks are where a host's own packets pass, in words. What it passes on for
// others (forward) is not its own.
var hooks = map[string]string{
	"output": "goes out", "postrouting": "goes out", "input": "comes in", "prerouting": "comes in", "ingress": "comes in", "egress": "goes out",
}

// directions says which way the packets go that meet a chain, by the hooks that
// lead to it; empty where none of a host's own do.
func (s *ruleset) directions() map[chainKey]string {
	out := map[chainKey]string{}
	for _, begin := range s.order {
		way := hooks[s.chains[begin].hook]
		if way == "" {
			continue
		}
		seen := map[chainKey]bool{}
		todo := []chainKey{begin}
		for len(todo) > 0 {
			k := todo[len(todo)-1]
			todo = todo[:len(todo)-1]
			c := s.chains[k]
			if c == nil || seen[k] {
				continue
			}
			seen[k] = true
			if before := out[k]; before == "" {
				out[k] = way
			} else if !strings.Contains(before, way) {
				out[k] = before + " or " + way
			}
			todo = append(todo, c.next...)
		}
	}
	return out
}

// tell notes the rules that dropped packets since an earlier reading. No rule is
// about a connection, so that this is no evidence, but says where to look.
func (s *ruleset) tell(c *collector, earlier *ruleset) {
	ways := s.directions()
	before := map[ruleKey]uint64{}
	for _, old := range earlier.chains {
		for _, r := range old.rules {
			before[r.key] = r.packets
		}
	}
	for _, k := range s.order {
		way := ways[k]
		if way == "" {
			continue
		}
		ch := s.chains[k]
		if ch.policy == "drop" {
			c.note("nftables", "chain %s drops what no rule of it accepts of what %s", k, way)
		}
		blind := 0
		for _, r := range ch.rules {
			n := r.packets - min(before[r.key], r.packets)
			switch {
			case !r.counted:
				blind++
			case n > 0:
				c.note("nftables", "rule %d of chain %s: %s, %d packets meanwhile%s", r.key.handle, k, r.verdict, n, comment(r.comment))
			}
		}
		if blind > 0 {
			c.note("nftables", "%d rules of chain %s drop or reject of what %s and do not count it", blind, k, way)
		}
	}
}

func comment(s string) string {
	if s = strings.TrimSpace(s); s == "" {
		return ""
	}
	return " (" + clip(s, maxName) + ")"
}
