// Package push sends what reports say to an OpenTelemetry endpoint, each case
// once.
//
// In come cases (captures, JSON reports, the log of a flight recorder), out go
// requests of OTLP, and into a State what the endpoint has acknowledged. A case
// is recorded when all of its spans are acknowledged, in one transaction with
// what it adds to the counters; it is neither dropped because the endpoint is
// away nor sent again because the program was started again.
//
// Between the endpoint's answer and that record lies a moment in which the
// program may die, and an answer may be lost on its way: the same spans are then
// sent once more. Their identifiers follow from the case alone, so that whoever
// stores them can tell. Counters are not concerned: they are cumulative.
package push
