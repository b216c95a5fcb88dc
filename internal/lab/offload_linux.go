package lab

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

const interfaceNameBytes = 16 // IFNAMSIZ

// offloads sets what the ends of the links leave to the (virtual) device. The
// middlebox handles frames of the link's size with good checksums, so what
// faces it has none. The client's are on, receiving included, or all off.
func (l *Lab) offloads(plain bool) error {
	type feature struct {
		command, value uint32
	}
	off := []feature{{unix.ETHTOOL_STSO, 0}, {unix.ETHTOOL_SGSO, 0}, {unix.ETHTOOL_STXCSUM, 0}, {unix.ETHTOOL_SGRO, 0}}
	client := []feature{{unix.ETHTOOL_SGRO, 1}}
	if plain {
		client = off
	}
	for _, d := range []struct {
		ns, device string
		set        []feature
	}{{l.router, "wan", off}, {l.server, "eth0", off}, {l.client, "eth0", client}} {
		err := inNamespace(d.ns, func() error {
			fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				return err
			}
			defer unix.Close(fd)
			for _, f := range d.set {
				if err := ethtool(fd, d.device, f.command, f.value); err != nil {
					return fmt.Errorf("offload %#x of %s: %w", f.command, d.device, err)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// ethtool sets one feature (struct ethtool_value in struct ifreq).
func ethtool(fd int, device string, command, value uint32) error {
	argument := [2]uint32{command, value}
	request := struct {
		name [interfaceNameBytes]byte
		data unsafe.Pointer
		_    [16]byte
	}{data: unsafe.Pointer(&argument)}
	copy(request.name[:interfaceNameBytes-1], device)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&request))); errno != 0 {
		return errno
	}
	return nil
}
