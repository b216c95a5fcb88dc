package goproxy

// What the go command uses where nothing is set (go help environment;
// cmd/go/internal/cfg).
const (
	defaultGOPROXY = "https://proxy.golang.org,direct"
	defaultGOSUMDB = "sum.golang.org"
)

// The checksum databases that the go command knows by name
// (cmd/go/internal/modfetch/key.go, sumdb.go).
const (
	sumDBOfGo    = "sum.golang.org"
	sumDBInChina = "sum.golang.google.cn"
)
