package main

import (
	"bufio"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/windows"
)

var getConsoleProcessList = windows.NewLazySystemDLL("kernel32.dll").NewProc("GetConsoleProcessList")

// keepWindow waits for a key where the program was started without arguments
// in a window of its own, by a double-click: the window, and the help in it,
// would vanish with the program. A program started with arguments never waits,
// since a scheduled task has a window of its own too.
func keepWindow(args []string, std streams) {
	if len(args) > 0 || !alone() {
		return
	}
	fmt.Fprint(std.out, "\nThis program is used from a console (PowerShell, Windows Terminal). Press Enter to close this window.")
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n') // an end of input is as good
}

// alone reports whether no other process is attached to the console.
func alone() bool {
	if getConsoleProcessList.Find() != nil {
		return false
	}
	var pids [2]uint32
	n, _, _ := getConsoleProcessList.Call(uintptr(unsafe.Pointer(&pids[0])), uintptr(len(pids)))
	return n == 1
}
