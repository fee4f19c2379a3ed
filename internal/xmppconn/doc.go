// Package xmppconn keeps the client side of an XMPP stream up and gives it to
// its owner as raw stanzas.
//
// mellium negotiates the stream (RFC 6120: STARTTLS or direct TLS, SASL with
// channel binding where the server offers it); resource binding is our own,
// because mellium's never asks for the wanted resource. After that the
// scanner of internal/stanza owns the reading side and one batching goroutine
// the writing side (docs/adr/0002).
//
// Run is the whole life of a client: it dials, hands stanzas to a Handler,
// notices a dead peer within seconds, and dials again with a jittered back-off.
// A Client of the store, a data node and ringctl each supply a Handler.
package xmppconn
