// Package wire translates between the store's operations and the XML they
// travel in (docs/protocol.md): requests and their results, Raft batches, the
// health a data node announces in its presence, and fragments of elements too
// large for one stanza. Append functions build, Parse functions take one
// element that package stanza has already accepted; none of them does I/O.
package wire
