// Package sm is stream management (XEP-0198, version 1.6): a client acknowledges the stanzas that it
// gets, learns how many of its own are handled, and resumes its session on another connection when
// the first one is lost. Nothing is lost then, and nothing doubled.
//
// The stanzas are kept by the session's queue (session.Outbox), and connections are exchanged by
// package c2s; the module speaks the protocol, finds sessions by the names that clients know, and
// keeps time. "Handled" means that the router is through with a stanza: it is in the queue of its
// receiver, stored, or answered.
//
// A stanza is acknowledged only once. What a client has not acknowledged when its session ends goes
// the way of all undelivered stanzas (router.Return): messages to other sessions of the account, to
// offline storage, or back. Sessions and what is kept for them are in memory: a restart ends them.
package sm
