package owner

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// tableRow is a row of Windows' TCP table (MIB_TCPROW_OWNER_MODULE and
// MIB_TCP6ROW_OWNER_MODULE, iprtrmib.h and tcpmib.h).
type tableRow struct {
	local, remote netip.AddrPort
	state         uint32 // MIB_TCP_STATE
	pid           uint32 // zero where no process has it any more
	// created is when the socket was bound, in Unix nanoseconds; zero where
	// the system does not say.
	created int64
}

// Values of MIB_TCP_STATE.
const (
	mibClosed = iota + 1
	mibListen
	mibSynSent
	mibSynReceived
	mibEstablished
	mibFinWait1
	mibFinWait2
	mibCloseWait
	mibClosing
	mibLastAck
	mibTimeWait
	mibDeleteTCB
)

// mibStates are the states by the names of RFC 9293, section 3.3.2. A control
// block about to be deleted is closed.
var mibStates = [...]string{
	mibClosed: "CLOSED", mibListen: "LISTEN", mibSynSent: "SYN-SENT", mibSynReceived: "SYN-RECEIVED",
	mibEstablished: "ESTABLISHED", mibFinWait1: "FIN-WAIT-1", mibFinWait2: "FIN-WAIT-2", mibCloseWait: "CLOSE-WAIT",
	mibClosing: "CLOSING", mibLastAck: "LAST-ACK", mibTimeWait: "TIME-WAIT", mibDeleteTCB: "CLOSED",
}

func (r *tableRow) stateName() string {
	if r.state < uint32(len(mibStates)) && r.state > 0 {
		return mibStates[r.state]
	}
	return fmt.Sprintf("state %d", r.state)
}

// held reports whether the row is a socket that a process may still have.
func (r *tableRow) held() bool {
	switch r.state {
	case mibClosed, mibListen, mibTimeWait, mibDeleteTCB:
		return false
	}
	return true
}

// rowLayout is where a row's fields are. Numbers are little-endian, ports the
// two bytes of the network's order at the beginning of their field.
type rowLayout struct {
	size, addressLen                                                    int
	state, localAddr, localPort, remoteAddr, remotePort, pid, createdAt int
}

var (
	layout4 = rowLayout{size: 160, addressLen: 4, state: 0, localAddr: 4, localPort: 8, remoteAddr: 12, remotePort: 16, pid: 20, createdAt: 24}
	layout6 = rowLayout{size: 192, addressLen: 16, localAddr: 0, localPort: 20, remoteAddr: 24, remotePort: 44, state: 48, pid: 52, createdAt: 56}
)

// rowsAt is where the first row is, after the number of rows.
const rowsAt = 8

// tableRows reads what GetExtendedTcpTable filled in; what follows a table
// that is cut off is an error beside the rows before it.
func tableRows(b []byte, l *rowLayout) ([]tableRow, error) {
	if len(b) < rowsAt {
		return nil, fmt.Errorf("TCP table of %d bytes has no number of rows", len(b))
	}
	n := uint64(binary.LittleEndian.Uint32(b))
	there := uint64(len(b)-rowsAt) / uint64(l.size)
	var err error
	if n > there {
		err = fmt.Errorf("TCP table of %d bytes says that it has %d rows of %d bytes", len(b), n, l.size)
		n = there
	}
	out := make([]tableRow, 0, n)
	for i := range int(n) {
		row := b[rowsAt+i*l.size:][:l.size]
		end := func(address, port int) netip.AddrPort {
			a, _ := netip.AddrFromSlice(row[address : address+l.addressLen]) // 4 or 16 bytes
			return netip.AddrPortFrom(a.Unmap(), binary.BigEndian.Uint16(row[port:]))
		}
		out = append(out, tableRow{
			local: end(l.localAddr, l.localPort), remote: end(l.remoteAddr, l.remotePort),
			state: binary.LittleEndian.Uint32(row[l.state:]), pid: binary.LittleEndian.Uint32(row[l.pid:]),
			created: unixNanoseconds(binary.LittleEndian.Uint64(row[l.createdAt:])),
		})
	}
	return out, err
}

// unixNanoseconds converts a FILETIME, 100 ns since 1601; zero stays, and what
// is out of range is taken as unknown.
func unixNanoseconds(filetime uint64) int64 {
	const (
		unixEpoch = 116444736000000000
		latest    = unixEpoch + (1<<63-1)/100
	)
	if filetime <= unixEpoch || filetime > latest {
		return 0
	}
	return int64(filetime-unixEpoch) * 100
}

// ends says which local ends are listened at, so that a connection's server
// can be told from its client.
type ends map[netip.AddrPort]bool

func listeningEnds(rows []tableRow) ends {
	out := ends{}
	for i := range rows {
		if r := &rows[i]; r.state == mibListen {
			if r.local.Addr().IsUnspecified() {
				out[netip.AddrPortFrom(netip.Addr{}, r.local.Port())] = true
			} else {
				out[r.local] = true
			}
		}
	}
	return out
}

func (e ends) has(local netip.AddrPort) bool {
	return e[local] || e[netip.AddrPortFrom(netip.Addr{}, local.Port())]
}
