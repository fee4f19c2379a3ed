// Package replicated keeps the server's records on the servers of a cluster, three copies of
// each where there are three servers, by package replication. It is a store.Store.
//
// # Where what is
//
// Each server runs a replication.Node over a Transport. An owner is a root: its records are the
// objects of the root, and the ring says which partition it is in, and on which servers that is.
// key.go says how owners and keys become roots and paths, record.go what objects look like.
//
// # Reading and changing
//
// A View takes a snapshot of the root after a round that confirms it (ReadIndex), from the replica
// here if there is one, else from another server that holds the snapshot meanwhile. An Update runs
// its function on such a snapshot, and commits what it has changed in one entry of the log, on the
// condition that the root still has the snapshot's revision; otherwise it runs again. What is too
// large for an entry goes in stages (staged.go).
//
// # Exactly once
//
// Writes go to the leader of the partition, as requests over the same Transport (wire.go). Each is
// named by a session and a sequence, and asked again under the same name until its outcome is known, or
// Options.Patience is over: then the error says whether it surely had no effect (ErrUnavailable, ErrContended) or
// that nobody knows (store.ErrUncertain).
//
// # Servers come and go
//
// The first server founds the cluster. The leader of the meta group has the ring follow Membership
// (manage.go): servers join when they are there and leave when an operator says so, and the change
// machinery of the ring moves their share under load. Who is silent stays a member; whose data was lost is
// a new one.
package replicated
