// Package component serves external components (XEP-0114, version 1.6): programs that log in with a
// shared secret under a domain of their own, and get every stanza for it. A component writes any
// address of its domain into "from".
//
// A Server accepts connections; each becomes a link, which reads in one goroutine and is attached
// to the router as a module.Domain. Output goes through a session.Outbox like that of a client: a
// component that does not read never blocks a sender.
package component
