package probe

import (
	"errors"
	"syscall"

	"golang.org/x/sys/windows"
)

// winsock are the errors of Windows Sockets that a connection ends with.
var winsock = map[syscall.Errno]struct {
	name string
	end  End
}{
	windows.WSAECONNREFUSED:  {"WSAECONNREFUSED", Refused},
	windows.WSAECONNRESET:    {"WSAECONNRESET", Reset},
	windows.WSAECONNABORTED:  {"WSAECONNABORTED", Reset},
	windows.WSAEHOSTUNREACH:  {"WSAEHOSTUNREACH", Unreachable},
	windows.WSAENETUNREACH:   {"WSAENETUNREACH", Unreachable},
	windows.WSAENETDOWN:      {"WSAENETDOWN", Unreachable},
	windows.WSAEADDRNOTAVAIL: {"WSAEADDRNOTAVAIL", Unreachable},
	windows.WSAEACCES:        {"WSAEACCES", Forbidden},
	windows.WSAETIMEDOUT:     {"WSAETIMEDOUT", Timeout},
}

// systemEnd reads an error number of the system.
func systemEnd(err error) End {
	var n syscall.Errno
	errors.As(err, &n)
	return winsock[n].end
}

// errorName is the system's name for an error, empty where it has none.
func errorName(err error) string {
	var n syscall.Errno
	errors.As(err, &n)
	return winsock[n].name
}
