package goproxy

// What the go command uses where nothing is set (go help environment;
// cmd/go/internal/cfg).
const (
	defaultGOPROXY = "https://proxy.golang.org,direct"
	defaultGOSUMDB = "sum.golang.org"
)

// knownSumDBs are the checksum databases whose key the go command knows and
// the addresses they are reached at (cmd/go/internal/modfetch/key.go).
var knownSumDBs = map[string]string{
	"sum.golang.org":       "https://sum.golang.org",
	"sum.golang.google.cn": "https://sum.golang.google.cn",
}
