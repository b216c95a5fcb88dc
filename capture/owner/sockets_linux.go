package owner

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"goproxytrace/capture/hostlog"
)

// stateNames are Linux's TCP states by the names of RFC 9293, section 3.3.2.
var stateNames = map[int]string{
	tcpEstablished: "ESTABLISHED", tcpSynSent: "SYN-SENT", tcpSynRecv: "SYN-RECEIVED", tcpFinWait1: "FIN-WAIT-1",
	tcpFinWait2: "FIN-WAIT-2", tcpTimeWait: "TIME-WAIT", tcpClose: "CLOSED", tcpCloseWait: "CLOSE-WAIT",
	tcpLastAck: "LAST-ACK", tcpListen: "LISTEN", tcpClosing: "CLOSING", tcpNewSynRecv: "SYN-RECEIVED",
}

// Sockets reads the TCP sockets as they are now, other than listening ones: of
// the processes given, in whatever network namespaces they are, or with nil
// all of our own namespace, also those that no process has any more (PID
// zero). What could be read comes also with an error.
func Sockets(pids []uint32) ([]hostlog.Socket, error) {
	var errs error
	var namespaces []uint64
	if pids == nil {
		own, err := inode("/proc/self/ns/net")
		if err != nil {
			return nil, err
		}
		namespaces = []uint64{own}
	}
	for _, pid := range pids {
		n, err := inode(procPath(pid, "ns/net"))
		if err != nil {
			errs = errors.Join(errs, fmt.Errorf("network namespace of process %d: %w", pid, err))
			continue
		}
		if !slices.Contains(namespaces, n) {
			namespaces = append(namespaces, n)
		}
	}
	if len(namespaces) == 0 {
		return nil, errs
	}
	t, err := newTable(namespaces)
	if err != nil {
		return nil, errors.Join(errs, err)
	}
	defer t.close()
	states := uint32(openStates)
	if pids == nil {
		states |= 1 << tcpTimeWait
	}
	var rows []diagSocket
	for _, d := range t.diags {
		rows = append(rows, t.readOne(d, states, true)...)
	}
	for _, note := range t.notes {
		errs = errors.Join(errs, errors.New(note))
	}
	// Where only some processes are asked for, their descriptors are all
	// that needs to be read.
	holders := make([]uint32, len(rows))
	if pids == nil {
		holders = t.resolve(rows)
	} else {
		by := map[uint32]uint32{}
		for _, pid := range pids {
			for _, n := range t.descriptors(pid) {
				if by[n] == 0 {
					by[n] = pid
				}
			}
		}
		for i := range rows {
			if rows[i].inode != 0 {
				holders[i] = by[rows[i].inode]
			}
		}
	}
	var out []hostlog.Socket
	for i := range rows {
		if pids == nil || holders[i] != 0 {
			out = append(out, rows[i].describe(holders[i]))
		}
	}
	return out, errs
}

// Offsets in struct tcp_info (linux/tcp.h), which only ever grew at its end.
const (
	infoRetransmits  = 2   // u8
	infoProbes       = 3   // u8
	infoUnacked      = 24  // u32
	infoLastSent     = 44  // u32, ms
	infoLastReceived = 52  // u32, ms
	infoLastAck      = 56  // u32, ms
	infoRTT          = 68  // u32, us
	infoTotalRetrans = 100 // u32
	infoAcked        = 120 // u64
	infoReceived     = 128 // u64
	infoMinRTT       = 148 // u32, us
	infoSent         = 200 // u64
	infoRetransBytes = 208 // u64
	infoSendWindow   = 228 // u32
	infoRecvWindow   = 232 // u32
)

// describe turns a row into a record.
func (s *diagSocket) describe(pid uint32) hostlog.Socket {
	out := hostlog.Socket{
		Time: s.time, PID: pid, Local: s.local, Remote: s.remote, Cookie: s.cookie,
		State: stateNames[s.state], Unread: s.unread, Unsent: s.unsent,
	}
	if out.State == "" {
		out.State = fmt.Sprintf("state %d", s.state)
	}
	// The kernel counts sequence numbers; SYN and FIN have one each.
	switch s.state {
	case tcpSynSent, tcpSynRecv, tcpNewSynRecv:
		out.Unread, out.Unsent = 0, 0
	case tcpFinWait1, tcpLastAck, tcpClosing:
		out.Unsent -= min(out.Unsent, 1)
	}
	switch s.state {
	case tcpCloseWait, tcpLastAck, tcpClosing:
		out.Unread -= min(out.Unread, 1)
	}
	n := binary.NativeEndian
	u32 := func(at int) (v uint32, ok bool) {
		if len(s.info) < at+4 {
			return 0, false
		}
		return n.Uint32(s.info[at:]), true
	}
	u64 := func(at int) *uint64 {
		if len(s.info) < at+8 {
			return nil
		}
		v := n.Uint64(s.info[at:])
		return &v
	}
	pointer := func(at int) *uint32 {
		v, ok := u32(at)
		if !ok {
			return nil
		}
		return &v
	}
	if len(s.info) > infoProbes {
		out.Retransmits, out.Probes = uint32(s.info[infoRetransmits]), uint32(s.info[infoProbes])
	}
	out.Unacked, _ = u32(infoUnacked)
	out.TotalRetransmits, _ = u32(infoTotalRetrans)
	out.RTT, _ = u32(infoRTT)
	if v, ok := u32(infoMinRTT); ok && v != 1<<32-1 {
		out.MinRTT = v
	}
	out.BytesAcked, out.BytesReceived, out.BytesSent = u64(infoAcked), u64(infoReceived), u64(infoSent)
	// SYN and FIN count as acknowledged bytes too, so never more than were
	// sent once.
	if again := u64(infoRetransBytes); again != nil && out.BytesSent != nil && out.BytesAcked != nil {
		*out.BytesAcked = min(*out.BytesAcked, *out.BytesSent-min(*again, *out.BytesSent))
	}
	switch s.state {
	case tcpCloseWait, tcpLastAck, tcpClosing, tcpTimeWait:
		if out.BytesReceived != nil {
			*out.BytesReceived -= min(*out.BytesReceived, 1)
		}
	}
	// The ages count from the socket's making where nothing was sent or
	// received yet; RFC 9293 has data only in these states.
	if s.state != tcpSynSent && s.state != tcpSynRecv && s.state != tcpTimeWait {
		if out.BytesSent == nil || *out.BytesSent > 0 {
			out.LastDataSent = pointer(infoLastSent)
		}
		if out.BytesReceived == nil || *out.BytesReceived > 0 {
			out.LastDataReceived = pointer(infoLastReceived)
		}
		out.LastAckReceived = pointer(infoLastAck)
		out.SendWindow, out.ReceiveWindow = pointer(infoSendWindow), pointer(infoRecvWindow)
	}
	return out
}
