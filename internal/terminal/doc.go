// Package terminal knows what the person at the other end can read.
//
// In come streams, environment variables and text from strangers, out come
// the facts that rendering needs (colour or not, how many columns, Unicode or
// ASCII), text that can be printed without harm, and one status line.
package terminal
