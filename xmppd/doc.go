// Package xmppd is an XMPP server for one domain (RFC 6120, RFC 6121). It knows JIDs, streams,
// rosters and presence; it knows nothing of the object store that runs over it.
//
// Server wires the parts, which don't know one another beyond what is said here:
//
//	c2s        clients' streams: TLS, SASL, binding, reading, writing; websocket and bosh bring it browsers
//	component  streams of external components
//	session    bound resources, their output queues, the table that finds them
//	router     where a stanza goes, hooks, bounces, IQ dispatch
//	im         rosters, subscriptions, presence, shared groups
//	store      all that is kept, by owner; account is typed access to accounts and rosters
//	module     the contract of an extension; modules/ has one package an extension
//
// Begin with server.go (start to end), config.go (all settings), listeners.go (ways in) and modules.go
// (which extensions there are, and in which order they see stanzas). ARCHITECTURE.md names every folder.
//
// Many servers can live in one process.
package xmppd
