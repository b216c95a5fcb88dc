// Package hostevents reads what a host's own logs say of its connections: in
// come Windows event logs (.evtx, or the XML of wevtutil and Event Viewer), the
// XML of netsh wfp show netevents, filters and state, systemd journal entries
// (export format or JSON lines) and the kernel's log lines of netfilter; out
// come records of package hostlog: connections that a firewall or a security
// product blocked, who owned which connection, which processes there were.
//
// Only TCP is looked at, and only what bears on connections: other records are
// passed over. Everything is bounded: the files come from anywhere.
package hostevents
