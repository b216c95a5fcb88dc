package ingest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"sync"

	"goproxytrace/capture/pcapfile"
	"goproxytrace/fleet/rows"
	"goproxytrace/fleet/storage"
	"goproxytrace/report/page"
)

// headBytes is how much of a file is looked at to tell what it is: more than the
// first block of compressed text.
const headBytes = 128 << 10

// heads are buffers for beginnings: there is one for each file, and a fleet has many.
var heads = sync.Pool{New: func() any { return new([headBytes]byte) }}

// Head is what the beginning of a file says.
type Head struct {
	// Kind is rows.KindCapture (also for what is neither of the others),
	// rows.KindReport or rows.KindPage.
	Kind string
	Size int64
	// Sum is the SHA-256 of the first bytes and of the size: files with
	// different sums are different. Whole is true where these are all bytes,
	// and Hash then the file's.
	Sum   [sha256.Size]byte
	Whole bool
	Hash  string
}

// Sniff looks at the beginning of a file. Where it cannot be read, the Outcome
// says why, and ok is false.
func (r *Reader) Sniff(ctx context.Context, path string) (h Head, out Outcome, ok bool) {
	in, size, err := storage.Open(ctx, path)
	if err != nil {
		return h, r.unreadable(out, err), false
	}
	defer in.Close()
	buffer := heads.Get().(*[headBytes]byte)
	defer heads.Put(buffer)
	head := buffer[:min(headBytes, size+1)]
	n, err := io.ReadFull(in, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return h, r.unreadable(Outcome{Bytes: size}, err), false
	}
	head = head[:n]
	h.Size, h.Whole = size, int64(n) == size
	sum := sha256.Sum256(head)
	if h.Whole {
		h.Hash = hex.EncodeToString(sum[:])
	}
	h.Sum = sha256.Sum256(fmt.Appendf(nil, "%d %x", size, sum))
	h.Kind = kindOf(head)
	return h, out, true
}

func kindOf(head []byte) string {
	if page.IsPage(head) {
		return rows.KindPage
	}
	d, err := pcapfile.Decompress(bytes.NewReader(head))
	if err != nil {
		return rows.KindCapture
	}
	defer d.Close()
	begin := make([]byte, 64)
	n, _ := io.ReadFull(d, begin)
	if bytes.HasPrefix(bytes.TrimLeft(begin[:n], " \t\r\n"), []byte("{")) {
		return rows.KindReport
	}
	return rows.KindCapture
}

// Hash returns the SHA-256 of a file's bytes.
func Hash(ctx context.Context, path string) (string, error) {
	in, _, err := storage.Open(ctx, path)
	if err != nil {
		return "", err
	}
	defer in.Close()
	f := &file{ctx: ctx, r: in, sum: sha256.New()}
	if sum := f.hash(); sum != "" {
		return sum, nil
	}
	return "", fmt.Errorf("%s: it cannot be read to its end", path)
}
