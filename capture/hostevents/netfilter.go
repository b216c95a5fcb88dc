package hostevents

import (
	"strconv"
	"strings"

	"goproxytrace/capture/hostlog"
)

// packetLine takes what a log rule of netfilter wrote (net/netfilter/
// nf_log_syslog.c): the rule's prefix, then IN=, OUT=, addresses and ports. That
// a rule logged a packet does not say what became of it: only the prefix of one
// of ufw's own rules does.
func (l *Log) packetLine(at int64, line string) {
	i := strings.Index(line, "IN=")
	if i < 0 || len(line) > maxValue || !strings.Contains(line[i:], " OUT=") {
		return
	}
	prefix := strings.TrimSpace(line[:i])
	v := make(map[string]string)
	flags := make(map[string]bool)
	for _, w := range strings.Fields(line[i:]) {
		name, value, ok := strings.Cut(w, "=")
		if !ok && len(flags) < 16 {
			flags[w] = true
		}
		if _, known := v[name]; ok && !known && len(v) < 64 {
			v[name] = value
		}
	}
	if v["PROTO"] != "TCP" || (v["IN"] == "") == (v["OUT"] == "") {
		return // forwarded packets are not this host's own
	}
	source, target := endpoint(v["SRC"], v["SPT"]), endpoint(v["DST"], v["DPT"])
	if !source.IsValid() || !target.IsValid() {
		return
	}
	b := &hostlog.Block{
		Time: at, Action: prefixAction(prefix), Local: source, Remote: target, Origin: "kernel log", Segment: logSegment(flags, v["LEN"]),
		Rule: clip("log prefix \""+prefix+"\"", maxName), Layer: "netfilter output",
	}
	if v["IN"] != "" {
		b.Local, b.Remote, b.Inbound, b.Layer = target, source, true, "netfilter input"
	}
	if prefix == "" {
		b.Rule = ""
	}
	l.block(b, 0)
}

// longHeaders is more than the headers of a packet without payload take, in bytes
// (RFC 791 and RFC 9293: 60 each; RFC 8200: 40).
const longHeaders = 120

// logSegment tells what a packet was for its connection, by its flags and length;
// empty where a small one may carry payload or not.
func logSegment(flags map[string]bool, length string) hostlog.Segment {
	n, _ := strconv.Atoi(length)
	switch {
	case flags["SYN"] && flags["ACK"]:
		return hostlog.SegmentSYNACK
	case flags["SYN"]:
		return hostlog.SegmentSYN
	case n > longHeaders || flags["PSH"]:
		return hostlog.SegmentData
	case flags["RST"] || flags["FIN"]:
		return hostlog.SegmentOther
	}
	return ""
}

// prefixAction tells what a rule did: ufw's own rules write "[UFW BLOCK]" where
// they drop or reject (ufw-framework(8)). Its other prefixes, and whatever an
// administrator chose, do not say.
func prefixAction(prefix string) hostlog.Action {
	if prefix == "[UFW BLOCK]" {
		return hostlog.Blocked
	}
	return hostlog.Logged
}
