// Pktmon stands in for Windows' pktmon.exe, which Wine does not have.
package main

import (
	"os"

	"goproxytrace/capture/pktmon/pktmontest"
)

func main() { os.Exit(pktmontest.Main(os.Args[1:], os.Stdout)) }
