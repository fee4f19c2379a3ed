// Package xmppd is an XMPP server for one domain (RFC 6120, RFC 6121). It knows JIDs, streams,
// rosters and presence; it knows nothing of the object store that runs over it.
//
// Server wires the parts, which don't know one another beyond what is said here:
//
//	c2s      connections to streams: TLS, SASL, binding, the read loop, the writers
//	session  bound resources, their output queues, the table that finds them
//	router   where a stanza goes, bounces, IQ dispatch
//	im       rosters, subscriptions, presence, shared groups
//	account  what is stored: credentials, rosters, groups (bbolt)
//	module   the contract of an extension; modules/ has one package an extension
//
// Many servers can live in one process.
package xmppd
