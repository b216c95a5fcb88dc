//go:build !unix

package casefile

import "os"

func fileSizeLimit() (int64, error) { return 0, nil }

// removed says no: an open file keeps its name there.
func removed(*os.File) bool { return false }
