package rows

import (
	"net/netip"
	"time"

	"goproxytrace/report"
)

// Lookup is a row of the table lookups: one DNS question with its verdict.
type Lookup struct {
	Source
	// LookupID is the lookup's place in the report from 0.
	LookupID int64      `parquet:"lookup_id"`
	Start    *time.Time `parquet:"start,optional,timestamp(microsecond)"`
	// Host is the name asked for, Type the record's (A, AAAA).
	Host string `parquet:"host,optional,dict"`
	Type string `parquet:"type,optional,dict"`
	// RCode is the answer's (RFC 1035, 4.1.1) by name; null where none came.
	RCode   string   `parquet:"rcode,optional,dict"`
	Answers []string `parquet:"answers,list"`
	// DurationMS is until the answer; null where none came.
	DurationMS *float64 `parquet:"duration_ms,optional"`
	// ClientAddress asked the resolver at ResolverAddress and port; Family is
	// ipv4 or ipv6 by ResolverAddress.
	ClientAddress   string  `parquet:"client_address,optional,dict"`
	ResolverAddress string  `parquet:"resolver,optional,dict"`
	ResolverPort    *int32  `parquet:"resolver_port,optional"`
	Family          string  `parquet:"family,optional,dict"`
	Frames          []int64 `parquet:"frames,list"`
	Judgement
	// EvidenceIDs are those of the table evidence, in their order.
	EvidenceIDs []string `parquet:"evidence_ids,list"`
}

func (w *writer) lookup(i int, l *report.Lookup) error {
	r := Lookup{
		Source: w.source, LookupID: int64(i), Start: moment(l.Start), Host: l.Name, Type: l.Type, RCode: l.RCode, Answers: l.Answers,
		DurationMS: l.MS, ClientAddress: address(l.Client), Frames: l.Frames, Judgement: judgement(&l.Verdict),
	}
	r.ResolverAddress, r.ResolverPort, r.Family = endpoint(l.Server)
	if r.ResolverAddress == "" {
		r.ResolverAddress = address(l.Server)
	}
	for k := range l.Verdict.Evidence {
		r.EvidenceIDs = append(r.EvidenceIDs, l.Verdict.Evidence[k].ID)
	}
	if err := w.sink.Lookup(&r); err != nil {
		return err
	}
	return w.verdict(&l.Verdict, Verdict{
		Subject: subject(SubjectLookup, int64(i)), Time: r.Start, Host: r.Host, Remote: l.Server, GoVersion: w.doc.GoVersion,
	})
}

// address returns the address of an endpoint with or without a port, the empty
// string for what is none.
func address(s string) string {
	if a, _, _ := endpoint(s); a != "" {
		return a
	}
	if a, err := netip.ParseAddr(s); err == nil {
		return a.String()
	}
	return ""
}

// resolvers knows which resolver gave which address when.
type resolvers map[string][]given

type given struct {
	at     time.Time
	server string
}

func newResolvers(lookups []report.Lookup) resolvers {
	out := make(resolvers)
	for i := range lookups {
		l := &lookups[i]
		server := address(l.Server)
		if server == "" {
			continue
		}
		for _, a := range l.Answers {
			if ip, err := netip.ParseAddr(a); err == nil {
				out[ip.String()] = append(out[ip.String()], given{l.Start, server})
			}
		}
	}
	return out
}

// before returns the resolver that gave an address last before a time.
func (r resolvers) before(address string, t time.Time) string {
	server, at := "", time.Time{}
	for _, g := range r[address] {
		if !g.at.After(t) && (server == "" || !g.at.Before(at)) {
			server, at = g.server, g.at
		}
	}
	return server
}
