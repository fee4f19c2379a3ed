// Package datanode is a data node: an XMPP client that holds replicas of
// partitions and serves them to applications.
//
// # The way in
//
// Open opens the data directory and starts the replication engine on it; Serve
// logs in and works until its context ends; Run does both. The protocol is
// docs/protocol.md; what an operator sees is docs/operations.md.
//
// # Who does what
//
//   - The stream's read loop (handler.go) parses stanzas and gathers operations;
//     when the bytes read are used up they go to the engine in one batch.
//   - Engine goroutines call back with results, which gather in the outbox of
//     the client that asked.
//   - One answering goroutine (answer.go) empties the outboxes: one message a
//     client and wake-up, with the receipts of the requests it completes.
//   - One control goroutine (control.go) does what takes time: taking over ring
//     documents, fetching newer ones, administration.
//   - One pacing goroutine (pacer.go) sends what was too large for one stanza, in
//     parts: a few at a time to each peer, so that a snapshot delays nothing else.
//   - Under load operations wait for their account's turn (fair.go); one goroutine
//     passes them on as answers make room.
//   - One goroutine reads partitions for backups (export.go); one serves metrics, if
//     it is told to (metrics.go).
//   - One presence goroutine (presence.go) watches disk and engine and announces
//     health.
//
// Presence is a hint and never proof; who a sender is, is told by the address
// that the server stamped on the stanza.
package datanode
