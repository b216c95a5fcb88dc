// Package winetest runs the Windows build under Wine.
//
// In come the project's packages and its program, out comes whether they do on
// Windows what they should: the packages' own tests, and sessions of the
// program with an official go.exe and a module proxy in network namespaces.
// It holds tests only. What Wine lacks is built from the C sources in testdata
// with mingw; nothing of that is shipped.
package winetest
