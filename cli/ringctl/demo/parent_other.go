//go:build !linux

package demo

// endWithParent has no equal here: a demo whose `go run` is killed goes on
// until it is stopped itself.
func endWithParent(func(string) string) {}
