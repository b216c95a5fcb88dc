package rows

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"goproxytrace/report"
)

// Source says where a row comes from. Every table begins with these columns.
type Source struct {
	// CaseID names the case: 32 hexadecimal digits that follow from the
	// capture's own times and counts, so that a capture and a report on it
	// have the same.
	CaseID string `parquet:"case_id,dict"`
	// File is the file's path, a pseudonym unless paths are revealed; FileHash
	// the SHA-256 of its bytes in hexadecimal digits, null where it was not
	// read to its end.
	File     string `parquet:"file,dict"`
	FileHash string `parquet:"file_sha256,optional,dict"`
	// Document counts the reports in a file from 0; 0 for a capture.
	Document int32 `parquet:"document"`
	// Machine is the pseudonym of the machine that captured, null where no
	// rule says which that was.
	Machine string `parquet:"machine,optional,dict"`
	// ToolVersion is that of the program which judged.
	ToolVersion string `parquet:"tool_version,optional,dict"`
	// CaptureStart and CaptureEnd are the capture's; null where it has no
	// packet.
	CaptureStart *time.Time `parquet:"capture_start,optional,timestamp(microsecond)"`
	CaptureEnd   *time.Time `parquet:"capture_end,optional,timestamp(microsecond)"`
	// Damaged is true where the capture is cut or damaged: rows end there.
	Damaged bool `parquet:"damaged"`
}

// describe fills what the document says about its capture.
func (s *Source) describe(d *report.Document) {
	if s.CaseID == "" {
		s.CaseID = CaseID(d, s.FileHash, int(s.Document))
	}
	s.ToolVersion = d.Version
	s.CaptureStart, s.CaptureEnd = utc(d.Capture.Start), utc(d.Capture.End)
	s.Damaged = d.Capture.Damage != nil
}

// CaseID returns the identity of what a document is about. It holds for a
// capture and for all reports on it, redacted or not: times and counts stay.
// A capture without a packet has nothing of its own but its file's bytes, by their
// hash, and the document's number in it.
func CaseID(d *report.Document, hash string, document int) string {
	h := sha256.New()
	c := &d.Capture
	if c.Start == nil || c.Packets == 0 {
		fmt.Fprintf(h, "empty %s %d", hash, document)
	} else {
		end := int64(0)
		if c.End != nil {
			end = c.End.UnixNano()
		}
		fmt.Fprintf(h, "case %d %d %d %d %d", c.Start.UnixNano(), end, c.Packets, c.Bytes, c.Segments)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

func utc(t *time.Time) *time.Time {
	if t == nil || t.IsZero() {
		return nil
	}
	u := t.UTC()
	return &u
}

func moment(t time.Time) *time.Time { return utc(&t) }
