// Package replication is the engine that keeps partitions replicated: a Raft
// group a partition (go.etcd.io/raft/v3), all groups of a node on one
// write-ahead log and one state store.
//
// # The way in
//
// OpenDir opens a data directory, Open starts a Node on it, Node.Reconcile
// tells it the ring document, Node.Receive feeds it what peers sent through the
// Transport. Node.ProposeBatch and Node.Read do the work; every request is
// answered exactly once through its Done function.
//
// # Layers
//
// core is the pure engine: single-threaded, without clock, disk or network. It
// takes ticks, batches of peers, proposals, reads and reports of finished I/O,
// and hands out rounds: one WAL batch for all groups, one batch a peer, entries
// to apply, reads to serve. The simulator in test/sim runs it under a seed.
//
// Node is the driver around it: a step loop, a WAL committer, appliers sharded
// by group, and a flusher. While one fsync runs, the appends of all groups
// gather for the next (group commit).
//
// # Safety
//
// An acknowledgement means: durable on a majority and applied here. What a
// message vouches for (a vote, an append) is on disk before the message leaves,
// as the async storage contract of raft demands. Presence (PeerDown, PeerUp)
// and ticks only decide who tries to lead and when.
package replication
