// Package exchange carries stanzas and presence between the servers of a cluster.
//
// A message or an IQ goes to one server, which then acts for the receiver: it runs the hooks, chooses
// the session, keeps it or bounces it. Which one that is says the directory; the sender's server has
// run the hooks of the sender. Stanzas for one account are handled in order by one goroutine (a lane);
// those whose receiver has to be asked for wait there, and the sender's stream doesn't.
//
// What a server was given and has not acknowledged comes back from its link: it is routed again, or,
// when it may have been delivered, goes to its sender as an error that says so.
//
// Presence, subscriptions and roster pushes go to all servers, each of which serves the sessions it
// has: nobody gets one twice, and no directory can be stale. They take one goroutine, in the order of
// the links, with the coming and going of servers between them.
package exchange
