// Package spacetest gives tests network namespaces of their own.
//
// In come functions, which run inside; out come their errors. For tests only.
package spacetest
