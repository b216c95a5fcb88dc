package guard

import (
	"syscall"
	"unsafe"
)

// Flags of LoadLibraryEx: the directory of the library itself and System32 are
// searched for what it imports, and nothing else.
const (
	searchItsDirectory = 0x00000100 // LOAD_LIBRARY_SEARCH_DLL_LOAD_DIR
	searchSystem       = 0x00000800 // LOAD_LIBRARY_SEARCH_SYSTEM32
)

// cannotCapture is the program's exit code for it.
const cannotCapture = 4

func init() {
	if path, function := lacking(); function != "" {
		end(path, function)
	}
}

// lacking returns the path of the library that pcap will load and the first
// function that it lacks; both are empty where there is no library. What was
// loaded stays so, for pcap.
func lacking() (path, function string) {
	kernel, err := syscall.LoadDLL("kernel32.dll")
	if err != nil {
		return "", ""
	}
	load, err := kernel.FindProc("LoadLibraryExW")
	if err != nil {
		return "", ""
	}
	system := systemDirectory(kernel)
	// Npcap's own directory goes before that of WinPcap and its like.
	for _, path := range []string{system + `\Npcap\wpcap.dll`, system + `\wpcap.dll`} {
		name, err := syscall.UTF16PtrFromString(path)
		if err != nil {
			return "", ""
		}
		h, _, _ := load.Call(uintptr(unsafe.Pointer(name)), 0, searchItsDirectory|searchSystem)
		if h == 0 {
			continue
		}
		for _, function := range needed {
			if _, err := syscall.GetProcAddress(syscall.Handle(h), function); err != nil {
				return path, function
			}
		}
		return path, ""
	}
	return "", ""
}

func systemDirectory(kernel *syscall.DLL) string {
	get, err := kernel.FindProc("GetSystemDirectoryW")
	if err != nil {
		return ""
	}
	var buf [syscall.MAX_PATH]uint16
	n, _, _ := get.Call(uintptr(unsafe.Pointer(&buf[0])), uintptr(len(buf)))
	if n == 0 || n >= uintptr(len(buf)) {
		return ""
	}
	return syscall.UTF16ToString(buf[:n])
}

func end(path, function string) {
	text := "goproxytrace: " + path + " is too old: it lacks " + function + "\n" +
		"hint: Uninstall it and install Npcap (what comes with old WinPcap and its like is not kept up any more).\n"
	_, _ = syscall.Write(syscall.Stderr, []byte(text))
	syscall.Exit(cannotCapture)
}
