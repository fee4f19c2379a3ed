// Package handover moves sessions from one server of a cluster to another: because their clients resume them
// there (XEP-0198), or because their server is drained.
//
// The server that has a session (it gives) offers it: its state, and the stanzas that its client has not
// acknowledged. The other one (it takes) makes a session of that, which nobody can see yet, and says that it is ready.
// Then the giver, at one moment, sends what has come meanwhile and the word "commit", and sends on whatever still
// comes for the session. When the taker has listed the session and the directory knows of it, the giver
// forgets it.
//
//	taker                 giver
//	  want        ->              a client has come to the taker; missing when the giver pushes
//	              <- state, stanzas ..., offer
//	  ready       ->
//	              <- stanzas ..., commit, handed ...
//	  done        ->
//
// Before "commit" every failure leaves the session with the giver. "Commit" arrives or doesn't: a link tells which
// (link.Handler.Undelivered), and until then both the giver keeps all. If it has not arrived the giver goes on as if
// nothing had been; if nobody can tell, because the taker is cut off, the session ends, and the senders of what was
// kept for it are told that it may have been delivered. A session is never with two servers.
package handover
