//go:build !cgo

package questions

import (
	"testing"

	"goproxytrace/internal/corpus"
)

// TestAnswers stands for the test that a build without cgo does not have.
func TestAnswers(t *testing.T) {
	document(t)
	corpus.Skip(t, "this is a build without cgo (CGO_ENABLED=0, or no C compiler): DuckDB is not asked")
}
