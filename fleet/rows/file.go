package rows

// What became of a file.
const (
	// StatusOK was read to its end.
	StatusOK = "ok"
	// StatusDamaged is a capture that is cut or damaged, or a list of reports
	// some of which cannot be read: reported as far as it goes.
	StatusDamaged = "damaged"
	// StatusUnreadable could not be read at all, or is neither a capture nor
	// a report.
	StatusUnreadable = "unreadable"
	// StatusNotAnalysed was set aside because processes died while they analysed
	// it. What is in it, or wrong with it, is not known.
	StatusNotAnalysed = "not-analysed"
	// StatusDuplicate has the same bytes, or tells of the same cases, as a
	// file that was counted.
	StatusDuplicate = "duplicate"
)

// Kinds of files.
const (
	KindCapture = "capture"
	KindReport  = "report"
	KindPage    = "page"
)

// File is a row of the table files: one for each file that the patterns match,
// whatever became of it.
type File struct {
	// File is the path, a pseudonym unless paths are revealed; FileHash as in
	// Source.
	File     string `parquet:"file"`
	FileHash string `parquet:"file_sha256,optional"`
	Bytes    *int64 `parquet:"bytes,optional"`
	// Kind is capture, report (JSON or NDJSON) or page (HTML); null where
	// that was not found out.
	Kind   string `parquet:"kind,optional,dict"`
	Status string `parquet:"status,dict"`
	// Offset is where the damage begins, in bytes of the uncompressed file;
	// Reason says what is wrong. Both null for ok.
	Offset *int64 `parquet:"offset,optional"`
	Reason string `parquet:"reason,optional"`
	// Documents counts the cases that rows were made of, Duplicates those left
	// out because they were counted already.
	Documents  int32 `parquet:"documents"`
	Duplicates int32 `parquet:"duplicates"`
	// Connections that rows were made of, and those that a report says it
	// left out.
	Connections        int64 `parquet:"connections"`
	ConnectionsOmitted int64 `parquet:"connections_omitted"`
}
