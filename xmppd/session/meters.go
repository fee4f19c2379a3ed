package session

import "github.com/rosterdb/rosterdb/xmppd/throttle"

// Meters measure what a session, or all sessions of an account, send.
type Meters struct{ Stanzas, Bytes throttle.Meter }
