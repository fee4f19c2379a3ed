// Package demo is the guided tour of `ringctl demo`: it starts a cluster of
// real processes, loads a real tree of files with references between them,
// reads it back through a second client, kills a data node in the middle of a
// stream of writes, and counts what was acknowledged and what is there.
//
// Run goes through the steps; each step is a file: dataset.go (what is loaded),
// load.go, verify.go, stream.go (the writes around the kill), refs.go.
package demo
