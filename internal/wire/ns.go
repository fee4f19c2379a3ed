package wire

// Namespaces of the store's payloads.
const (
	NS       = "urn:rosterdb:store:1"
	NSHealth = "urn:rosterdb:health:1"
	NSRaft   = "urn:rosterdb:raft:1"
	NSAdmin  = "urn:rosterdb:admin:1"

	NSReceipts = "urn:xmpp:receipts" // XEP-0184
	NSHints    = "urn:xmpp:hints"    // XEP-0334
	NSDelay    = "urn:xmpp:delay"    // XEP-0203
)
