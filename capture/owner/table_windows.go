package owner

import (
	"errors"
	"fmt"
	"slices"
	"unsafe"

	"golang.org/x/sys/windows"
)

var (
	iphlpapi            = windows.NewLazySystemDLL("iphlpapi.dll")
	getExtendedTCPTable = iphlpapi.NewProc("GetExtendedTcpTable")
)

const (
	ownerModuleAll = 8 // TCP_TABLE_OWNER_MODULE_ALL
	// maxTable bounds the memory for a table in bytes; a host has 65535 ports
	// for each of its addresses, and every row takes less than 200.
	maxTable = 256 << 20
)

// families are the address families that have a table, and its layout.
var families = [...]struct {
	family uintptr
	layout *rowLayout
}{{windows.AF_INET, &layout4}, {windows.AF_INET6, &layout6}}

// tcpTable reads the system's TCP tables. It is for one goroutine.
type tcpTable struct {
	// bufs stay between reads, one for each family; aligned as the rows need.
	bufs [len(families)][]uint64
}

// read returns the rows of both families; those of one also where the other
// cannot be read.
func (t *tcpTable) read() (out []tableRow, err error) {
	if err := getExtendedTCPTable.Find(); err != nil {
		return nil, err
	}
	for i, f := range families {
		rows, e := t.readFamily(i, f.family, f.layout)
		out = append(out, rows...)
		err = errors.Join(err, e)
	}
	return out, err
}

// readFamily reads one table, which may grow between asking for its size and
// reading it.
func (t *tcpTable) readFamily(i int, family uintptr, l *rowLayout) ([]tableRow, error) {
	for range 6 {
		buf := t.bufs[i]
		size := uint32(len(buf) * 8)
		status, _, _ := getExtendedTCPTable.Call(uintptr(unsafe.Pointer(unsafe.SliceData(buf))), uintptr(unsafe.Pointer(&size)), 0, family, ownerModuleAll, 0)
		switch errno := windows.Errno(status); {
		case errno == 0 && size == 0, errno == windows.ERROR_NO_DATA, errno == windows.ERROR_NOT_SUPPORTED:
			return nil, nil // the system has no such protocol
		case errno == 0:
			b := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(buf))), len(buf)*8)
			return tableRows(b[:min(int(size), len(b))], l)
		case errno != windows.ERROR_INSUFFICIENT_BUFFER:
			return nil, fmt.Errorf("GetExtendedTcpTable, family %d: %w", family, errno)
		case size > maxTable:
			return nil, fmt.Errorf("GetExtendedTcpTable, family %d: a table of %d bytes is not read", family, size)
		}
		t.bufs[i] = slices.Grow(buf[:0], int(size)/8+1+int(size)/32)
		t.bufs[i] = t.bufs[i][:cap(t.bufs[i])]
	}
	return nil, fmt.Errorf("GetExtendedTcpTable, family %d: the table keeps growing", family)
}
