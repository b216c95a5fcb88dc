package dnswire

import "fmt"

// Record types that lookups of hosts use.
const (
	TypeA     = 1
	TypeCNAME = 5
	TypeAAAA  = 28
	TypeHTTPS = 65
)

var types = map[uint16]string{
	1: "A", 2: "NS", 5: "CNAME", 6: "SOA", 12: "PTR", 13: "HINFO", 15: "MX", 16: "TXT",
	28: "AAAA", 33: "SRV", 35: "NAPTR", 39: "DNAME", 41: "OPT", 43: "DS", 44: "SSHFP",
	46: "RRSIG", 47: "NSEC", 48: "DNSKEY", 50: "NSEC3", 52: "TLSA", 64: "SVCB", 65: "HTTPS",
	99: "SPF", 251: "IXFR", 252: "AXFR", 255: "ANY", 256: "URI", 257: "CAA",
}

// TypeName returns the mnemonic of a record type, or TYPE and its number (RFC
// 3597).
func TypeName(n uint16) string {
	if s, ok := types[n]; ok {
		return s
	}
	return fmt.Sprintf("TYPE%d", n)
}

var rcodes = map[uint16]string{
	0: "NOERROR", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED",
	6: "YXDOMAIN", 7: "YXRRSET", 8: "NXRRSET", 9: "NOTAUTH", 10: "NOTZONE", 11: "DSOTYPENI",
	16: "BADVERS", 17: "BADKEY", 18: "BADTIME", 19: "BADMODE", 20: "BADNAME", 21: "BADALG",
	22: "BADTRUNC", 23: "BADCOOKIE",
}

// RCodeName returns the mnemonic of a response code, or RCODE and its number.
func RCodeName(n uint16) string {
	if s, ok := rcodes[n]; ok {
		return s
	}
	return fmt.Sprintf("RCODE%d", n)
}

var extendedErrors = [...]string{
	"other error", "unsupported DNSKEY algorithm", "unsupported DS digest type", "stale answer",
	"forged answer", "DNSSEC indeterminate", "DNSSEC bogus", "signature expired",
	"signature not yet valid", "DNSKEY missing", "RRSIGs missing", "no zone key bit set",
	"NSEC missing", "cached error", "not ready", "blocked", "censored", "filtered", "prohibited",
	"stale NXDOMAIN answer", "not authoritative", "not supported", "no reachable authority",
	"network error", "invalid data", "signature expired before valid", "too early",
	"unsupported NSEC3 iterations value", "unable to conform to policy", "synthesized",
	"invalid query type",
}

// ExtendedErrorName returns the registered purpose of an extended DNS error
// code, or its number.
func ExtendedErrorName(n uint16) string {
	if int(n) < len(extendedErrors) {
		return extendedErrors[n]
	}
	return fmt.Sprintf("extended error %d", n)
}
