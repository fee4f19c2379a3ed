// Package bosh carries client-to-server streams in HTTP requests (XEP-0124 version 1.11.2, XEP-0206
// version 1.4), for clients that have nothing better. Negotiation and routing are those of package
// c2s.
//
// # A session
//
// A session (client) is what its requests have in common: a number that says up to which request
// everything has been handled (rid), the requests that came ahead of a gap (early), those that are
// handled and wait for something to answer (slots), and the answers that the peer may ask for again
// (replies). Requests are handled in the order of their numbers, by one goroutine at a time, in that
// of whichever request made it possible. A copy of a request is answered like the first one, with
// the same bytes, and handled once.
//
// What the session is sent waits in its session.Outbox until a request can carry it (the Outbox asks
// Ready). Once in an answer it is kept until the peer is known to have it; what remains when the
// session ends goes back through the router, which finds another session or keeps messages.
//
// A session without a request has no goroutine and no timer of its own, only its place in a wheel
// that one goroutine turns, and no buffers but an unacknowledged answer.
package bosh
