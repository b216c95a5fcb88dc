// Package questions asks what docs/fleet.md asks.
//
// It holds tests alone: the lab's captures, as the files of a made-up build farm,
// become Parquet files, DuckDB and ClickHouse answer the document's questions on
// them, both must say the same, and the document prints what they say. Some of
// the answers are counted once more from the reports, without SQL. DuckDB is a
// library in C++, and so needs cgo; ClickHouse is installed from
// testdata/clickhouse by npm install (npm ci wants the libraries of all platforms,
// not all of which are published).
package questions
