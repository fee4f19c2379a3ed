// Package bolt is a store.Store in one bbolt file of a data directory.
//
// # File
//
// The bucket "meta" holds the format version, the domain and the secret. The bucket "data" holds a
// bucket a collection, made when it is first written to. In there a key is the owner, a NUL, and the
// record's key; a value is one version byte, the CRC-32C of key and body, and the body. Because an
// owner has no NUL, the records of one owner are together, and owners are in byte order.
//
// # Updates
//
// One goroutine, the committer, runs the functions of all updates that have gathered, each behind
// the other, in one bbolt transaction, and commits it with one pair of fsyncs. Meanwhile the next
// ones gather. Nobody waits for company: an update that is alone is committed alone. A function that
// fails has its own changes undone from a log of what they replaced, and the others go on. Every
// caller is told after the commit.
package bolt
